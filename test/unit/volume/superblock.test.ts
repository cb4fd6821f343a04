import assert from "node:assert/strict";
import { test } from "node:test";
import {
  SUPERBLOCK,
  checkSuperblock,
  mkfsBtrfsArguments,
  readSuperblock,
} from "../../../src/model/volume/superblock.ts";

/** What mkfs.btrfs 6.2 sets by itself: mixed backrefs, big metadata, extended references, skinny metadata, no holes. */
const USUAL = 0x361n;

function superblock(incompat: bigint, checksum = 0): Uint8Array {
  const bytes = Buffer.alloc(SUPERBLOCK.length);
  for (let i = 0; i < 16; i++) bytes[0x20 + i] = i * 17;
  bytes.writeBigUInt64LE(BigInt(SUPERBLOCK.offset), 0x30);
  bytes.write("_BHRfS_M", 0x40, "ascii");
  bytes.writeBigUInt64LE(42n, 0x48);
  bytes.writeBigUInt64LE(2n ** 40n, 0x70);
  bytes.writeBigUInt64LE(1n, 0x88);
  bytes.writeUInt32LE(4096, 0x90);
  bytes.writeUInt32LE(16_384, 0x94);
  bytes.writeBigUInt64LE(incompat, 0xbc);
  bytes.writeUInt16LE(checksum, 0xc4);
  bytes.write("Wörk", 0x12b, "utf8");
  return new Uint8Array(bytes);
}

test("a super block is read as btrfs writes it", () => {
  assert.deepEqual(readSuperblock(superblock(USUAL, 1)), {
    fsid: "00112233-4455-6677-8899-aabbccddeeff",
    label: "Wörk",
    generation: 42,
    totalBytes: 2 ** 40,
    devices: 1,
    sectorBytes: 4096,
    nodeBytes: 16_384,
    incompat: [0, 5, 6, 8, 9],
    checksum: "xxhash64",
  });
});

test("what is no super block is not taken for one", () => {
  assert.equal(readSuperblock(new Uint8Array(SUPERBLOCK.length)), undefined);
  assert.equal(readSuperblock(superblock(USUAL).slice(0, 100)), undefined);
  const copy = superblock(USUAL);
  copy[0x32] = 0; // one of the copies elsewhere says where it is
  assert.equal(readSuperblock(copy), undefined);
  assert.equal(checkSuperblock(new Uint8Array(4096))?.problem.code, "E_NOT_A_VOLUME");
});

test("every feature that the boot loader cannot read is refused by name, the future's by number", () => {
  assert.equal(checkSuperblock(superblock(USUAL)), undefined);
  assert.equal(checkSuperblock(superblock(0x37fn)), undefined, "default subvolume, mixed groups, LZO and zstd as well");
  const unread: [bigint, RegExp][] = [
    [1n << 7n, /RAID5\/6/],
    [1n << 10n, /metadata UUID/],
    [1n << 11n, /RAID1C3\/C4/],
    [1n << 12n, /zoned/],
    [1n << 13n, /extent tree v2/],
    [1n << 14n, /raid stripe tree/],
    [1n << 16n, /simple quotas/],
    [1n << 17n, /remap tree/],
    [1n << 31n, /feature bit 31/],
    [1n << 40n, /feature bit 40/],
    [1n << 63n, /feature bit 63/],
  ];
  for (const [flag, name] of unread) {
    const refused = checkSuperblock(superblock(USUAL | flag));
    assert.equal(refused?.problem.code, "E_BOOT_LOADER", String(flag));
    assert.match(refused.problem.message, name);
  }
  assert.match(checkSuperblock(superblock(USUAL, 9))?.problem.message ?? "", /checksum/);
});

test("mkfs.btrfs is told everything on which its versions disagree", () => {
  const words = mkfsBtrfsArguments("/dev/loop0", "ROOT");
  assert.equal(words.at(-1), "/dev/loop0");
  for (const option of ["--sectorsize", "--nodesize", "--metadata", "--data", "--csum", "--features"]) {
    assert.ok(words.includes(option), option);
  }
});
