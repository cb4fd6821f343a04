import type { GenerationId } from "../model/volume/ids.ts";
import { refuseOlder, type PackageChange } from "../model/packages/changes.ts";
import { isPackageFile, parsePackages } from "../model/packages/constraint.ts";
import type { PackageWish } from "../model/packages/wish.ts";
import { isRefusal, refuse, type Refusal } from "../model/problem.ts";
import { commonsOf } from "../model/volume/fstab.ts";
import { mustKeep } from "../model/volume/retention.ts";
import { withoutWords } from "../model/text/secrets.ts";
import { approximateSize } from "../model/text/size.ts";
import { slotsAfter, type DeleterState, type VolumeState } from "../model/volume/state.ts";
import { deletion, describeGcStep, type GcStep } from "./gc.ts";
import { commonWords } from "./step.ts";

/** What is done to the draft. */
export type Change =
  | ({ kind: "packages" } & PackageWish)
  | { kind: "command"; argv: readonly string[] }
  | { kind: "shell" }
  | { kind: "edit"; file: string; editor: readonly string[] }
  | { kind: "add-commons"; name: string; path: string }
  | { kind: "remove-commons"; path: string };

export interface ChangeWish {
  change: Change;
  /** Without it slot 0, so that pending changes stack. */
  base?: GenerationId;
  /** The name of the generation to be. */
  id: GenerationId;
  /** Keep a generation in which nothing changed, or which lacks what a system needs. */
  force: boolean;
  /** Bytes that the change is expected to take on the volume. */
  neededBytes: number;
  /** Bytes of them that come over the network first. */
  fetchBytes: number;
  /** When space is short, delete generations that may go, the oldest first: neither count nor age protects then. */
  autoGc: boolean;
  /** Packages that would become older without anybody having asked for it, and whether that is meant. */
  unasked: readonly PackageChange[];
  allowDowngrade: boolean;
}

export type ChangeStep =
  | GcStep
  | { kind: "require-space"; bytes: number }
  | { kind: "fetch"; bytes: number }
  | { kind: "open-draft"; id: GenerationId; base: GenerationId }
  | { kind: "change"; change: Change }
  | { kind: "fstab" }
  | { kind: "compare" }
  | { kind: "discard-unchanged" }
  | { kind: "make-readable" }
  | { kind: "check-draft"; force: boolean }
  | { kind: "boot-files" }
  | { kind: "seal" }
  | { kind: "commit"; slots: readonly GenerationId[] };

/**
 * Bytes that a generation takes beside its packages: metadata of the snapshot and of the directories that change (btrfs
 * copies whole 16 KiB nodes), the apk database, and what ENOSPC handling needs to delete again.
 */
export const GENERATION_OVERHEAD = 32 * 1024 * 1024;

/** Whether room must be made for so many bytes: the plan then has to know what is mounted. */
export function lacksSpace({ space }: VolumeState, neededBytes: number): boolean {
  return space.free < neededBytes + GENERATION_OVERHEAD;
}

/**
 * The steps from a state to a changed, committed generation, or why not. Where it `lacksSpace` the state is that of
 * somebody who deletes.
 */
export function planChange(state: VolumeState | DeleterState, wish: ChangeWish): ChangeStep[] | Refusal {
  const base = wish.base ?? state.slots[0];
  if (base === undefined) {
    return refuse(
      "E_NOT_A_VOLUME",
      "Slot 0 names no generation, so there is nothing to start from.",
      "`firn switch GEN` sets one.",
    );
  }
  if (wish.unasked.length > 0 && !wish.allowDowngrade) return refuseOlder(wish.unasked);
  const room = makeRoom(state, wish, base);
  if (isRefusal(room)) return room;
  return [
    ...state.drafts.map((name) => ({ kind: "delete-draft" as const, name })),
    ...room,
    ...(wish.fetchBytes > 0 ? [{ kind: "fetch" as const, bytes: wish.fetchBytes }] : []),
    { kind: "open-draft", id: wish.id, base },
    { kind: "change", change: wish.change },
    { kind: "fstab" },
    { kind: "flush" },
    { kind: "compare" },
    ...(wish.force ? [] : [{ kind: "discard-unchanged" as const }]),
    { kind: "make-readable" },
    { kind: "check-draft", force: wish.force },
    { kind: "boot-files" },
    ...(state.reserve ? [] : [{ kind: "hold-reserve" as const }]),
    { kind: "seal" },
    { kind: "commit", slots: slotsAfter(state, wish.id) },
  ];
}

