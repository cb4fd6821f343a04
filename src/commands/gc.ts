import { collect } from "../apply/collect.ts";
import { retentionWish } from "../model/machine/firn-toml.ts";
import { parseSpace, type Space } from "../model/text/size.ts";
import { FirnError, isRefusal, orThrow } from "../model/problem.ts";
import { select } from "../model/volume/selector.ts";
import { planGc } from "../plan/gc.ts";
import type { Result } from "../report/result.ts";
import { writing, type WriteFlags } from "./session.ts";

export interface GcFlags extends WriteFlags {
  keep?: string;
  free?: string;
}

/** `firn gc [GEN…]` */
export function gc(flags: GcFlags, words: readonly string[]): Result {
  return writing(flags, "firn gc", ({ volume, state, report, config }) => {
    const { retention: settings } = config();
    const retention = retentionWish(
      {
        ...settings,
        ...(flags.keep === undefined ? {} : { keepCount: count(flags.keep) }),
        ...(flags.free === undefined ? {} : { minFree: space(flags.free) }),
      },
      state.space.total,
    );
    const named = words.map((word) => orThrow(select(state, word)));
    const plan = orThrow(planGc(state, retention, named, Date.now()));
    const data = { deleted: !flags.dryRun, ...plan };
    const total = plan.generations.length + plan.drafts.length;
    if (flags.dryRun) {
      return {
        data,
        lines:
          total === 0
            ? ["Nothing to delete."]
            : [...plan.generations, ...plan.drafts].map((id) => `Would delete ${id}`),
      };
    }
    let done = 0;
    collect(volume.path, plan, (name) => report.step(++done, total, `Delete ${name}`));
    return {
      data,
      lines: [
        total === 0 ? "Nothing to delete." : `Deleted ${total} of ${state.generations.length + state.drafts.length}.`,
      ],
    };
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
