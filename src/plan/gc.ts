import type { GenerationId, LinkSetId } from "../model/volume/ids.ts";
import { refuse, type Refusal } from "../model/problem.ts";
import { mustKeep, retain, type MustKeep, type Retention } from "../model/volume/retention.ts";
import type { DeleterState } from "../model/volume/state.ts";
import { commonWords } from "./step.ts";

/** What can go. */
export interface Garbage {
  readonly generations: readonly GenerationId[];
  /** Directory names. */
  readonly drafts: readonly string[];
  readonly linkSets: readonly LinkSetId[];
}

export type GcStep =
  | { kind: "delete"; name: string }
  | { kind: "delete-draft"; name: string }
  | { kind: "delete-link-sets"; ids: readonly LinkSetId[] }
  | { kind: "flush" };

const why: Readonly<Record<MustKeep, string>> = {
  slot: "is in a boot slot",
  booted: "is booted",
  mounted: "is mounted",
  trial: "is on trial",
  pinned: "is pinned",
  unreadable: "has a record that cannot be read, and may be pinned,",
  "last known good": "is the last one known to be good",
  unknown: "may be what boots, since a link of the volume cannot be read,",
  foreign: "has no root and was not made by firn",
};

/**
 * What can go: drafts, link sets that are no longer in force, and of the generations those that retention allows, or
 * `named`. Refuses with E_GENERATION_KEPT for a named one that must be kept.
 */
export function planGc(
  state: DeleterState,
  retention: Retention,
  named: readonly GenerationId[],
  now: number,
): Garbage | Refusal {
  if (state.slots.length === 0) {
    return refuse(
      "E_GENERATION_KEPT",
      "Nothing says which generation boots: `current` is missing, or its slots lead nowhere. So all of them stay.",
      "`firn switch GEN` sets one; then gc knows what it must keep.",
    );
  }
  const kept = mustKeep(state);
  for (const id of named) {
    const reason = kept.get(id);
    if (reason === undefined) continue;
    const hint = reason === "pinned" ? `\`firn unpin ${id}\` first.` : undefined;
    return refuse("E_GENERATION_KEPT", `${id} ${why[reason]} and stays.`, hint);
  }
  const generations =
    named.length > 0
      ? [...new Set(named)]
      : retain(state, retention, now).flatMap(({ id, keep }) => (keep === undefined ? [id] : []));
  return { generations, drafts: state.drafts, linkSets: state.oldLinkSets };
}

/** The steps that delete it; none when there is nothing. */
export function deletion({ generations, drafts, linkSets }: Garbage): GcStep[] {
  const steps: GcStep[] = [
    ...generations.map((name) => ({ kind: "delete" as const, name })),
    ...drafts.map((name) => ({ kind: "delete-draft" as const, name })),
  ];
  if (linkSets.length > 0) steps.push({ kind: "delete-link-sets", ids: linkSets });
  return steps.length === 0 ? [] : [...steps, { kind: "flush" }];
}

/** One line for a person. */
export function describeGcStep(step: GcStep): string {
  switch (step.kind) {
    case "delete":
      return `Delete ${step.name}`;
    case "delete-draft":
      return `Delete the draft of a run that ended early: ${step.name}`;
    case "delete-link-sets":
      return `Delete ${step.ids.length} ${step.ids.length === 1 ? "link set that is" : "link sets that are"} no longer in force`;
    case "flush":
      return commonWords[step.kind];
    default:
      return step satisfies never;
  }
}
