import { SUPERBLOCK, readSuperblock } from "../volume/superblock.ts";
import { standsAt, textAt, u16, u32 } from "../text/bytes.ts";

/** What a disk or partition holds, as far as its magic numbers tell. */
export interface Signature {
  /** "btrfs", "FAT32", "LVM", … as it is shown to the user. */
  kind: string;
  label: string;
}

/** Bytes from the start that identifySignature wants: ZFS's first label ends furthest. */
export const SIGNATURE_HEAD_BYTES = 256 * 1024;
/** Bytes from the end: ZFS's last two labels, which begin at a multiple of their size. */
export const SIGNATURE_TAIL_BYTES = 768 * 1024;

const MD_MAGIC = 0xa92b4efc;
/** md 0.90 is written in the order of the machine's bytes. */
const MD_MAGIC_SWAPPED = 0xfc4e2ba9;

type Magic = readonly [kind: string, at: number, magic: string, labelAt: number, labelLength: number];

/** Magic numbers, each [offset, text]; from util-linux's libblkid (libblkid/src/superblocks). */
const magics: readonly Magic[] = [
  ["LUKS encryption", 0, "LUKS\u00ba\u00be", 24, 0],
  // LUKS2's second header, when the first is gone; it stands at one of these.
  ...[0x4000, 0x8000, 0x10000].map((at) => ["LUKS encryption", at, "SKUL\u00ba\u00be", 24, 0] as const),
  ["BitLocker encryption", 3, "-FVE-FS-", 0, 0],
  ["bcache", 4096 + 24, "\u00c6\u0085\u0073\u00f6\u004e\u001a\u0045\u00ca\u0082\u0065\u00f5\u007f", 4096 + 72, 32],
  ["bcachefs", 4096 + 24, "\u00c6\u0085\u0073\u00f6\u0066\u00ce\u0090\u00a9\u00d9\u006a\u0060\u00cf", 4096 + 72, 32],
  ["Ceph BlueStore", 0, "bluestore block device", 0, 0],
  ["DRBD", 4096, "DRBD", 0, 0],
  ["VDO", 0, "dmvdo001", 0, 0],
  ["Stratis", 512 + 4, "!Stra0tis\u0086\u00ff\u0002^\u0041rh", 0, 0],
  ["LVM 1", 0, "HM\u0001\u0000", 0, 0],
  ["LVM 1", 0, "HM\u0002\u0000", 0, 0],
  ["GFS2", 0x10000, "\u0001\u0016\u0019\u0070", 0, 0],
  ["OCFS2", 1024, "OCFSV2", 0, 0],
  ["OCFS2", 2048, "OCFSV2", 0, 0],
  ["OCFS2", 4096, "OCFSV2", 0, 0],
  ["VMFS", 0x10000, "\u000d\u00d0\u0001\u00c0", 0, 0],
  ["ReFS", 3, "ReFS", 0, 0],
  ["APFS", 32, "NXSB", 0, 0],
  ["HFS+", 1024, "H+", 0, 0],
  ["HFS+", 1024, "HX", 0, 0],
  ["HFS", 1024, "BD", 0, 0],
  ["JFS", 0x8000, "JFS1", 0x8000 + 152, 16],
  ["ReiserFS", 0x10034, "ReIsEr", 0x10064, 16],
  ["Reiser4", 0x10000, "ReIsEr4", 0, 0],
  ["NILFS2", 1024 + 6, "\u0034\u0034", 1024 + 152, 80],
  ["EROFS", 1024, "\u00e2\u00e1\u00f5\u00e0", 1024 + 64, 16],
  ["UBI", 0, "UBI#", 0, 0],
  ["UDF", 32_769, "BEA01", 0, 0],
  ["UDF", 32_769, "NSR0", 0, 0],
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
  ...[4096, 8192, 16_384, 32_768, 65_536].flatMap((page) => [
    ["swap", page - 10, "SWAP-SPACE", 0, 0] as const,
    ["hibernated system", page - 10, "S1SUSPEND", 0, 0] as const,
    ["hibernated system", page - 10, "S2SUSPEND", 0, 0] as const,
  ]),
];

