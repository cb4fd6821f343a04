import type { GenerationId } from "../model/volume/ids.ts";
import { refuse, type Refusal } from "../model/problem.ts";
import { bootsNext, previous, running, slotsAfter, type VolumeState } from "../model/volume/state.ts";

export type SwitchStep =
  | { kind: "require-boot-files"; id: GenerationId }
  | { kind: "commit"; slots: readonly GenerationId[] };

/**
 * Where a rollback without a name goes: to what runs, when that is not what boots next, else to the previous default.
 */
function wayBack(state: VolumeState): GenerationId | undefined {
  const runs = running(state);
  return runs !== undefined && runs !== bootsNext(state) ? runs : previous(state);
}

/**
 * Makes a generation slot 0: no step when it already is and every slot resolves. `target` undefined means the way back:
 * from what waits for the next boot to what runs, else to the previous default.
 */
export function planSwitch(state: VolumeState, target: GenerationId | undefined): SwitchStep[] | Refusal {
  const chosen = target ?? wayBack(state);
  if (chosen === undefined) {
    return refuse(
      "E_GENERATION_MISSING",
      "There is no previous generation to go back to.",
      "`firn list` shows what there is.",
    );
  }
  if (bootsNext(state) === chosen && state.slots.length === state.slotCount) return [];
  return [
    { kind: "require-boot-files", id: chosen },
    { kind: "commit", slots: slotsAfter(state, chosen) },
  ];
}

/** One line for a person. */
export function describeSwitchStep(step: SwitchStep): string {
  switch (step.kind) {
    case "require-boot-files":
      return `Look at the boot files of ${step.id}`;
    case "commit":
      return `Make ${step.slots[0]} slot 0 of ${step.slots.length}`;
    default:
      return step satisfies never;
  }
}