/** The steps that make room when space is short: none when it is not. */
function makeRoom(state: VolumeState | DeleterState, wish: ChangeWish, base: GenerationId): ChangeStep[] | Refusal {
  if (!lacksSpace(state, wish.neededBytes)) return [];
  if (!("mounted" in state)) throw new Error("room is to be made, and nobody looked for what is mounted");
  const needed = wish.neededBytes + GENERATION_OVERHEAD;
  const kept = mustKeep(state);
  // Where nothing says what boots, every one of them may be it.
  const idle = state.slots.length === 0 ? [] : state.generations;
  const generations = idle.flatMap(({ id }) => (kept.has(id) || id === base ? [] : [id]));
  if (!wish.autoGc || generations.length === 0) return noSpace(state, needed, generations);
  const short = { target: needed, generations };
  const garbage = { generations: [], drafts: [], linkSets: state.oldLinkSets, short };
  return [...deletion(garbage, true), { kind: "require-space", bytes: needed }];
}

function noSpace(state: VolumeState, needed: number, free: readonly GenerationId[]): Refusal {
  return refuse(
    "E_NO_SPACE",
    `This needs ${approximateSize(needed)}, and ${approximateSize(state.space.free)} are free.`,
    free.length === 0
      ? "Every generation is in a slot, booted, mounted, on trial, pinned or the last known good: unpin one, or grow the volume."
      : `These could go: ${free.join(", ")}. \`firn gc --free ${Math.ceil(needed / 1024 ** 2)}M\` deletes the oldest of them; auto-gc = true in /etc/firn/firn.toml does it by itself.`,
  );
}

/** One line for a person. */
export function describeStep(step: ChangeStep): string {
  switch (step.kind) {
    case "delete":
    case "delete-while-short":
    case "await-space":
    case "delete-draft":
    case "delete-link-sets":
    case "hold-reserve":
    case "flush":
      return describeGcStep(step);
    case "require-space":
      return "Look whether that made enough room";
    case "fetch":
      return `Fetch ${approximateSize(step.bytes)}`;
    case "open-draft":
      return `Open draft ${step.id} from ${step.base}`;
    case "change":
      return describeChange(step.change);
    case "compare":
      return "Look at what changed";
    case "discard-unchanged":
      return "Discard it if nothing did";
    case "check-draft":
      return "Check that it has what a system needs";
    case "commit":
      return `Make it slot 0 of ${step.slots.length}`;
    case "fstab":
    case "make-readable":
    case "boot-files":
    case "seal":
      return commonWords[step.kind];
    default:
      return step satisfies never;
  }
}

function describeChange(change: Change): string {
  switch (change.kind) {
    case "packages":
      return describePackages(change);
    case "command":
      return `Run ${withoutWords(change.argv)}`;
    case "shell":
      return "Run a shell";
    case "edit":
      return `Edit ${change.file}`;
    case "add-commons":
      return `Share ${change.path} between the generations as ${change.name}`;
    case "remove-commons":
      return `Stop sharing ${change.path}`;
    default:
      return change satisfies never;
  }
}

function describePackages({ verb, packages, files = [], release }: PackageWish): string {
  switch (verb) {
    case "upgrade":
      return `Upgrade the packages${release === undefined ? "" : ` to ${release}`}`;
    case "add":
      return `Add ${[...packages, ...files].join(" ")}`;
    case "del":
      return `Remove ${packages.join(" ")}`;
    default:
      return verb satisfies never;
  }
}

/**
 * The change that adds or removes packages, or adds what lies in files; a word that is neither, such as an option, is
 * refused.
 */
export function planPackages(verb: "add" | "del", words: readonly string[]): Change | Refusal {
  const files = verb === "add" ? words.filter((word) => isPackageFile(word)) : [];
  const packages = parsePackages(
    words.filter((word) => !files.includes(word)),
    `firn ${verb}`,
  );
  if (isRefusal(packages)) return packages;
  return { kind: "packages", verb, packages, ...(files.length === 0 ? {} : { files }) };
}

/** The change that edits a file, links followed, unless it is one that needs no generation or cannot be named so. */
export function planEdit(state: VolumeState, file: string, editor: readonly string[]): Change | Refusal {
  if (!file.startsWith("/")) {
    return refuse("E_FILE", `${file} is no absolute path.`, "Name the file as the running system does: /etc/hosts.");
  }
  const common = commonsOf(state.template ?? "").find(({ path }) => file.startsWith(`${path}/`));
  if (common !== undefined)
    return refuse("E_FILE", `${file} is shared between the generations.`, "Edit it directly: it is writable.");
  return { kind: "edit", file, editor };
}
