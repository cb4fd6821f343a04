import { switchDefault } from "../apply/switch.ts";
import type { GenerationId } from "../model/volume/ids.ts";
import { orThrow } from "../model/problem.ts";
import { select } from "../model/volume/selector.ts";
import { planSwitch } from "../plan/switch.ts";
import type { Result } from "../report/result.ts";
import { writing, type WriteFlags } from "./session.ts";

function toSlot0(flags: WriteFlags, command: string, word: string | undefined): Result {
  return writing(flags, command, ({ volume, state, report }) => {
    const target = word === undefined ? undefined : orThrow(select(state, word));
    const [step] = orThrow(planSwitch(state, target));
    if (step === undefined) {
      return {
        data: { changed: false, default: state.slots[0] },
        lines: [`${target} is slot 0 already. Nothing was changed.`],
      };
    }
    const data = { changed: !flags.dryRun, default: step.slots[0], slots: step.slots };
    if (flags.dryRun) return { data, lines: [`Would make ${step.slots[0]} slot 0.`] };
    report.step(1, 1, `Make ${step.slots[0]} slot 0 of ${step.slots.length}`);
    switchDefault(volume.path, state, step);
    return { data, lines: [`${step.slots[0]} boots next.`, ...running(state.booted, step.slots[0])] };
  });
}

function running(booted: GenerationId | undefined, next: GenerationId | undefined): string[] {
  if (booted === undefined) return [];
  return [booted === next ? "It is what runs now." : `${booted} runs until the reboot.`];
}

/** `firn rollback [GEN]` */
export function rollback(flags: WriteFlags, args: readonly string[]): Result {
  return toSlot0(flags, "firn rollback", args[0]);
}

/** `firn switch GEN` */
export function switchTo(flags: WriteFlags, args: readonly string[]): Result {
  return toSlot0(flags, "firn switch", args[0]);
}
