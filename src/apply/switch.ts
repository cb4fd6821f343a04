import { kernelFlavors, requireBootFiles } from "../host/boot/read-boot-files.ts";
import { templateIn } from "../host/volume/roots.ts";
import type { GenerationId } from "../model/volume/ids.ts";
import { generationOf, type VolumeState } from "../model/volume/state.ts";
import type { SwitchStep } from "../plan/switch.ts";
import type { Executors, Work } from "./run-plan.ts";
import type { Draft, VolumeStore } from "./store/volume-store.ts";

interface CommitContext {
  readonly store: VolumeStore;
  readonly state: VolumeState;
  /** What becomes slot 0, when it is not a generation yet. */
  readonly draft: Draft | undefined;
  /** The template that the commit brings, when it changes. */
  readonly template: string | undefined;
}

export interface SwitchContext extends CommitContext {
  readonly draft: undefined;
  template: string | undefined;
}

/**
 * Throws E_BOOT_FILES unless a generation has what the boot menu names: its own flavour's kernel, or those of the
 * default before it.
 */
function requireBootable({ store, state }: SwitchContext, chosen: GenerationId): void {
  const flavor = generationOf(state, chosen)?.record.flavor;
  const [before] = state.slots;
  const flavors = flavor === undefined ? (before === undefined ? [] : kernelFlavors(store.root(before))) : [flavor];
  for (const name of flavors) requireBootFiles(store.root(chosen), name);
}

/**
 * The template that goes with a generation: its own fstab, or what it did to fstab would come back with the next change
 * after a rollback from it. Undefined where the template is not that of the default before, so that somebody has edited
 * it by hand.
 */
function templateWith({ store, state }: SwitchContext, chosen: GenerationId): string | undefined {
  const [before] = state.slots;
  const own = before === undefined ? undefined : templateIn(store.root(before));
  const next = own !== undefined && own === state.template ? templateIn(store.root(chosen)) : undefined;
  return next === state.template ? undefined : next;
}

/** Makes slots boot, with the template that the plan brought along; takes the template back should the switch fail. */
export function commit(slots: readonly GenerationId[], context: CommitContext, work: Work): void {
  const { store, state, draft, template } = context;
  const before = state.template;
  if (template !== undefined && before !== undefined)
    work.undo(() => store.restoreTemplate(before), "default unchanged");
  store.commit(slots, () => work.stands("committed"), draft, template);
}

export const switchExecutors: Executors<SwitchStep, SwitchContext> = {
  "require-boot-files": ({ id }, context) => requireBootable(context, id),
  template: ({ id }, context) => {
    context.template = templateWith(context, id);
  },
  commit: ({ slots }, context, work) => commit(slots, context, work),
};
