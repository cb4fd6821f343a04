import { uuidText } from "../text/hex.ts";
import { approximateSize, roundedUpSize as sizeOf } from "../text/size.ts";
import { refuse, type Refusal } from "../problem.ts";

export const MiB = 2 ** 20;
const GiB = 2 ** 30;

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

export interface DiskTarget {
  kind: "disk" | "image";
  bytes: number;
  /** Logical sectors: 512 or 4096; an image's are 512. */
  sectorBytes: number;
  /** The RAM of the machine that installs. */
  memoryBytes: number;
}

/** Sizes are rounded up to whole mebibytes. */
export interface DiskWish {
  /** "auto": 200 MiB, or what FAT32 needs on this disk when that is more. */
  espBytes: number | "auto";
  /** "auto": the least of RAM, 8 GiB and a tenth of a disk; none in an image. */
  swapBytes: number | "auto";
  minimumRootBytes: number;
}

/** GUIDs for the disk and its partitions, made by the caller, since this module is pure. */
export type DiskGuids = Readonly<Record<"disk" | PartitionName, string>>;

const DEFAULT_ESP_BYTES = 200 * MiB;
/** Below this an automatic swap partition is not worth its place. */
const SMALLEST_AUTO_SWAP = 32 * MiB;
/** A table has 128 entries of 128 bytes (UEFI 2.10, 5.3.1: at least 16 KiB). */
const TABLE_BYTES = 128 * 128;

/** FAT with fewer clusters is FAT16, whatever its header says (Microsoft's FAT specification 1.03). */
const FAT32_CLUSTERS = 65_525;
/** mkfs.fat's default for FAT32: reserved sectors, two FATs of four bytes an entry. */
const FAT_RESERVED_SECTORS = 32;
const FAT_COPIES = 2;

const up = (bytes: number): number => Math.ceil(bytes / MiB) * MiB;

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

/** Bytes behind the last partition: the second table and its header. */
function tailBytes(sectorBytes: number): number {
  return TABLE_BYTES + sectorBytes;
}

/**
 * Bytes of the smallest disk that holds these partitions (whole mebibytes): 1 MiB in front, the second table behind.
 */
function enough(parts: number, sectorBytes: number): number {
  return MiB + parts + tailBytes(sectorBytes);
}

function swapFor(target: DiskTarget, wish: DiskWish, left: number): number {
  if (wish.swapBytes !== "auto") return up(wish.swapBytes);
  if (target.kind === "image") return 0;
  const wanted = Math.min(target.memoryBytes, 8 * GiB, target.bytes / 10, left);
  // Swap that nobody asked for yields to the root: it never makes a disk too small.
  return wanted < SMALLEST_AUTO_SWAP ? 0 : Math.floor(wanted / MiB) * MiB;
}

/**
 * Where the partitions go: EFI, ROOT (what is left), SWAP at the end. All start and end on 1 MiB.
 * Refuses with E_DISK_SMALL, which says how small is enough.
 */
export function planDisk(target: DiskTarget, wish: DiskWish, guids: DiskGuids): DiskLayout | Refusal {
  const { sectorBytes } = target;
  const smallestEsp = minimumEspBytes(sectorBytes);
  const esp = up(wish.espBytes === "auto" ? Math.max(DEFAULT_ESP_BYTES, smallestEsp) : wish.espBytes);
  if (esp < smallestEsp) {
    return refuse(
      "E_DISK_SMALL",
      `An EFI partition of ${sizeOf(esp)} is too small: FAT32 needs ${FAT32_CLUSTERS} clusters, which is ${sizeOf(smallestEsp)} with sectors of ${sectorBytes} bytes.`,
      `Use --esp-size ${smallestEsp / MiB}M or more.`,
    );
  }
  const root = up(wish.minimumRootBytes);
  const end = Math.floor((target.bytes - tailBytes(sectorBytes)) / MiB) * MiB;
  const swap = swapFor(target, wish, end - MiB - esp - root);
  if (MiB + esp + root + swap > end) {
    const needed = enough(esp + root + swap, sectorBytes);
    const parts = [`EFI ${sizeOf(esp)}`, `ROOT ${sizeOf(root)}`, ...(swap > 0 ? [`SWAP ${sizeOf(swap)}`] : [])];
    const what = target.kind === "disk" ? "The disk" : "The image";
    return refuse(
      "E_DISK_SMALL",
      `${what} has ${Math.floor(Math.max(0, target.bytes) / MiB)} MiB; ${Math.ceil(needed / MiB)} MiB (${Math.ceil(needed / sectorBytes) * sectorBytes} bytes) is enough: ${parts.join(", ")}.`,
      target.kind === "disk"
        ? "Use a larger disk, or fewer packages, or a smaller --esp-size or --swap-size."
        : `Use --size ${Math.ceil(needed / MiB)}M or more.`,
    );
  }
  const part = (
    number: number,
    name: PartitionName,
    typeCode: Partition["typeCode"],
    startByte: number,
    bytes: number,
  ): Partition => ({
    ...{ number, name, typeCode, guid: guids[name].toLowerCase(), startByte, bytes },
    firstSector: startByte / sectorBytes,
    lastSector: (startByte + bytes) / sectorBytes - 1,
  });
  const partitions = [
    part(1, "EFI", "ef00", MiB, esp),
    part(2, "ROOT", "8300", MiB + esp, end - swap - MiB - esp),
    ...(swap > 0 ? [part(3, "SWAP", "8200", end - swap, swap)] : []),
  ];
  return { partitions, diskGuid: guids.disk.toLowerCase(), sectorBytes };
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