/** LVM's label is in one of the first four 512-byte sectors. */
const isLvm = (head: Uint8Array): boolean =>
  [0, 512, 1024, 1536].some((at) => standsAt(head, at, "LABELONE") && standsAt(head, at + 24, "LVM2 001"));

/** ub_magic of a ZFS uberblock, in either order of bytes (zfs/uberblock_impl.h). */
const UBERBLOCK = [
  [0x00bab10c, 0],
  [0, 0x0cb1ba00],
] as const;

/** ZFS keeps two labels of 256 KiB at the start, two at the end; the second half of each is an array of uberblocks. */
function isZfs(head: Uint8Array, tail: Uint8Array): boolean {
  const holds = (bytes: Uint8Array, at: number): boolean =>
    UBERBLOCK.some(([low, high]) => u32(bytes, at) === low && u32(bytes, at + 4) === high);
  for (let at = 0; at + 8 <= tail.length; at += 1024) if (holds(tail, at)) return true;
  for (let at = 128 * 1024; at + 8 <= head.length; at += 1024) if (holds(head, at)) return true;
  // The name-value list of a pool's configuration, XDR-encoded, at 16 KiB: version, state, name, …
  return standsAt(head, 16_384 + 20, "version") || standsAt(head, 16_384 + 24, "version");
}

/** md 1.1 at the start, 1.2 at 4 KiB, 1.0 and 0.90 near the end. */
function isRaidMember(head: Uint8Array, tail: Uint8Array, bytes: number): boolean {
  const isMd = (at: Uint8Array, offset: number): boolean => [MD_MAGIC, MD_MAGIC_SWAPPED].includes(u32(at, offset));
  if (isMd(head, 0) || isMd(head, 4096)) return true;
  const tailStart = bytes - tail.length;
  const places = [Math.floor(bytes / 65_536) * 65_536 - 65_536, Math.floor((bytes - 8192) / 4096) * 4096];
  return places.some((at) => at >= tailStart && isMd(tail, at - tailStart));
}

/**
 * What the first SIGNATURE_HEAD_BYTES and the last SIGNATURE_TAIL_BYTES of something of `bytes` bytes show; undefined
 * when all of them are zero. Containers come first: a RAID member may hold a file system's magic as well.
 */
export function identifySignature(head: Uint8Array, tail: Uint8Array, bytes: number): Signature | undefined {
  if (isRaidMember(head, tail, bytes)) return { kind: "RAID member", label: "" };
  const firmwareRaid = firmwareRaidIn(tail);
  if (firmwareRaid !== undefined) return { kind: firmwareRaid, label: "" };
  if (isLvm(head)) return { kind: "LVM", label: "" };
  const btrfs = readSuperblock(head.subarray(SUPERBLOCK.offset));
  if (btrfs !== undefined) return { kind: "btrfs", label: btrfs.label };
  if (u16(head, 1024 + 0x38) === 0xef53) return { kind: extKind(head), label: textAt(head, 1024 + 0x78, 16) };
  for (const [kind, at, magic, labelAt, length] of magics) {
    if (!standsAt(head, at, magic)) continue;
    const label = textAt(head, labelAt, length);
    return { kind, label: label === "NO NAME" ? "" : label };
  }
  // Its labels at the end outlive the filesystem that was made over it.
  if (isZfs(head, tail)) return { kind: "ZFS", label: "" };
  if ([head, tail].every((part) => part.every((byte) => byte === 0))) return undefined;
  return unknown;
}

/** Something is there, and nobody here knows what: encryption without a header, a damaged or a foreign filesystem. */
export const unknown: Signature = { kind: "data of an unknown kind", label: "" };

/** What RAID of the firmware writes into the last sectors. Offsets from the end. */
function firmwareRaidIn(tail: Uint8Array): string | undefined {
  if (standsAt(tail, tail.length - 1024, "Intel Raid ISM Cfg Sig. ")) return "RAID member (Intel)";
  if (u32(tail, tail.length - 512) === 0xde11de11) return "RAID member (DDF)";
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
