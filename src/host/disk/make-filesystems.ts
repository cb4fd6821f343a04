import { SUPERBLOCK, checkSuperblock, mkfsBtrfsArguments, readSuperblock } from "../../model/volume/superblock.ts";
import { standsAt, uuidAt } from "../../model/text/bytes.ts";
import { MiB, fatSectorsPerCluster, guidFrom, sgdiskArguments } from "../../model/disk/partitions.ts";
import type { DiskGuids, DiskLayout, Partition } from "../../model/disk/partitions.ts";
import { FirnError, orThrow } from "../../model/problem.ts";
import { claim, mediumBytes } from "../kernel/devices.ts";
import { randomBytes, randomHex } from "../kernel/process.ts";
import { isSysError } from "../kernel/failure.ts";
import { Fd, readBytes, stat, typeOf } from "../kernel/files.ts";
import { run } from "../kernel/run.ts";

/** Random GUIDs for a disk and its partitions. */
export function newGuids(): DiskGuids {
  const guid = (): string => guidFrom(randomBytes(16));
  return { disk: guid(), EFI: guid(), ROOT: guid(), SWAP: guid() };
}

/**
 * Zeroes the first and the last mebibyte of a disk, partition or image: old partition tables (a GPT has a second one at
 * the end), boot sectors, RAID and LVM marks, file system headers. The kernel would offer what they describe again.
 */
function wipe(path: string, open: (path: string) => Fd = (each) => Fd.changing(each), begins = (): void => {}): void {
  const bytes = mediumBytes(path);
  using fd = open(path);
  begins();
  const length = Math.min(bytes, MiB);
  const zeros = new ArrayBuffer(length);
  fd.write(zeros, 0);
  fd.write(zeros, bytes - length);
  fd.flush();
}

/** Zeroes the first mebibyte of a partition to be: boot sectors and superblocks. */
function zero(path: string, startByte: number): void {
  using fd = Fd.changing(path);
  fd.write(new ArrayBuffer(MiB), startByte);
}

/**
 * Wipes a whole disk or image; a disk as its only user, since minutes may have passed since it was looked at. Throws
 * E_DISK_BUSY before anything is written.
 */
function wipeUnused(path: string, begins: () => void): void {
  const found = stat(path);
  const isDisk = found !== undefined && typeOf(found) === "block device";
  try {
    wipe(path, isDisk ? claim : undefined, begins);
  } catch (error) {
    if (!isSysError(error, "EBUSY") || error.call !== "open") throw error;
    throw new FirnError("E_DISK_BUSY", `${path} is in use now.`, "Let go of it, or choose another disk.");
  }
}

/**
 * Writes a new partition table over whatever was there, in one call of sgdisk, which also tells the kernel. The old
 * tables are zeroed first: `sgdisk --zap-all` does the same, but fails on a damaged table. `begins` is called when the
 * disk is claimed and the first byte is about to be written. Throws E_DISK_BUSY, E_PROGRAM_FAILED, E_PROGRAM_MISSING.
 */
export function writePartitionTable(path: string, layout: DiskLayout, begins: () => void = () => {}): void {
  wipeUnused(path, begins);
  // What an older installation left at the same places must not look like this one's, however early it stops.
  for (const { startByte } of layout.partitions) zero(path, startByte);
  run(sgdiskArguments(layout, path));
  using fd = Fd.changing(path);
  fd.flush();
}

/** Makes the EFI system partition's FAT32. Gives its UUID as fstab and blkid spell it, `1A2B-3C4D`. */
export function formatEsp(device: string, partition: Partition, sectorBytes: number): string {
  wipe(device);
  const id = randomHex(4);
  // A loop device has sectors of 512 bytes; the firmware will read the disk's.
  const geometry = ["-S", String(sectorBytes), "-s", String(fatSectorsPerCluster(partition.bytes, sectorBytes))];
  // "Hidden sectors": where the partition starts, which some firmware reads.
  const start = ["-h", String(partition.firstSector)];
  run(["mkfs.fat", "-F", "32", "-n", "EFI", "-i", id, ...geometry, ...start, device]);
  return id.toUpperCase().replace(/^(.{4})/, "$1-");
}

/**
 * Makes the volume's btrfs, labelled ROOT, and reads back that the boot loader can read it. Gives the filesystem's
 * UUID. Throws E_BOOT_LOADER when mkfs.btrfs chose a feature that it cannot.
 */
export function formatRoot(device: string): string {
  wipe(device);
  run(mkfsBtrfsArguments(device, "ROOT"));
  const bytes = readBytes(device, SUPERBLOCK.offset, SUPERBLOCK.length);
  orThrow(checkSuperblock(bytes));
  const made = readSuperblock(bytes);
  if (made?.label !== "ROOT") {
    throw new FirnError("E_PROGRAM_FAILED", `mkfs.btrfs reported success, but ${device} is not labelled ROOT.`);
  }
  return made.fsid;
}

/** mkswap's header, linux/swap.h: the UUID at 1,036, the signature at the end of the page. */
const SWAP_UUID = 1036;
const SWAP_MAGIC = 4096 - 10;

/** Makes swap, labelled SWAP. Gives its UUID, read back: busybox's mkswap takes a label, but no UUID. */
export function formatSwap(device: string): string {
  wipe(device);
  run(["mkswap", "-L", "SWAP", device]);
  const header = readBytes(device, 0, 4096);
  if (!standsAt(header, SWAP_MAGIC, "SWAPSPACE2")) {
    throw new FirnError("E_PROGRAM_FAILED", `mkswap reported success, but ${device} holds no swap header.`);
  }
  return uuidAt(header, SWAP_UUID);
}
