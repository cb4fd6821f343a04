import { gcExecutors, type GcContext } from "../apply/gc.ts";
import { retentionWish } from "../model/machine/firn-toml.ts";
import { withMounted } from "../host/volume/inspect-volume.ts";
import { awaitFreed } from "../host/volume/space.ts";
import { approximateSize, parseSpace, type Space } from "../model/text/size.ts";
import { FirnError, isRefusal, orThrow } from "../model/problem.ts";
import { layout } from "../model/volume/layout.ts";
import { select } from "../model/volume/selector.ts";
import { deletion, describeGcStep, planGc } from "../plan/gc.ts";
import { planned } from "./session/planned.ts";
import type { Result } from "../report/result.ts";
import { writing, type WriteFlags } from "./session/session.ts";
import { given } from "../model/given.ts";

export interface GcFlags extends WriteFlags {
  keep?: string;
  free?: string;
}

/** `firn gc [GEN…]` */
export function gc(flags: GcFlags, words: readonly string[]): Result {
  return writing(flags, "firn gc", ({ volume, store, state, report, config, carryOut }) => {
    const { retention: settings } = config();
    const retention = retentionWish(
      {
        ...settings,
        ...given({
          keepCount: flags.keep === undefined ? undefined : count(flags.keep),
          minFree: flags.free === undefined ? undefined : space(flags.free),
        }),
      },
      state.space.total,
    );
    const named = words.map((word) => orThrow(select(state, word)));
    const garbage = orThrow(planGc(withMounted(volume, state), retention, named, Date.now()));
    const plan = { steps: deletion(garbage, state.reserve, named.length > 0), describe: describeGcStep };
    if (flags.dryRun) return planned(plan, { deleted: false, ...garbage });
    const freed: GcContext["freed"] = [];
    carryOut(plan, gcExecutors, { store, report, freed });
    const { short } = garbage;
    const isGone = (...names: string[]): boolean => names.every((name) => !store.top.exists(name));
    const generations = [...garbage.generations, ...freed.map(({ id }) => id)].filter((id) =>
      isGone(layout.generation(id)),
    );
    const drafts = garbage.drafts.filter((name) => isGone(`${layout.snapshots}/${name}`, layout.common(name)));
    const linkSets = garbage.linkSets.filter((id) => isGone(layout.linkSet(id)));
    const total = generations.length + drafts.length;
    const all = state.generations.length + state.drafts.length;
    const target = short && targetData(short.target, volume.path);
    return {
      data: { deleted: true, generations, drafts, linkSets, ...given({ target }), ...(short && { freed }) },
      lines: [
        total > 0 || garbage.generations.length + garbage.drafts.length > 0
          ? `Deleted ${total} of ${all}.`
          : beside(linkSets.length),
        ...(target === undefined || target.reached ? [] : [notReached(target)]),
      ],
    };
  });
}

/** What is said where no generation and no draft was to go. */
function beside(linkSets: number): string {
  if (linkSets === 0) return "Nothing to delete.";
  return `Deleted ${linkSets} ${linkSets === 1 ? "link set that was" : "link sets that were"} no longer in force.`;
}

interface Target {
  reached: boolean;
  /** Bytes. */
  wanted: number;
  free: number;
}

function targetData(wanted: number, path: string): Target {
  const free = awaitFreed(path, wanted);
  return { reached: free >= wanted, wanted, free };
}

function notReached({ wanted, free }: Target): string {
  return `Target not reached: ${approximateSize(free)} are free, ${approximateSize(wanted)} were wanted. What is left is in a slot, booted, mounted, on trial, pinned or the last known good.`;
}

function count(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new FirnError("E_USAGE", `--keep: ${text} is no number.`);
}

function space(text: string): Space {
  const parsed = parseSpace(text);
  if (!isRefusal(parsed)) return parsed;
  throw new FirnError("E_USAGE", `--free: ${parsed.problem.message}`, parsed.problem.hint);
}
