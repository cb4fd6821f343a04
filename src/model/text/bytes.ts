import { hex, uuidText } from "./hex.ts";

/** Reading numbers and text out of on-disk structures. Offsets in bytes. */

export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
}

export function u32(bytes: Uint8Array, at: number): number {
  return (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0;
}

/** A little-endian 64-bit number; exact up to 2^53, which is more than any disk has bytes. */
export function u64(bytes: Uint8Array, at: number): number {
  return u32(bytes, at) + u32(bytes, at + 4) * 2 ** 32;
}

/** True where `text` (ASCII) stands at `at`. */
export function standsAt(bytes: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** UTF-8 text up to the first NUL, without the spaces that pad it; undecodable bytes are shown as `?`. */
export function textAt(bytes: Uint8Array, at: number, length: number): string {
  const field = bytes.subarray(at, at + length);
  const end = field.indexOf(0);
  const used = [...(end < 0 ? field : field.subarray(0, end))];
  try {
    return decodeURIComponent(hex(used).replace(/../g, "%$&")).trimEnd();
  } catch {
    return String.fromCharCode(...used.map((byte) => (byte < 128 ? byte : 63))).trimEnd();
  }
}

/** UTF-16 text up to the first NUL. `length` in bytes. */
export function wideTextAt(bytes: Uint8Array, at: number, length: number): string {
  let text = "";
  for (let i = at; i < at + length; i += 2) {
    const unit = u16(bytes, i);
    if (unit === 0) break;
    text += String.fromCharCode(unit);
  }
  return text;
}

/** A UUID stored in reading order, as btrfs and swap do. */
export function uuidAt(bytes: Uint8Array, at: number): string {
  return uuidText(bytes.subarray(at, at + 16));
}

/**
 * Where each byte of a UUID in reading order stands in a GUID as EFI stores it: the first three groups little-endian.
 */
const GUID_ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

/** A GUID as EFI stores it. */
export function guidAt(bytes: Uint8Array, at: number): string {
  return uuidText(GUID_ORDER.map((index) => bytes[at + index] ?? 0));
}

/** The 16 bytes that guidAt reads. */
export function guidBytes(guid: string): number[] {
  const bytes = (guid.replaceAll("-", "").match(/../g) ?? []).map((pair) => parseInt(pair, 16));
  return GUID_ORDER.map((index) => bytes[index] ?? 0);
}
