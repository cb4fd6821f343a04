import type { GenerationId, LinkSetId } from "../model/volume/ids.ts";
import { refuse, type Refusal } from "../model/problem.ts";
import { mustKeep } from "../model/volume/retention.ts";
import { approximateSize } from "../model/text/size.ts";
import { rotate, slotsToFill } from "../model/volume/slots.ts";
import type { VolumeState } from "../model/volume/state.ts";

/** What is done to the draft. */
export type Change =
  | { kind: "apk"; verb: "upgrade" | "add" | "del"; packages: readonly string[]; release?: string }
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
  /** Keep a generation in which nothing changed. */
  force: boolean;
  /** Bytes that the change is expected to take on the volume. */
  neededBytes: number;
  /** When space is short, delete every generation that may go: neither count nor age protects then. */
  autoGc: boolean;
}

export type ChangeStep =
  | { kind: "discard-drafts"; names: readonly string[] }
  | { kind: "collect"; generations: readonly GenerationId[]; linkSets: readonly LinkSetId[] }
  | { kind: "open-draft"; id: GenerationId; base: GenerationId }
  | { kind: "change"; change: Change }
  | { kind: "compare"; force: boolean }
  | { kind: "seal" }
  | { kind: "commit"; slots: readonly GenerationId[] };

/**
 * Bytes that a generation takes beside its packages: metadata of the snapshot and of the directories that change (btrfs
 * copies whole 16 KiB nodes), the apk database, and what ENOSPC handling needs to delete again.
 */
export const GENERATION_OVERHEAD = 32 * 1024 * 1024;

/** The steps from a state to a changed, committed generation, or why not. */
export function planChange(state: VolumeState, wish: ChangeWish): ChangeStep[] | Refusal {
  const base = wish.base ?? state.slots[0];
  if (base === undefined) {
    return refuse(
      "E_NOT_A_VOLUME",
      "Slot 0 names no generation, so there is nothing to start from.",
      "`firn switch GEN` sets one.",
    );
  }
  const steps: ChangeStep[] = [];
  if (state.drafts.length > 0) steps.push({ kind: "discard-drafts", names: state.drafts });
  const needed = wish.neededBytes + GENERATION_OVERHEAD;
  if (state.space.free < needed) {
    const kept = mustKeep(state);
    const free = state.generations.flatMap(({ id }) => (kept.has(id) || id === base ? [] : [id]));
    if (!wish.autoGc || free.length === 0) return noSpace(state, needed, free);
    steps.push({ kind: "collect", generations: free, linkSets: state.oldLinkSets });
  }
  steps.push(
    { kind: "open-draft", id: wish.id, base },
    { kind: "change", change: wish.change },
    { kind: "compare", force: wish.force },
    { kind: "seal" },
    { kind: "commit", slots: rotate(state.slots, wish.id, slotsToFill(state.slotCount)) },
  );
  return steps;
}

function noSpace(state: VolumeState, needed: number, free: readonly GenerationId[]): Refusal {
  return refuse(
    "E_NO_SPACE",
    `This needs ${approximateSize(needed)}, and ${approximateSize(state.space.free)} are free. Nothing was changed.`,
    free.length === 0
      ? "Every generation is in a slot, booted, mounted, on trial, pinned or the last known good: unpin one, or grow the volume."
      : `These could go: ${free.join(", ")}. \`firn gc --free ${Math.ceil(needed / 1024 ** 2)}M\` deletes them; auto-gc = true in /etc/firn/firn.toml does it by itself.`,
  );
}

/** One line for a person. */
export function describeStep(step: ChangeStep): string {
  switch (step.kind) {
    case "discard-drafts":
      return `Delete ${step.names.length === 1 ? "the draft" : "the drafts"} of a run that ended early: ${step.names.join(", ")}`;
    case "collect":
      return `Delete ${step.generations.join(", ")} to make room`;
    case "open-draft":
      return `Open draft ${step.id} from ${step.base}`;
    case "change":
      return describeChange(step.change);
    case "compare":
      return step.force ? "Look at what changed, and keep it even if nothing did" : "Look at what changed";
    case "seal":
      return "Check the boot files and seal";
    case "commit":
      return `Make it slot 0 of ${step.slots.length}`;
    default:
      return step satisfies never;
  }
}

function describeChange(change: Change): string {
  switch (change.kind) {
    case "apk":
      return `apk ${apkArguments(change).join(" ")}`;
    case "command":
      return `Run ${change.argv.join(" ")}`;
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

/** apk's words for a change: `upgrade --available`, `add jq`. */
export function apkArguments(change: Extract<Change, { kind: "apk" }>): string[] {
  return [change.verb, ...(change.release === undefined ? [] : ["--available"]), ...change.packages];
}
