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
});

test("what is known of encryption, caches, pools and clusters is said", () => {
  const kinds: readonly (readonly [string, "head" | "tail", number, string | readonly number[]])[] = [
    ["BitLocker encryption", "head", 3, "-FVE-FS-"],
    ["bcache", "head", 4120, [0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f]],
    ["bcachefs", "head", 4120, [0xc6, 0x85, 0x73, 0xf6, 0x66, 0xce, 0x90, 0xa9, 0xd9, 0x6a, 0x60, 0xcf]],
    ["Ceph BlueStore", "head", 0, "bluestore block device\n"],
    ["ZFS", "head", 128 * 1024 + 1024, [0x0c, 0xb1, 0xba, 0, 0, 0, 0, 0]],
    ["ZFS", "tail", SIGNATURE_TAIL_BYTES - 128 * 1024, [0, 0, 0, 0, 0, 0xba, 0xb1, 0x0c]],
    ["LUKS encryption", "head", 0x4000, "SKUL\u00ba\u00be"],
    ["RAID member", "tail", SIGNATURE_TAIL_BYTES - 65_536, MD.toReversed()],
    ["RAID member (Intel)", "tail", SIGNATURE_TAIL_BYTES - 1024, "Intel Raid ISM Cfg Sig. 1"],
    ["hibernated system", "head", 4086, "S1SUSPEND"],
    ["JFS", "head", 0x8000, "JFS1"],
  ];
  for (const [kind, place, at, bytes] of kinds) assert.equal(identify(place, at, bytes)?.kind, kind);
});

test("empty is only what is all zero where it is looked at", () => {
  assert.equal(identify("head", 0, ""), undefined);
  for (const place of ["head", "tail"] as const) {
    assert.equal(identify(place, 100_000, [1])?.kind, "data of an unknown kind");
  }
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
