import type { GenerationId, LinkSetId } from "../model/volume/ids.ts";
import { refuse, type Refusal } from "../model/problem.ts";
import { mustKeep, retain, type MustKeep, type Retention } from "../model/volume/retention.ts";
import type { VolumeState } from "../model/volume/state.ts";

export interface GcPlan {
  generations: readonly GenerationId[];
  drafts: readonly string[];
  linkSets: readonly LinkSetId[];
}

const why: Readonly<Record<MustKeep, string>> = {
  slot: "is in a boot slot",
  booted: "is booted",
  mounted: "is mounted",
  trial: "is on trial",
  pinned: "is pinned",
  "last known good": "is the last one known to be good",
  foreign: "has no root and was not made by firn",
};

/**
 * What can go: drafts, link sets that are no longer in force, and of the generations those that retention allows, or `named`.
 * Refuses with E_GENERATION_KEPT for a named one that must be kept.
 */
export function planGc(
  state: VolumeState,
  retention: Retention,
  named: readonly GenerationId[],
  now: number,
): GcPlan | Refusal {
  const kept = mustKeep(state);
  for (const id of named) {
    const reason = kept.get(id);
    if (reason === undefined) continue;
    const hint = reason === "pinned" ? `\`firn unpin ${id}\` first.` : undefined;
    return refuse("E_GENERATION_KEPT", `${id} ${why[reason]} and stays. Nothing was deleted.`, hint);
  }
  const generations =
    named.length > 0
      ? [...new Set(named)]
      : retain(state, retention, now).flatMap(({ id, keep }) => (keep === undefined ? [id] : []));
  return { generations, drafts: state.drafts, linkSets: state.oldLinkSets };
}
