import { switchExecutors } from "../apply/switch.ts";
import type { GenerationId } from "../model/volume/ids.ts";
import { given } from "../model/given.ts";
import { orThrow } from "../model/problem.ts";
import { select } from "../model/volume/selector.ts";
import { describeSwitchStep, planSwitch } from "../plan/switch.ts";
import { planned } from "./session/planned.ts";
import type { Result } from "../report/result.ts";
import { writing, type WriteFlags } from "./session/session.ts";

function toSlot0(flags: WriteFlags, command: string, word: string | undefined): Result {
  return writing(flags, command, ({ store, state, report, carryOut }) => {
    const target = word === undefined ? undefined : orThrow(select(state, word));
    const plan = { steps: orThrow(planSwitch(state, target)), describe: describeSwitchStep };
    const slots = plan.steps.find((step) => step.kind === "commit")?.slots;
    const [next] = slots ?? state.slots;
    const data = { changed: slots !== undefined && !flags.dryRun, default: next, ...given({ slots }) };
    if (flags.dryRun) return planned(plan, data);
    if (slots === undefined)
      return { data, lines: [`${target} is slot 0 already. Nothing was changed.`, ...running(state.booted, next)] };
    carryOut(plan, switchExecutors, { store, state, report });
    return { data, lines: [`${next} boots next.`, ...running(state.booted, next)] };
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
