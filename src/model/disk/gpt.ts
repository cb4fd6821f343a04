import { guidAt, standsAt, u32, u64, wideTextAt } from "../text/bytes.ts";

/** One entry of a partition table. GUIDs in lower case. */
export interface GptPartition {
  /** From 1: the entry's place in the table. */
  number: number;
  name: string;
  type: string;
  guid: string;
  startByte: number;
  bytes: number;
}

export interface Gpt {
  kind: "gpt";
  diskGuid: string;
  sectorBytes: number;
  partitions: GptPartition[];
}

/** Why bytes are no usable table. `none`: there is no GPT; the others: there is one, but damaged. */
export interface GptFault {
  kind: "fault";
  fault: "none" | "header checksum" | "entries checksum" | "cut short";
}

/**
 * Bytes from a disk's start that hold the header and 128 entries at either sector size: two sectors of 4096, and 16
 * KiB.
 */
export const GPT_HEAD_BYTES = 2 * 4096 + 128 * 128;

/** EFI system, Linux filesystem and Linux swap (UEFI 2.10, table 5-7; the Discoverable Partitions Specification). */
export const partitionTypes = {
  efi: "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
  linux: "0fc63daf-8483-4772-8e79-3d69d8477de4",
  swap: "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f",
} as const;

let crcTable: Uint32Array | undefined;

function table(): Uint32Array {
  crcTable ??= Uint32Array.from({ length: 256 }, (_, index) => {
    let value = index;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
    return value >>> 0;
  });
  return crcTable;
}

/** CRC-32 as zlib, gzip and GPT have it (reflected polynomial 0xEDB88320). */
export function crc32(bytes: Uint8Array): number {
  const steps = table();
  let value = 0xffffffff;
  for (const byte of bytes) value = (value >>> 8) ^ (steps[(value ^ byte) & 255] ?? 0);
  return (value ^ 0xffffffff) >>> 0;
}

const fault = (what: GptFault["fault"]): GptFault => ({ kind: "fault", fault: what });

/**
 * Reads the first partition table of a disk. `bytes` begin at the disk's first byte and hold at least
 * GPT_HEAD_BYTES (or the whole, smaller disk). Both checksums are verified.
 */
export function parseGpt(bytes: Uint8Array, sectorBytes: number): Gpt | GptFault {
  const header = bytes.subarray(sectorBytes, 2 * sectorBytes);
  if (!standsAt(header, 0, "EFI PART")) return fault("none");
  const length = u32(header, 12);
  if (length < 92 || length > sectorBytes || header.length < length) return fault("header checksum");
  const sealed = header.slice(0, length);
  sealed.fill(0, 16, 20); // the checksum is computed with its own field zeroed
  if (crc32(sealed) !== u32(header, 16)) return fault("header checksum");
  const first = u64(header, 72) * sectorBytes;
  const count = u32(header, 80);
  const each = u32(header, 84);
  const entries = bytes.subarray(first, first + count * each);
  if (each < 128 || entries.length < count * each) return fault("cut short");
  if (crc32(entries) !== u32(header, 88)) return fault("entries checksum");
  const partitions: GptPartition[] = [];
  for (let index = 0; index < count; index++) {
    const at = index * each;
    const type = guidAt(entries, at);
    if (/^[0-]+$/.test(type)) continue;
    const startSector = u64(entries, at + 32);
    partitions.push({
      number: index + 1,
      name: wideTextAt(entries, at + 56, 72),
      type,
      guid: guidAt(entries, at + 16),
      startByte: startSector * sectorBytes,
      bytes: (u64(entries, at + 40) - startSector + 1) * sectorBytes,
    });
  }
  return { kind: "gpt", diskGuid: guidAt(header, 56), sectorBytes, partitions };
}

/** As parseGpt, for an image whose sector size nobody knows: 512 first, then 4096. */
export function findGpt(bytes: Uint8Array): Gpt | GptFault {
  const small = parseGpt(bytes, 512);
  if (small.kind === "gpt") return small;
  const large = parseGpt(bytes, 4096);
  return large.kind === "gpt" || small.fault === "none" ? large : small;
}
