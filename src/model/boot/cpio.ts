/** Archives of the form "newc" (Linux's Documentation/driver-api/early-userspace/buffer-format.rst). */

/** Bytes. */
export const CPIO_HEADER = 110;

/** The name of the entry that ends an archive. */
export const CPIO_END = "TRAILER!!!";

export interface CpioEntry {
  /** With the NUL at its end. */
  readonly nameBytes: number;
  readonly bytes: number;
}

/** Reads the header of an entry; undefined for what is none. */
export function cpioEntry(header: Uint8Array): CpioEntry | undefined {
  const text = String.fromCharCode(...header);
  if (!/^07070[12][0-9a-f]{104}$/i.test(text)) return undefined;
  const field = (number: number): number => parseInt(text.slice(6 + 8 * number, 14 + 8 * number), 16);
  return { bytes: field(6), nameBytes: field(11) };
}

/** Where what follows a name or a file begins. */
export function cpioAligned(at: number): number {
  return Math.ceil(at / 4) * 4;
}
