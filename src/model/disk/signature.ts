import { SUPERBLOCK, readSuperblock } from "../volume/superblock.ts";
import { standsAt, textAt, u16, u32 } from "../text/bytes.ts";

/** What a disk or partition holds, as far as its magic numbers tell. */
export interface Signature {
  /** "btrfs", "FAT32", "LVM", … as it is shown to the user. */
  kind: string;
  label: string;
}

/** Bytes from the start that identifySignature wants: btrfs's super block ends furthest. */
export const SIGNATURE_HEAD_BYTES = SUPERBLOCK.offset + SUPERBLOCK.length;
/** Bytes from the end: md 0.90 keeps its super block in the last whole 64 KiB before the last 64 KiB. */
export const SIGNATURE_TAIL_BYTES = 128 * 1024;

const MD_MAGIC = 0xa92b4efc;

/** Magic numbers, each [offset, text]; from util-linux's libblkid. */
const magics: readonly (readonly [kind: string, at: number, magic: string, labelAt: number, labelLength: number])[] = [
  ["LUKS encryption", 0, "LUKS\u00ba\u00be", 24, 0],
  ["NTFS", 3, "NTFS    ", 0, 0],
  ["exFAT", 3, "EXFAT   ", 0, 0],
  ["XFS", 0, "XFSB", 108, 12],
  ["FAT32", 0x52, "FAT32   ", 0x47, 11],
  ["FAT16", 0x36, "FAT16   ", 0x2b, 11],
  ["FAT12", 0x36, "FAT12   ", 0x2b, 11],
  ["F2FS", 1024, "\u0010\u0020\u00f5\u00f2", 0, 0],
  ["ISO 9660", 32_769, "CD001", 32_808, 32],
  ["squashfs", 0, "hsqs", 0, 0],
  // At the end of the first page, whose size depends on the architecture.
  ["swap", 4096 - 10, "SWAPSPACE2", 1052, 16],
  ["swap", 16_384 - 10, "SWAPSPACE2", 1052, 16],
  ["swap", 65_536 - 10, "SWAPSPACE2", 1052, 16],
];

/** LVM's label is in one of the first four 512-byte sectors. */
const isLvm = (head: Uint8Array): boolean =>
  [0, 512, 1024, 1536].some((at) => standsAt(head, at, "LABELONE") && standsAt(head, at + 24, "LVM2 001"));

/** md 1.1 at the start, 1.2 at 4 KiB, 1.0 and 0.90 near the end. */
function isRaidMember(head: Uint8Array, tail: Uint8Array, bytes: number): boolean {
  if (u32(head, 0) === MD_MAGIC || u32(head, 4096) === MD_MAGIC) return true;
  const tailStart = bytes - tail.length;
  const places = [Math.floor(bytes / 65_536) * 65_536 - 65_536, Math.floor((bytes - 8192) / 4096) * 4096];
  return places.some((at) => at >= tailStart && u32(tail, at - tailStart) === MD_MAGIC);
}

/**
 * What the first SIGNATURE_HEAD_BYTES and the last SIGNATURE_TAIL_BYTES of something of `bytes` bytes show; undefined
 * when they show nothing that is known. Containers come first: a RAID member may hold a file system's magic as well.
 */
export function identifySignature(head: Uint8Array, tail: Uint8Array, bytes: number): Signature | undefined {
  if (isRaidMember(head, tail, bytes)) return { kind: "RAID member", label: "" };
  if (isLvm(head)) return { kind: "LVM", label: "" };
  const btrfs = readSuperblock(head.subarray(SUPERBLOCK.offset));
  if (btrfs !== undefined) return { kind: "btrfs", label: btrfs.label };
  if (u16(head, 1024 + 0x38) === 0xef53) return { kind: extKind(head), label: textAt(head, 1024 + 0x78, 16) };
  for (const [kind, at, magic, labelAt, length] of magics) {
    if (!standsAt(head, at, magic)) continue;
    const label = textAt(head, labelAt, length);
    return { kind, label: label === "NO NAME" ? "" : label };
  }
  return undefined;
}

/** ext2 has no journal (compatible feature 4), ext4 has extents (incompatible feature 0x40). */
function extKind(head: Uint8Array): string {
  if (u32(head, 1024 + 0x60) & 0x40) return "ext4";
  return u32(head, 1024 + 0x5c) & 4 ? "ext3" : "ext2";
}

/** A primary partition of an MBR. */
export interface MbrPartition {
  number: number;
  startByte: number;
  bytes: number;
}

/**
 * The four primary entries of an MBR with partitions of its own; empty for none, and for the protective one of a GPT.
 */
export function parseMbr(head: Uint8Array, sectorBytes: number): MbrPartition[] {
  if (head[510] !== 0x55 || head[511] !== 0xaa) return [];
  const entries = [0, 1, 2, 3].map((index) => {
    const at = 446 + index * 16;
    return {
      number: index + 1,
      status: head[at] ?? 0,
      type: head[at + 4] ?? 0,
      startByte: u32(head, at + 8) * sectorBytes,
      bytes: u32(head, at + 12) * sectorBytes,
    };
  });
  // A FAT boot sector ends in 55AA too; its code is no table: the status bytes give it away.
  if (entries.some(({ status }) => status !== 0 && status !== 0x80)) return [];
  if (entries.some(({ type }) => type === 0xee)) return [];
  return entries
    .filter(({ type, bytes, startByte }) => type !== 0 && bytes > 0 && startByte > 0)
    .map(({ number, startByte, bytes }) => ({ number, startByte, bytes }));
}
