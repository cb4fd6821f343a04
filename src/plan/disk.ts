import { DEFAULT_ESP_BYTES, FAT32_CLUSTERS, MiB, minimumEspBytes, up } from "../model/disk/partitions.ts";
import type { DiskGuids, DiskLayout, Partition, PartitionName } from "../model/disk/partitions.ts";
import { refuse, type Refusal } from "../model/problem.ts";
import { roundedUpSize } from "../model/text/size.ts";

const GiB = 2 ** 30;

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
  /** "auto": the default, or what FAT32 needs on this disk when that is more. */
  espBytes: number | "auto";
  /** "auto": the least of RAM, 8 GiB and a tenth of a disk; none in an image. */
  swapBytes: number | "auto";
  minimumRootBytes: number;
}

/** Below this an automatic swap partition is not worth its place. */
const SMALLEST_AUTO_SWAP = 32 * MiB;
/** A table has 128 entries of 128 bytes (UEFI 2.10, 5.3.1: at least 16 KiB). */
const TABLE_BYTES = 128 * 128;

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
      `An EFI partition of ${roundedUpSize(esp)} is too small: FAT32 needs ${FAT32_CLUSTERS} clusters, which is ${roundedUpSize(smallestEsp)} with sectors of ${sectorBytes} bytes.`,
      `Use --esp-size ${smallestEsp / MiB}M or more.`,
    );
  }
  const root = up(wish.minimumRootBytes);
  const end = Math.floor((target.bytes - tailBytes(sectorBytes)) / MiB) * MiB;
  const swap = swapFor(target, wish, end - MiB - esp - root);
  if (MiB + esp + root + swap > end) {
    const needed = enough(esp + root + swap, sectorBytes);
    const parts = [
      `EFI ${roundedUpSize(esp)}`,
      `ROOT ${roundedUpSize(root)}`,
      ...(swap > 0 ? [`SWAP ${roundedUpSize(swap)}`] : []),
    ];
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
