import { kernelFlavors, requireBootFiles } from "../host/boot/read-boot-files.ts";
import { readTextIfAny } from "../host/kernel/files.ts";
import { generationRoot } from "../host/volume/roots.ts";
import { templateFromFstab } from "../model/volume/fstab.ts";
import type { GenerationId } from "../model/volume/ids.ts";
import type { VolumeState } from "../model/volume/state.ts";
import type { SwitchStep } from "../plan/switch.ts";
import { commit } from "./commit.ts";
import { replaceTemplate } from "./transaction.ts";

/** Throws E_BOOT_FILES unless a generation has what the boot menu names: its own flavour's kernel, or those of the default before it. */
function requireBootable(top: string, state: VolumeState, chosen: GenerationId): void {
  const flavor = state.generations.find(({ id }) => id === chosen)?.record.flavor;
  const [before] = state.slots;
  const flavors =
    flavor === undefined ? (before === undefined ? [] : kernelFlavors(generationRoot(top, before))) : [flavor];
  for (const name of flavors) requireBootFiles(generationRoot(top, chosen), name);
}

/**
 * The template that goes with a generation: its own fstab, or what it did to fstab would come back with the next change after a
 * rollback from it. Undefined where the template is not that of the default before, so that somebody has edited it by hand.
 */
function templateOf(top: string, state: VolumeState, chosen: GenerationId): string | undefined {
  const [before] = state.slots;
  const own = (id: GenerationId): string | undefined => {
    const text = readTextIfAny(`${generationRoot(top, id)}/etc/fstab`);
    return text === undefined ? undefined : templateFromFstab(text);
  };
  const followed = before !== undefined && state.template !== undefined && own(before) === state.template;
  const next = followed ? own(chosen) : undefined;
  return next === state.template ? undefined : next;
}

/** Makes a generation slot 0; durable when it returns. Throws E_BOOT_FILES with nothing changed. */
export function switchDefault(top: string, state: VolumeState, { slots }: SwitchStep): void {
  const [chosen] = slots;
  if (chosen === undefined) return;
  requireBootable(top, state, chosen);
  const template = templateOf(top, state, chosen);
  commit(top, slots, () => {
    if (template !== undefined) replaceTemplate(top, template);
  });
}
