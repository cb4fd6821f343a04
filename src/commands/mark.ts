import { writeRecord } from "../apply/record.ts";
import type { GenerationRecord } from "../model/volume/generation.ts";
import type { GenerationId } from "../model/volume/ids.ts";
import { FirnError, orThrow } from "../model/problem.ts";
import { select } from "../model/volume/selector.ts";
import type { VolumeState } from "../model/volume/state.ts";
import type { Result } from "../report/result.ts";
import { writing, type WriteFlags } from "./session.ts";

function change(
  flags: WriteFlags,
  command: string,
  choose: (state: VolumeState) => GenerationId,
  edit: (record: GenerationRecord) => GenerationRecord,
  done: string,
): Result {
  return writing(flags, command, ({ volume, state }) => {
    const id = choose(state);
    const before = state.generations.find((generation) => generation.id === id)?.record ?? {};
    const after = edit(before);
    const same = JSON.stringify(before) === JSON.stringify(after);
    if (!same && !flags.dryRun) writeRecord(volume.path, id, after);
    return {
      data: { id, changed: !same && !flags.dryRun, ...after },
      lines: [same ? `${id} is ${done} already.` : `${id} ${flags.dryRun ? "would be" : "is now"} ${done}.`],
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
