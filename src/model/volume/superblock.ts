/** btrfs's super block. Open to the other doors: a disk is known by it. */
import { standsAt, textAt, u16, u32, u64, uuidAt } from "../text/bytes.ts";
import { refuse, type Refusal } from "../problem.ts";

/**
 * What ROOT may be, stated here and nowhere else. Two readers must agree on it: the kernel, and rEFInd's btrfs driver,
 * which has its own, older reader of the format. Tried with rEFInd 0.13.2 (see the decisions): it boots from node sizes
 * of 4 to 64 KiB, any checksum, zlib and zstd, mixed groups, no-holes, with and without the free space and block group
 * trees, which are only for writers. It fails on RAID1C3/C4 before 0.14.1, and has no code for zoned disks, the raid
 * stripe tree, the remap tree or the second extent tree.
 */

/** Bits of `incompat_flags` (linux/btrfs.h): a reader that does not know one must not read. */
const incompatFlags: readonly (readonly [bit: number, name: string, readable: boolean])[] = [
  [0, "mixed backrefs", true],
  [1, "default subvolume", true],
  [2, "mixed groups", true],
  // Set once any file was LZO-compressed. Boot files are checked one by one before they can boot.
  [3, "LZO", true],
  [4, "zstd", true],
  [5, "big metadata", true],
  [6, "extended references", true],
  [7, "RAID5/6", false],
  [8, "skinny metadata", true],
  [9, "no holes", true],
  [10, "metadata UUID", false],
  [11, "RAID1C3/C4", false],
  [12, "zoned", false],
  [13, "extent tree v2", false],
  [14, "raid stripe tree", false],
  [16, "simple quotas", false],
  [17, "remap tree", false],
];

/** Where the first super block is, and its length. Bytes. */
export const SUPERBLOCK = { offset: 65_536, length: 4096 } as const;

/** csum_type 0 to 3 (linux/btrfs_tree.h). */
const checksums = ["crc32c", "xxhash64", "sha256", "blake2b"] as const;

export interface Superblock {
  fsid: string;
  label: string;
  /** Transaction number: the newest of several copies has the largest. */
  generation: number;
  totalBytes: number;
  devices: number;
  sectorBytes: number;
  nodeBytes: number;
  /** Bit numbers of incompat_flags that are set. */
  incompat: number[];
  /** Undefined for one that this firn does not know. */
  checksum: (typeof checksums)[number] | undefined;
}

/** Reads a super block from its 4,096 bytes (at SUPERBLOCK.offset of the filesystem); undefined when they hold none. */
export function readSuperblock(bytes: Uint8Array): Superblock | undefined {
  if (bytes.length < SUPERBLOCK.length || !standsAt(bytes, 0x40, "_BHRfS_M")) return undefined;
  if (u64(bytes, 0x30) !== SUPERBLOCK.offset) return undefined;
  const low = u32(bytes, 0xbc);
  const high = u32(bytes, 0xc0);
  const incompat = Array.from({ length: 64 }, (_, bit) => bit).filter(
    (bit) => ((bit < 32 ? low : high) >>> (bit % 32)) & 1,
  );
  return {
    fsid: uuidAt(bytes, 0x20),
    label: textAt(bytes, 0x12b, 256),
    generation: u64(bytes, 0x48),
    totalBytes: u64(bytes, 0x70),
    devices: u64(bytes, 0x88),
    sectorBytes: u32(bytes, 0x90),
    nodeBytes: u32(bytes, 0x94),
    incompat,
    checksum: checksums[u16(bytes, 0xc4)],
  };
}

/**
 * Refuses a filesystem that the boot loader could not read: E_BOOT_LOADER, naming the features; E_NOT_A_VOLUME for no
 * btrfs.
 */
export function checkSuperblock(bytes: Uint8Array): Refusal | undefined {
  const found = readSuperblock(bytes);
  if (found === undefined) return refuse("E_NOT_A_VOLUME", "There is no btrfs filesystem.");
  const unread = found.incompat.flatMap((bit) => {
    const known = incompatFlags.find(([number]) => number === bit);
    if (known === undefined) return [`feature bit ${bit}`];
    return known[2] ? [] : [known[1]];
  });
  if (found.checksum === undefined) unread.push("its kind of checksum");
  if (unread.length === 0) return undefined;
  return refuse(
    "E_BOOT_LOADER",
    `The btrfs filesystem ${found.label || found.fsid} uses what rEFInd's driver cannot read: ${unread.join(", ")}.`,
    "Make it without: mkfs.btrfs -O list-all names the features.",
  );
}

/**
 * argv of mkfs.btrfs for ROOT. Everything on which its versions (5.16 to 6.x) or machines disagree is said: 4 KiB
 * sectors (5.16 took the page size), metadata twice (once on an SSD before 5.15), crc32c, nodes of 16 KiB. Features
 * that every version knows are said by name; a newer one's own defaults are caught by checkSuperblock afterwards. Block
 * group and free space trees are left to the version: the boot loader does not look at them.
 */
export function mkfsBtrfsArguments(device: string, label: string): string[] {
  const geometry = ["--csum", "crc32c", "--nodesize", "16384", "--sectorsize", "4096"];
  const profiles = ["--data", "single", "--metadata", "dup"];
  const features = ["--features", "extref,skinny-metadata,no-holes,^mixed-bg,^raid56,^raid1c34"];
  return ["mkfs.btrfs", "--quiet", "--force", "--label", label, ...profiles, ...geometry, ...features, device];
}
