import type { GenerationId, LinkSetId } from "../model/ids.ts";
import { refuse, type Refusal } from "../model/problem.ts";
import { mustKeep, retain, type Retention } from "../model/retention.ts";
import type { VolumeState } from "../model/state.ts";

export interface GcPlan {
  generations: readonly GenerationId[];
  drafts: readonly string[];
  linkSets: readonly LinkSetId[];
}

/**
 * What can go: by retention, or exactly `named`. Refuses with E_GENERATION_KEPT for one that is in a slot, booted, on trial,
 * pinned or the last known good.
 */
export function planGc(
  state: VolumeState,
  retention: Retention,
  named: readonly GenerationId[],
  now: number,
): GcPlan | Refusal {
  for (const id of named) {
    const reason = mustKeep(state, id);
    if (reason === undefined) continue;
    const what = {
      slot: "is in a boot slot",
      booted: "is booted",
      mounted: "is mounted",
      trial: "is on trial",
      pinned: "is pinned",
      "last known good": "is the last one known to be good",
      count: "",
      age: "",
    }[reason];
    const hint = reason === "pinned" ? `\`firn unpin ${id}\` first.` : undefined;
    return refuse("E_GENERATION_KEPT", `${id} ${what} and stays. Nothing was deleted.`, hint);
  }
  const generations =
    named.length > 0
      ? [...named]
      : retain(state, retention, now).flatMap(({ id, keep }) => (keep === undefined ? [id] : []));
  return { generations, drafts: state.drafts, linkSets: state.oldLinkSets };
}
