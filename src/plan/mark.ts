import type { GenerationRecord } from "../model/volume/generation.ts";
import type { GenerationId } from "../model/volume/ids.ts";
import { generationOf, type VolumeState } from "../model/volume/state.ts";

export interface MarkStep {
  kind: "write-record";
  id: GenerationId;
  record: GenerationRecord;
  /** What holds then: "pinned". */
  what: string;
}

/**
 * Notes something about a generation, which is `what` then: no step when it is noted already. `record` is its record
 * then.
 */
export function planMark(
  state: VolumeState,
  id: GenerationId,
  edit: (record: GenerationRecord) => GenerationRecord,
  what: string,
): { steps: MarkStep[]; record: GenerationRecord } {
  const before = generationOf(state, id)?.record ?? {};
  const record = edit(before);
  const same = JSON.stringify(before) === JSON.stringify(record);
  return { steps: same ? [] : [{ kind: "write-record", id, record, what }], record };
}

/** One line for a person. */
export function describeMarkStep({ id, what }: MarkStep): string {
  return `Note that ${id} is ${what}`;
}
