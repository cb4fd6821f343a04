import type { PackageChange } from "../model/packages/changes.ts";

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
] as const;
const SECONDS = ["s", 1000] as const;

/** `3 d`, `5 h`: milliseconds as one number and unit; "-" when the time is not known (0). */
export function age(milliseconds: number, known: number): string {
  if (known === 0) return "-";
  // An index, not destructuring: a list asks a thousand times, and an iterator costs ten times a comparison here.
  const found = UNITS.find((unit) => milliseconds >= unit[1]) ?? SECONDS;
  return `${Math.max(0, Math.floor(milliseconds / found[1]))} ${found[0]}`;
}

/** `+ jq 1.7.1-r0`, `busybox 1.36.1-r15 -> 1.36.1-r29`. */
export function changeText({ name, kind, from = "", to = "" }: PackageChange): string {
  switch (kind) {
    case "added":
      return `+ ${name} ${to}`;
    case "removed":
      return `- ${name} ${from}`;
    case "upgraded":
      return `^ ${name} ${from} -> ${to}`;
    case "downgraded":
      return `v ${name} ${from} -> ${to}`;
    case "replaced":
      return `~ ${name} ${to || from}`;
    default:
      return kind satisfies never;
  }
}
