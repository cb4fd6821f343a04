import type { PackageChange } from "./apk/changes.ts";

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
  /** Bytes that apk says its packages take. */
  installedBytes?: number;
  /** Paths of `.apk-new` files that wait for a decision. */
  conflicts?: string[];
  pinned?: boolean;
  verdict?: "good" | "bad";
}

/** How far an unfinished installation has come; stands in the draft's generation.json. */
export interface InstallProgress {
  installing: string;
}

/** Reads generation.json; a file that is damaged or of another program gives an empty record: it is optional. */
export function parseRecord(text: string | undefined): GenerationRecord & Partial<InstallProgress> {
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

export function renderRecord(record: GenerationRecord | InstallProgress): string {
  return `${JSON.stringify(record, undefined, 2)}\n`;
}
