import { kernelFlavors, requireBootFiles } from "../host/boot/read-boot-files.ts";
import { cleanUp, problemOf } from "../host/kernel/failure.ts";
import { templateFor, templateIn } from "../host/volume/roots.ts";
import { awaitFreed } from "../host/volume/space.ts";
import type { GenerationId } from "../model/volume/ids.ts";
import { generationOf, type VolumeState } from "../model/volume/state.ts";
import type { SwitchStep } from "../plan/switch.ts";
import type { Report } from "../report/report.ts";
import type { Executors, Work } from "./run-plan.ts";
import type { Draft, VolumeStore } from "./store/volume-store.ts";

export interface SwitchContext {
  readonly store: VolumeStore;
  readonly state: VolumeState;
  readonly report: Report;
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
 * Lets the template follow the default. It decides nothing: as long as it says what firn wrote last, the next change
 * goes by the default's own fstab. So what fails here is a word beside the commit.
 */
function followDefault({ store, state, report }: SwitchContext, slot0: GenerationId, draft?: Draft): void {
  try {
    const own = templateIn(store.root(slot0));
    // A draft has taken up what a person did to the template; before a generation that is older it waits on.
    const template = draft === undefined ? templateFor(own, state.templateEdit) : own;
    if (own === undefined || template === undefined) return;
    if (template !== state.templateEdit?.edited || own !== state.templateEdit.written)
      store.writeTemplate(template, own);
  } catch (error) {
    report.note(`The template could not be written: ${problemOf(error).message} The next change does it.`);
  }
}

/** Makes slots boot, and lets the template follow. */
export function commit(slots: readonly GenerationId[], context: SwitchContext, work: Work, draft?: Draft): void {
  const { store, state } = context;
  const edit = state.templateEdit;
  // Marked ahead: should this run die between the two, the next one would take the old template for a person's.
  if (edit?.marked === false) cleanUp(() => store.writeTemplate(edit.edited, edit.written));
  const switched = (): void => {
    work.stands("committed");
    if (slots[0] !== undefined) followDefault(context, slots[0], draft);
  };
  store.commit(slots, switched, draft);
}

/** Deletes what firn left behind: drafts, and link sets that are not in force. What cannot go stays. */
function sweep({ store, state }: SwitchContext): void {
  for (const name of state.drafts) cleanUp(() => store.deleteDraft(name));
  for (const id of state.oldLinkSets) cleanUp(() => store.deleteLinkSet(id));
  store.flush();
  if (state.drafts.length > 0) awaitFreed(store.top.path, Number.MAX_SAFE_INTEGER);
}

/** Going back needs no space: where the volume is full, first firn's leftovers go, then what is held in reserve. */
function withRoom(context: SwitchContext, work: Work, make: () => void): void {
  for (const makeRoom of [() => sweep(context), () => context.store.releaseReserve()]) {
    try {
      return make();
    } catch (error) {
      if (problemOf(error).code !== "E_NO_SPACE") throw error;
      work.stands("default unchanged");
      makeRoom();
    }
  }
  make();
  context.report.note("The volume is full: what was held in reserve is used. `firn gc` makes room for the next time.");
}

export const switchExecutors: Executors<SwitchStep, SwitchContext> = {
  "require-boot-files": ({ id }, context) => requireBootable(context, id),
  commit: ({ slots }, context, work) => withRoom(context, work, () => commit(slots, context, work)),
};
