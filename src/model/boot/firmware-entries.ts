/** The boot entries of EFI firmware, as its variables hold them (UEFI 2.10, 3.1.3 and 10.3). */
import { guidAt, guidBytes, u16, u32, u64, wideTextAt } from "../text/bytes.ts";

/** EFI_LOAD_OPTION, the value of a variable `Boot0003`. */
export interface LoadOption {
  label: string;
  /** LOAD_OPTION_ACTIVE: the firmware tries it by itself. */
  active: boolean;
  partition: HardDrive | undefined;
  /** `\EFI\firn\refind_x64.efi`; undefined for entries that name no file. */
  loader: string | undefined;
}

/** The device path's node of a GPT partition. Blocks are of the disk's logical sectors. */
export interface HardDrive {
  number: number;
  firstBlock: number;
  blocks: number;
  /** PARTUUID, lower case. */
  guid: string;
}

const ACTIVE = 1;
/** Types and sub-types of device path nodes. */
const MEDIA = { type: 4, hardDrive: 1, file: 4 } as const;
const END = [0x7f, 0xff, 4, 0] as const;
const HARD_DRIVE_BYTES = 42;
/** PartitionFormat and SignatureType of a GPT. */
const GPT = { format: 2, signature: 2 } as const;

/** Reads the value of a `Boot####`; undefined when it is none. */
export function parseLoadOption(bytes: Uint8Array): LoadOption | undefined {
  if (bytes.length < 8) return undefined;
  const pathBytes = u16(bytes, 4);
  let at = 6;
  while (at + 1 < bytes.length && u16(bytes, at) !== 0) at += 2;
  if (at + 1 >= bytes.length) return undefined;
  const label = wideTextAt(bytes, 6, at - 6);
  at += 2;
  const end = at + pathBytes;
  if (end > bytes.length) return undefined;
  let partition: HardDrive | undefined;
  let loader: string | undefined;
  while (at + 4 <= end) {
    const length = u16(bytes, at + 2);
    if (length < 4 || at + length > end || bytes[at] === END[0]) break;
    if (bytes[at] === MEDIA.type && bytes[at + 1] === MEDIA.hardDrive) partition = hardDriveAt(bytes, at, length);
    if (bytes[at] === MEDIA.type && bytes[at + 1] === MEDIA.file) {
      loader = (loader ?? "") + wideTextAt(bytes, at + 4, length - 4);
    }
    at += length;
  }
  return { label, active: (u32(bytes, 0) & ACTIVE) !== 0, partition, loader };
}

function hardDriveAt(bytes: Uint8Array, at: number, length: number): HardDrive | undefined {
  if (length < HARD_DRIVE_BYTES || bytes[at + 41] !== GPT.signature) return undefined;
  return {
    ...{ number: u32(bytes, at + 4), firstBlock: u64(bytes, at + 8), blocks: u64(bytes, at + 16) },
    guid: guidAt(bytes, at + 24),
  };
}

const le = (value: number, length: number): number[] =>
  Array.from({ length }, (_, index) => Math.floor(value / 256 ** index) % 256);

const wide = (text: string): number[] => Array.from(`${text}\0`).flatMap((char) => le(char.charCodeAt(0), 2));

/** The value of a `Boot####` that starts a file of a GPT partition, without data behind its path. */
export function renderLoadOption(label: string, partition: HardDrive, loader: string): Uint8Array {
  const { number, firstBlock, blocks, guid } = partition;
  const drive = [MEDIA.type, MEDIA.hardDrive, ...le(HARD_DRIVE_BYTES, 2), ...le(number, 4), ...le(firstBlock, 8)];
  const name = wide(loader);
  const path = [
    ...drive,
    ...[...le(blocks, 8), ...guidBytes(guid), GPT.format, GPT.signature],
    ...[MEDIA.type, MEDIA.file, ...le(name.length + 4, 2), ...name],
    ...END,
  ];
  return new Uint8Array([...le(ACTIVE, 4), ...le(path.length, 2), ...wide(label), ...path]);
}

/** `0003`, as a variable's name has it. */
export function entryNumber(value: number): string {
  return value.toString(16).toUpperCase().padStart(4, "0");
}

/** BootOrder. */
export function parseBootOrder(bytes: Uint8Array): string[] {
  return Array.from({ length: Math.floor(bytes.length / 2) }, (_, index) => entryNumber(u16(bytes, index * 2)));
}

export function renderBootOrder(order: readonly string[]): Uint8Array {
  return new Uint8Array(order.flatMap((number) => le(parseInt(number, 16), 2)));
}

/** A boot entry with its number. */
export interface BootEntry extends LoadOption {
  number: string;
}

/**
 * The entries that an installation's own replaces: those that start the same file, on the same partition or, under the
 * same label, on one that is no more. A disk that is unplugged looks like one that is no more, so an entry whose
 * partition lay elsewhere than the new one stays.
 */
export function replaced(
  entries: readonly BootEntry[],
  wish: { label: string; partition: HardDrive; loader: string },
  partitions: ReadonlySet<string>,
): BootEntry[] {
  const same = (a: HardDrive, b: HardDrive): boolean => a.number === b.number && a.firstBlock === b.firstBlock;
  return entries.filter(({ label, partition, loader }) => {
    if (partition === undefined || loader?.toLowerCase() !== wish.loader.toLowerCase()) return false;
    if (partition.guid === wish.partition.guid.toLowerCase()) return true;
    return label === wish.label && !partitions.has(partition.guid) && same(partition, wish.partition);
  });
}
