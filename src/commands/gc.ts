import { gcExecutors } from "../apply/gc.ts";
import { retentionWish } from "../model/machine/firn-toml.ts";
import { withMounted } from "../host/volume/inspect-volume.ts";
import { parseSpace, type Space } from "../model/text/size.ts";
import { FirnError, isRefusal, orThrow } from "../model/problem.ts";
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
    const plan = { steps: deletion(garbage), describe: describeGcStep };
    const data = { deleted: !flags.dryRun, ...garbage };
    if (flags.dryRun) return planned(plan, data);
    carryOut(plan, gcExecutors, { store, report });
    const total = garbage.generations.length + garbage.drafts.length;
    const all = state.generations.length + state.drafts.length;
    return { data, lines: [total === 0 ? "Nothing to delete." : `Deleted ${total} of ${all}.`] };
  });
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
