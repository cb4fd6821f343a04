/** The partitions of a disk. Open to the other doors: machine.toml names their sizes. */
import { uuidText } from "../text/hex.ts";
import { approximateSize } from "../text/size.ts";

export const MiB = 2 ** 20;

/** Bytes of the EFI system partition where nobody said how many, and FAT32 needs no more. */
export const DEFAULT_ESP_BYTES = 200 * MiB;

/** What firn puts on a disk, in this order; SWAP may be missing. */
export type PartitionName = "EFI" | "ROOT" | "SWAP";

export interface Partition {
  /** From 1, as the kernel counts. */
  number: number;
  name: PartitionName;
  /** As sgdisk spells GPT types: EFI system, Linux filesystem, Linux swap. */
  typeCode: "ef00" | "8300" | "8200";
  firstSector: number;
  /** Inclusive. */
  lastSector: number;
  /** The partition's unique GUID (PARTUUID), lower case. */
  guid: string;
  startByte: number;
  bytes: number;
}

export interface DiskLayout {
  partitions: readonly Partition[];
  diskGuid: string;
  sectorBytes: number;
}

/** GUIDs for the disk and its partitions, made by the caller, since this module is pure. */
export type DiskGuids = Readonly<Record<"disk" | PartitionName, string>>;

/** FAT with fewer clusters is FAT16, whatever its header says (Microsoft's FAT specification 1.03). */
export const FAT32_CLUSTERS = 65_525;
/** mkfs.fat's default for FAT32: reserved sectors, two FATs of four bytes an entry. */
const FAT_RESERVED_SECTORS = 32;
const FAT_COPIES = 2;

/** Rounded up to whole mebibytes. */
export const up = (bytes: number): number => Math.ceil(bytes / MiB) * MiB;

/**
 * Sectors in a cluster of an EFI partition of so many bytes: clusters of 512 bytes up to 260 MiB and of 4 KiB above,
 * as Microsoft's table and mkfs.fat have it. Said explicitly, because mkfs.fat counts in 512s whatever the disk's
 * sectors are.
 */
export function fatSectorsPerCluster(espBytes: number, sectorBytes: number): number {
  return Math.max(1, (espBytes <= 260 * MiB ? 512 : 4096) / sectorBytes);
}

/** Bytes, in whole mebibytes, of the smallest FAT32 filesystem: 33 MiB with 512-byte sectors, 257 MiB with 4096. */
export function minimumEspBytes(sectorBytes: number): number {
  const fatSectors = Math.ceil(((FAT32_CLUSTERS + 2) * 4) / sectorBytes);
  return up((FAT_RESERVED_SECTORS + FAT_COPIES * fatSectors + FAT32_CLUSTERS) * sectorBytes);
}

/** The partition of that name, which the caller knows to be there: EFI and ROOT always are. */
export function partitionNamed(layout: DiskLayout, name: "EFI" | "ROOT"): Partition;
export function partitionNamed(layout: DiskLayout, name: "SWAP"): Partition | undefined;
export function partitionNamed(layout: DiskLayout, name: PartitionName): Partition | undefined {
  return layout.partitions.find((partition) => partition.name === name);
}

/** The kernel's name of a partition: `/dev/sda1`, but `/dev/nvme0n1p1`: a `p` where the disk's name ends in a digit. */
export function partitionPath(disk: string, number: number): string {
  return `${disk}${/\d$/.test(disk) ? "p" : ""}${number}`;
}

/**
 * argv that writes the whole table in one call. `--clear` starts from an empty table, whatever was there; an alignment
 * of 1 keeps sgdisk from moving the sectors that were planned.
 */
export function sgdiskArguments(layout: DiskLayout, path: string): string[] {
  const each = layout.partitions.flatMap(({ number, firstSector, lastSector, typeCode, name, guid }) => [
    `--new=${number}:${firstSector}:${lastSector}`,
    `--typecode=${number}:${typeCode}`,
    `--change-name=${number}:${name}`,
    `--partition-guid=${number}:${guid}`,
  ]);
  return ["sgdisk", "--clear", `--disk-guid=${layout.diskGuid}`, "--set-alignment=1", ...each, path];
}

/** A random (version 4) GUID from 16 random bytes, RFC 9562, 5.4. Lower case. */
export function guidFrom(random: Uint8Array): string {
  const bytes = [...random.subarray(0, 16)];
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return uuidText(bytes);
}

/** `ROOT 3.5 GiB`, for a person. */
export function sizeLine({ name, bytes }: Partition): string {
  return `${name} ${approximateSize(bytes)}`;
}
