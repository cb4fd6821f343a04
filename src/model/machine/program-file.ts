import { standsAt, u16, u32 } from "../text/bytes.ts";

/** Bytes of a program's beginning that hold its headers and the name of its interpreter. */
export const PROGRAM_HEAD = 4096;

/** A program as the kernel takes it, or that it takes none. */
export interface ProgramFile {
  /** The file has the length that its headers ask for. */
  readonly whole: boolean;
  /** What the kernel starts to run it: the dynamic loader, or a script's interpreter. */
  readonly interpreter: string | undefined;
}

const PT_INTERP = 3;

function textAt(bytes: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...bytes.subarray(from, to)).replace(/\0.*$/s, "");
}

/**
 * What the first bytes of a program say (ELF of 64 bits, little-endian, as on each architecture of firn's; or `#!`);
 * undefined for what is none. `bytes` of the whole file.
 */
export function programFile(head: Uint8Array, bytes: number): ProgramFile | undefined {
  if (standsAt(head, 0, "#!")) {
    const line = textAt(head, 2, Math.min(head.length, 256)).split("\n")[0] ?? "";
    return { whole: true, interpreter: line.trim().split(/[ \t]/)[0] };
  }
  if (!standsAt(head, 0, "\x7fELF") || head.length < 64) return undefined;
  const segments = Array.from({ length: u16(head, 0x38) }, (_, index) => {
    const at = u32(head, 0x20) + u16(head, 0x36) * index;
    const inside = at + 40 <= head.length;
    return inside ? { type: u32(head, at), from: u32(head, at + 8), length: u32(head, at + 32) } : undefined;
  }).filter((segment) => segment !== undefined);
  const named = segments.find(({ type }) => type === PT_INTERP);
  const sections = u32(head, 0x28) + u16(head, 0x3a) * u16(head, 0x3c);
  return {
    whole: segments.length > 0 && Math.max(sections, ...segments.map(({ from, length }) => from + length)) <= bytes,
    interpreter: named && textAt(head, named.from, named.from + named.length),
  };
}
