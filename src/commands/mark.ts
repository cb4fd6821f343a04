import { markExecutors } from "../apply/mark.ts";
import type { GenerationRecord } from "../model/volume/generation.ts";
import type { GenerationId } from "../model/volume/ids.ts";
import { FirnError, orThrow } from "../model/problem.ts";
import { select } from "../model/volume/selector.ts";
import type { VolumeState } from "../model/volume/state.ts";
import { describeMarkStep, planMark } from "../plan/mark.ts";
import { planned } from "./session/planned.ts";
import type { Result } from "../report/result.ts";
import { writing, type WriteFlags } from "./session/session.ts";

function change(
  flags: WriteFlags,
  command: string,
  choose: (state: VolumeState) => GenerationId,
  edit: (record: GenerationRecord) => GenerationRecord,
  done: string,
): Result {
  return writing(flags, command, ({ store, state, carryOut }) => {
    const id = choose(state);
    const { steps, record } = planMark(state, id, edit, done);
    const plan = { steps, describe: describeMarkStep };
    const changed = steps.length > 0 && !flags.dryRun;
    if (flags.dryRun) return planned(plan, { id, changed, ...record });
    carryOut(plan, markExecutors, { store });
    return {
      data: { id, changed, ...record },
      lines: [changed ? `${id} is now ${done}.` : `${id} is ${done} already.`],
    };
  });
}

function named(word: string | undefined): (state: VolumeState) => GenerationId {
  return (state) => orThrow(select(state, word ?? ""));
}

/** `firn pin GEN` */
export function pin(flags: WriteFlags, [word]: readonly string[]): Result {
  return change(flags, "firn pin", named(word), (record) => ({ ...record, pinned: true }), "pinned");
}

/** `firn unpin GEN` */
export function unpin(flags: WriteFlags, [word]: readonly string[]): Result {
  const edit = ({ pinned: _, ...record }: GenerationRecord): GenerationRecord => record;
  return change(flags, "firn unpin", named(word), edit, "not pinned");
}

/** `firn describe GEN TEXT` */
export function describe(flags: WriteFlags, [word, text = ""]: readonly string[]): Result {
  return change(
    flags,
    "firn describe",
    named(word),
    (record) => ({ ...record, description: text }),
    `described as "${text}"`,
  );
}

/** `firn confirm`: the booted generation works. */
export function confirm(flags: WriteFlags): Result {
  const booted = (state: VolumeState): GenerationId => {
    if (state.booted !== undefined) return state.booted;
    throw new FirnError("E_GENERATION_MISSING", "No generation of this volume is booted, so none can be confirmed.");
  };
  return change(flags, "firn confirm", booted, (record) => ({ ...record, verdict: "good" }), "known to be good");
}
