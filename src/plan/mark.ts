import type { GenerationRecord } from "../model/volume/generation.ts";
import type { GenerationId } from "../model/volume/ids.ts";
import type { VolumeState } from "../model/volume/state.ts";

export interface MarkStep {
  kind: "write-record";
  id: GenerationId;
  record: GenerationRecord;
}

/** Notes something about a generation: no step when it is noted already. `record` is what holds then. */
export function planMark(
  state: VolumeState,
  id: GenerationId,
  edit: (record: GenerationRecord) => GenerationRecord,
): { steps: MarkStep[]; record: GenerationRecord } {
  const before = state.generations.find((generation) => generation.id === id)?.record ?? {};
  const record = edit(before);
  const same = JSON.stringify(before) === JSON.stringify(record);
  return { steps: same ? [] : [{ kind: "write-record", id, record }], record };
}

/** One line for a person. */
export function describeMarkStep({ id }: MarkStep): string {
  return `Write the record of ${id}`;
}
