import { isRefusal, type Refusal } from "../problem.ts";
import { bad, quoted } from "./complaint.ts";

/** Powers of 1024, as mkfs.btrfs, sgdisk and truncate read these letters. */
const UNITS: Readonly<Record<string, number>> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40, P: 2 ** 50 };

/**
 * Bytes from "4G", "200M", "1.5 GiB", "512" (bytes). Units count in 1024s; "GB" is refused because it means 1000s to
 * some and 1024s to others.
 */
export function parseSize(text: string): number | Refusal {
  const match = /^(\d+(?:\.\d+)?) *([KMGTP]?)(i?B)?$/i.exec(text.trim());
  const advice = "Write for example 4G, 200M or 1.5GiB; the units count in 1024s.";
  if (match === null) return bad(`${quoted(text)} is not a size.`, advice);
  const unit = match[2]!.toUpperCase();
  const suffix = (match[3] ?? "").toLowerCase();
  if (suffix === "b" && unit !== "") {
    return bad(`${quoted(text)} is ambiguous: ${unit}B counts in 1000s or in 1024s.`, advice);
  }
  if (suffix === "ib" && unit === "") return bad(`${quoted(text)} is not a size.`, advice);
  if (unit === "" && match[1]!.includes(".")) return bad(`${quoted(text)} is not a whole number of bytes.`, advice);
  const bytes = Math.round(Number(match[1]) * UNITS[unit]!);
  if (!Number.isSafeInteger(bytes)) return bad(`${quoted(text)} is larger than any disk.`, advice);
  return bytes;
}

/**
 * The shortest spelling that `parseSize` reads back as the same number: 4294967296 → "4G", 1610612736 → "1.5G",
 * 1000 → "1000". At most one decimal.
 */
export function formatSize(bytes: number): string {
  for (const unit of ["P", "T", "G", "M", "K"]) {
    const tenths = (bytes / UNITS[unit]!) * 10;
    if (tenths < 10) continue;
    if (Number.isInteger(tenths) && Math.round((tenths / 10) * UNITS[unit]!) === bytes) return `${tenths / 10}${unit}`;
  }
  return String(bytes);
}

const DAYS: Readonly<Record<string, number>> = { "": 1, d: 1, w: 7, m: 30, y: 365 };

/** Days from "30d", "4w", "6m" (of 30 days), "1y" (of 365), "30". */
export function parseDays(text: string): number | Refusal {
  const match = /^(\d{1,5}) *([dwmy]?)$/i.exec(text.trim());
  if (match === null) return bad(`${quoted(text)} is not a time span.`, "Write for example 30d, 4w, 6m or 1y.");
  return Number(match[1]) * DAYS[match[2]!.toLowerCase()]!;
}

/** An amount of space: so many bytes, or a share of the volume. */
export type Space = { readonly bytes: number } | { readonly percent: number };

/** "2G" → bytes, "10%" → a share of the volume, 0 to 90 percent. */
export function parseSpace(text: string): Space | Refusal {
  const match = /^(\d{1,3}(?:\.\d+)?) *%$/.exec(text.trim());
  if (match === null) {
    const size = parseSize(text);
    if (isRefusal(size)) {
      return bad(`${quoted(text)} is neither a size nor a percentage.`, "Write for example 2G or 10%.");
    }
    return { bytes: size };
  }
  const percent = Number(match[1]);
  if (percent > 90) return bad(`${quoted(text)} leaves no room to work in.`, "Keep at most 90% of the volume free.");
  return { percent };
}

/** Bytes that `space` asks for on a volume of `total` bytes. */
export function spaceIn(space: Space, total: number): number {
  return "bytes" in space ? space.bytes : Math.ceil((total * space.percent) / 100);
}

/** `bytes` in the largest of `units` of which there is at least one; each unit is `base` of the one before. */
function scaled(bytes: number, base: number, units: readonly string[]): { amount: number; unit: string } {
  let amount = bytes;
  let at = 0;
  while (amount >= base && at < units.length - 1) {
    amount /= base;
    at++;
  }
  return { amount, unit: units[at]! };
}

/** For a person: `3.5 GiB`, `812 KiB`; one decimal, rounded. */
export function approximateSize(bytes: number): string {
  const { amount, unit } = scaled(bytes, 1024, ["bytes", "KiB", "MiB", "GiB", "TiB"]);
  return `${unit === "bytes" || amount >= 100 ? Math.round(amount) : Math.round(amount * 10) / 10} ${unit}`;
}

/**
 * For a person who must provide so much: whole mebibytes, from 10 GiB on tenths of a gibibyte, never less than `bytes`.
 */
export function roundedUpSize(bytes: number): string {
  const mebibytes = Math.ceil(bytes / 2 ** 20);
  return mebibytes < 10_240 ? `${mebibytes} MiB` : `${(Math.ceil((mebibytes / 1024) * 10) / 10).toFixed(1)} GiB`;
}

/** In 1000s, as disks are sold: a person compares it with a label. */
export function soldSize(bytes: number): string {
  const { amount, unit } = scaled(bytes, 1000, ["bytes", "kB", "MB", "GB", "TB", "PB"]);
  return `${unit === "bytes" ? amount : amount.toFixed(1)} ${unit}`;
}
