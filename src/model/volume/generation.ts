import type { IndexTimes } from "../packages/index.ts";
import { changeKinds, type PackageChange } from "../packages/changes.ts";

/** `generation.json`: what firn adds to a generation. Every field is optional to read. */
export interface GenerationRecord {
  /** The generation it was made from. */
  parent?: string;
  /** ISO 8601, UTC. */
  created?: string;
  /** `uname -r` of its kernel. */
  kernel?: string;
  /** The kernel flavour in the boot menu: lts, virt, … */
  flavor?: string;
  /** Alpine's release, from /etc/alpine-release. */
  release?: string;
  description?: string;
  /** What made it: `firn upgrade`, `firn add jq`, … */
  command?: string;
  changes?: PackageChange[];
  /** Of when the indexes were that packages came from, here or in a generation before it. */
  indexes?: IndexTimes;
  /** Bytes that apk says its packages take. */
  installedBytes?: number;
  /** Paths of `.apk-new` files that wait for a decision. */
  conflicts?: string[];
  /** The commons that was made with it. */
  commons?: string;
  pinned?: boolean;
  verdict?: "good" | "bad";
  /** The step that an installation has come to, in its draft too; taken away when its last step is done. */
  installing?: string;
}

const isText = (value: unknown): boolean => typeof value === "string";
const isListOf = (value: unknown, of: (item: unknown) => boolean): boolean => Array.isArray(value) && value.every(of);

function isChange(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { name, kind, from = "", to = "" } = value as Record<string, unknown>;
  return isText(name) && changeKinds.some((known) => known === kind) && isText(from) && isText(to);
}

/** What each field must be to be believed. */
const believable: Record<keyof GenerationRecord, (value: unknown) => boolean> = {
  parent: isText,
  created: isText,
  kernel: isText,
  // It and the next are parts of file names.
  flavor: (value) => isText(value) && /^[\w.-]+$/.test(value as string),
  release: isText,
  description: isText,
  command: isText,
  changes: (value) => isListOf(value, isChange),
  indexes: (value) =>
    typeof value === "object" && value !== null && Object.values(value).every((item) => typeof item === "number"),
  installedBytes: (value) => typeof value === "number",
  conflicts: (value) => isListOf(value, isText),
  commons: (value) => isText(value) && /^@[^/\0]+$/.test(value as string),
  pinned: (value) => typeof value === "boolean",
  verdict: (value) => value === "good" || value === "bad",
  installing: isText,
};
const fits = new Map(Object.entries(believable));

/**
 * Reads generation.json, which is optional: a file that is damaged or of another program gives an empty record, a field
 * of another type is left out. Fields that this firn does not know stay, for the firn that wrote them.
 */
export function parseRecord(text: string | undefined): GenerationRecord {
  if (text === undefined) return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return {};
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return {};
  const record = value as Record<string, unknown>;
  for (const field of Object.keys(record)) if (fits.get(field)?.(record[field]) === false) delete record[field];
  return record;
}

export function renderRecord(record: GenerationRecord): string {
  return `${JSON.stringify(record, undefined, 2)}\n`;
}
