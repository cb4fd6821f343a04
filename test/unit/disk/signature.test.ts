import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  SIGNATURE_HEAD_BYTES,
  SIGNATURE_TAIL_BYTES,
  identifySignature,
  parseMbr,
} from "../../../src/model/disk/signature.ts";

const SIZE = 10 * 2 ** 20;
const MD = [0xfc, 0x4e, 0x2b, 0xa9];

function identify(place: "head" | "tail", at: number, bytes: readonly number[] | string) {
  const head = Buffer.alloc(SIGNATURE_HEAD_BYTES);
  const tail = Buffer.alloc(SIGNATURE_TAIL_BYTES);
  const into = place === "head" ? head : tail;
  (typeof bytes === "string" ? Buffer.from(bytes, "latin1") : Buffer.from(bytes)).copy(into, at);
  return identifySignature(new Uint8Array(head), new Uint8Array(tail), SIZE);
}

test("members of arrays and volume groups are known by any version's mark", () => {
  assert.equal(identify("head", 4096, MD)?.kind, "RAID member");
  assert.equal(identify("head", 0, MD)?.kind, "RAID member");
  assert.equal(identify("tail", SIGNATURE_TAIL_BYTES - 65_536, MD)?.kind, "RAID member");
  assert.equal(identify("tail", SIGNATURE_TAIL_BYTES - 8192, MD)?.kind, "RAID member");
  assert.equal(identify("head", 512, "LABELONE" + "\0".repeat(16) + "LVM2 001")?.kind, "LVM");
  assert.equal(identify("head", 0, "LUKS\u00ba\u00be")?.kind, "LUKS encryption");
  assert.equal(identify("head", 0, "XFSB")?.kind, "XFS");
  assert.equal(identify("head", 3, "NTFS    ")?.kind, "NTFS");
  assert.equal(identify("head", 100, "nothing"), undefined);
});

test("no bytes whatever, and no length, make it throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), fc.uint8Array({ maxLength: 300 }), (head, tail) => {
      identifySignature(head, tail, head.length + tail.length);
      parseMbr(head, 512);
    }),
  );
});

test("an MBR's primary partitions are read; a GPT's protective one and a FAT boot sector are none", () => {
  const sector = Buffer.alloc(512);
  sector.writeUInt16LE(0xaa55, 510);
  assert.deepEqual(parseMbr(new Uint8Array(sector), 512), []);
  sector[446 + 16 + 4] = 0x83;
  sector.writeUInt32LE(2048, 446 + 16 + 8);
  sector.writeUInt32LE(4096, 446 + 16 + 12);
  assert.deepEqual(parseMbr(new Uint8Array(sector), 512), [{ number: 2, startByte: 2 ** 20, bytes: 2 ** 21 }]);
  const fat = Buffer.from(sector);
  fat[446] = 0x42;
  assert.deepEqual(parseMbr(new Uint8Array(fat), 512), []);
  sector[446 + 4] = 0xee;
  assert.deepEqual(parseMbr(new Uint8Array(sector), 512), []);
});
