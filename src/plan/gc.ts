import type { GenerationId, LinkSetId } from "../model/volume/ids.ts";
import { refuse, type Refusal } from "../model/problem.ts";
import { mustKeep, retain, type MustKeep, type Retention, type Verdict } from "../model/volume/retention.ts";
import type { DeleterState } from "../model/volume/state.ts";
import { approximateSize } from "../model/text/size.ts";
import { commonWords } from "./step.ts";

/** What can go. */
export interface Garbage {
  readonly generations: readonly GenerationId[];
  /** Directory names. */
  readonly drafts: readonly string[];
  readonly linkSets: readonly LinkSetId[];
  /** What else may go, the oldest first, until so many bytes are free; undefined where they are. */
  readonly short?: { readonly target: number; readonly generations: readonly GenerationId[] };
}

export type GcStep =
  /** `asked`: the user named it, so that what cannot be deleted is an error. */
  | { kind: "delete"; name: string; asked: boolean }
  | { kind: "delete-while-short"; name: GenerationId; target: number }
  | { kind: "await-space"; bytes: number }
  | { kind: "delete-draft"; name: string }
  | { kind: "delete-link-sets"; ids: readonly LinkSetId[] }
  | { kind: "hold-reserve" }
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
  const others = { drafts: state.drafts, linkSets: state.oldLinkSets };
  if (named.length > 0) return { generations: [...new Set(named)], ...others };
  const verdicts = retain(state, retention, now);
  const those = (...keep: Verdict["keep"][]): GenerationId[] =>
    verdicts.flatMap((one) => (keep.includes(one.keep) ? [one.id] : []));
  const target = retention.minimumFree;
  const short = state.space.free < target ? { short: { target, generations: those("count", "age") } } : {};
  return { generations: those(undefined), ...others, ...short };
}

/** The steps that delete the oldest of some generations until so many bytes are free. */
function whileShort(generations: readonly GenerationId[], target: number): GcStep[] {
  if (generations.length === 0) return [];
  return [
    { kind: "await-space", bytes: target },
    ...generations.map((name) => ({ kind: "delete-while-short" as const, name, target })),
  ];
}

/**
 * The steps that delete it, and hold space in reserve where none is; none when there is nothing. `asked`: the user
 * named the generations.
 */
export function deletion({ generations, drafts, linkSets, short }: Garbage, reserve: boolean, asked = false): GcStep[] {
  const steps: GcStep[] = [
    ...generations.map((name) => ({ kind: "delete" as const, name, asked })),
    ...drafts.map((name) => ({ kind: "delete-draft" as const, name })),
  ];
  if (linkSets.length > 0) steps.push({ kind: "delete-link-sets", ids: linkSets });
  steps.push(...whileShort(short?.generations ?? [], short?.target ?? 0));
  if (steps.length > 0 && !reserve) steps.push({ kind: "hold-reserve" });
  return steps.length === 0 ? [] : [...steps, { kind: "flush" }];
}

/** One line for a person. */
export function describeGcStep(step: GcStep): string {
  switch (step.kind) {
    case "delete":
      return `Delete ${step.name}`;
    case "delete-while-short":
      return `Delete ${step.name}, if less than ${approximateSize(step.target)} are free by then`;
    case "await-space":
      return "Wait for the space to be given back";
    case "delete-draft":
      return `Delete the draft of a run that ended early: ${step.name}`;
    case "delete-link-sets":
      return `Delete ${step.ids.length} ${step.ids.length === 1 ? "link set that is" : "link sets that are"} no longer in force`;
    case "hold-reserve":
    case "flush":
      return commonWords[step.kind];
    default:
      return step satisfies never;
  }
}
