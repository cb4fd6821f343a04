import { draftName, type GenerationId, type LinkSetId } from "./ids.ts";

/** Where things are on a volume, relative to its top level. The format of the design, and of the wiki page. */
export const layout = {
  fstab: "fstab",
  current: "current",
  next: "next",
  nextCurrent: "next/current",
  /** The id of the draft that is being committed. */
  nextDraft: "next/draft",
  links: "links",
  snapshots: "snapshots",
  commons: "commons",
  trial: "trial",
  reserve: "reserve",
  linkSet: (id: LinkSetId) => `links/${id}`,
  generation: (id: GenerationId) => `snapshots/${id}`,
  draft: (id: GenerationId) => `snapshots/${draftName(id)}`,
  common: (name: string) => `commons/${name}`,
  /** A commons that is made with a draft: no path gives such a name. */
  draftCommon: (id: GenerationId) => `commons/${draftName(id)}`,
} as const;

/** The root subvolume's name inside a generation. */
export const ROOT = "@";
export const METADATA = "generation.json";
/** For root alone: a description, and what other programs of a volume note, may be meant for nobody else. */
export const RECORD_MODE = 0o600;

/** What `current` points at. */
export function currentTarget(id: LinkSetId): string {
  return `./links/${id}`;
}

/** What a slot points at, seen from its link set. */
export function slotTarget(id: GenerationId): string {
  return `../../snapshots/${id}`;
}

/** The last part of a symlink's target: `../../snapshots/X` and `/snapshots/X/` both give `X`. */
export function targetName(target: string): string {
  return target.replace(/\/+$/, "").split("/").at(-1) ?? "";
}

/**
 * The name in `folder` to which a symlink in `holder` leads, both below the top level: as whoever boots resolves it,
 * for whom the top level is `/`. Undefined where it leads elsewhere.
 */
export function nameLedTo(folder: string, holder: string, target: string): string | undefined {
  const parts: string[] = [];
  for (const part of (target.startsWith("/") ? target : `${holder}/${target}`).split("/")) {
    if (part === ".." && parts.pop() === undefined) return undefined;
    if (!["", ".", ".."].includes(part)) parts.push(part);
  }
  const [first, name, ...deeper] = parts;
  return first === folder && deeper.length === 0 ? name : undefined;
}

/** The generation in a subvolume path of mountinfo or fstab, `/snapshots/X/@`. */
export function generationOfSubvolume(path: string): string | undefined {
  return /^\/*snapshots\/([^/]+)\/@/.exec(path)?.[1];
}
