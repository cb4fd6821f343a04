import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { GPT_HEAD_BYTES, crc32, findGpt, parseGpt, partitionTypes } from "../../../src/model/disk/gpt.ts";

interface Entry {
  name: string;
  first: number;
  last: number;
}

/** A GUID of one repeated byte reads the same in either byte order. */
const guid = (byte: number): Buffer => Buffer.alloc(16, byte);
/** "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" as the UEFI specification stores it. */
const EFI_TYPE = Buffer.from("28732ac11ff8d211ba4b00a0c93ec93b", "hex");

function makeGpt(entries: readonly Entry[], sectorBytes: number): Uint8Array {
  const disk = Buffer.alloc(Math.max(GPT_HEAD_BYTES, 2 * sectorBytes + 128 * 128));
  const header = disk.subarray(sectorBytes, sectorBytes + 92);
  const table = disk.subarray(2 * sectorBytes, 2 * sectorBytes + 128 * 128);
  entries.forEach(({ name, first, last }, index) => {
    const entry = table.subarray(index * 128, index * 128 + 128);
    EFI_TYPE.copy(entry, 0);
    guid(0xa0 + index).copy(entry, 16);
    entry.writeBigUInt64LE(BigInt(first), 32);
    entry.writeBigUInt64LE(BigInt(last), 40);
    entry.write(name, 56, "utf16le");
  });
  header.write("EFI PART", 0, "ascii");
  header.writeUInt32LE(0x10000, 8);
  header.writeUInt32LE(92, 12);
  guid(0xdd).copy(header, 56);
  header.writeBigUInt64LE(2n, 72);
  header.writeUInt32LE(128, 80);
  header.writeUInt32LE(128, 84);
  header.writeUInt32LE(crc32(table), 88);
  header.writeUInt32LE(crc32(header), 16);
  return new Uint8Array(disk);
}

const entries: Entry[] = [
  { name: "EFI", first: 2048, last: 4095 },
  { name: "ROOT", first: 4096, last: 2 ** 33 },
];

test("the checksum is zlib's CRC-32", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926); // the check value of the CRC catalogue
  assert.equal(crc32(new Uint8Array(0)), 0);
});

test("partitions are read at either sector size, beyond 2^32 sectors too", () => {
  for (const sectorBytes of [512, 4096]) {
    const bytes = makeGpt(entries, sectorBytes);
    const gpt = parseGpt(bytes, sectorBytes);
    assert.ok(gpt.kind === "gpt");
    assert.equal(gpt.diskGuid, "dddddddd-dddd-dddd-dddd-dddddddddddd");
    assert.equal(gpt.partitions.length, 2);
    assert.deepEqual(gpt.partitions[1], {
      number: 2,
      name: "ROOT",
      type: partitionTypes.efi,
      guid: "a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1",
      startByte: 4096 * sectorBytes,
      bytes: (2 ** 33 - 4096 + 1) * sectorBytes,
    });
    assert.deepEqual(findGpt(bytes), gpt);
  }
});

test("a flipped bit in the header or the entries is noticed, and zeros are no table", () => {
  const good = makeGpt(entries, 512);
  fc.assert(
    fc.property(fc.integer({ min: 512, max: 512 + 91 }), fc.integer({ min: 0, max: 7 }), (at, bit) => {
      const bad = good.slice();
      bad[at] = (bad[at] ?? 0) ^ (1 << bit);
      assert.equal(parseGpt(bad, 512).kind, "fault");
    }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1024, max: 1024 + 128 * 128 - 1 }), fc.integer({ min: 0, max: 7 }), (at, bit) => {
      const bad = good.slice();
      bad[at] = (bad[at] ?? 0) ^ (1 << bit);
      assert.deepEqual(parseGpt(bad, 512), { kind: "fault", fault: "entries checksum" });
    }),
  );
  assert.deepEqual(findGpt(new Uint8Array(GPT_HEAD_BYTES)), { kind: "fault", fault: "none" });
  assert.deepEqual(parseGpt(good.slice(0, 4096), 512), { kind: "fault", fault: "cut short" });
  assert.deepEqual(findGpt(new Uint8Array(3)), { kind: "fault", fault: "none" });
});

test("no bytes whatever make it throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), (noise) => {
      const bytes = new Uint8Array(GPT_HEAD_BYTES);
      bytes.set(new TextEncoder().encode("EFI PART"), 512);
      bytes.set(noise, 520);
      assert.equal(findGpt(bytes).kind, "fault");
    }),
  );
});
