import { bootLoader } from "../../host/boot/loader.ts";
import { enterRoot } from "../../host/kernel/chroot.ts";
import type { Within } from "../../host/kernel/within.ts";
import { packageManager } from "../../host/packages/package-manager.ts";
import { nestedSubvolumes } from "../../host/volume/btrfs.ts";
import { comparePaths, isOwnFstab } from "../../host/volume/compare-trees.ts";
import { fstabIn, templateIn } from "../../host/volume/roots.ts";
import { awaitFreed } from "../../host/volume/space.ts";
import { FirnError } from "../../model/problem.ts";
import { approximateSize } from "../../model/text/size.ts";
import { commonsOf } from "../../model/volume/fstab.ts";
import { draftName } from "../../model/volume/ids.ts";
import type { ChangeStep } from "../../plan/change.ts";
import { gcExecutors } from "../gc.ts";
import type { Executors } from "../run-plan.ts";
import { commit } from "../switch.ts";
import { baseRoot, opened, type ChangeContext } from "./change-context.ts";
import { checkDraft } from "./check-draft.ts";
import { makeChange } from "./make-change.ts";
import { mergeFstab, writeFstab } from "./draft-fstab.ts";
import { checkKernels, flavorsOf, recordOf } from "./record.ts";

/** Throws E_NESTED for a subvolume in a root, of which `consequence` is true. `wayOut`, given the first one's path. */
function refuseNested(root: Within, inside: string, consequence: string, wayOut: (path: string) => string): void {
  const [first, ...others] = nestedSubvolumes(root).map((path) => `/${path}`);
  if (first === undefined) return;
  const what = others.length === 0 ? "is a subvolume" : "are subvolumes";
  throw new FirnError(
    "E_NESTED",
    `${[first, ...others].join(", ")} ${what} of its own inside ${inside}: ${consequence}.`,
    wayOut(first),
  );
}

export const changeExecutors: Executors<ChangeStep, ChangeContext> = {
  ...gcExecutors,
  "require-space": ({ bytes }, { store }) => {
    const free = awaitFreed(store.top.path, bytes);
    if (free >= bytes) return;
    throw new FirnError(
      "E_NO_SPACE",
      `All that may go is deleted; this needs ${approximateSize(bytes)}, and ${approximateSize(free)} are free.`,
      "Unpin a generation, or grow the volume.",
    );
  },
  fetch: (_, { prepared }) => prepared.fetch(),
  "open-draft": ({ id, base }, context, work) => {
    if (base !== undefined)
      refuseNested(
        context.store.root(base),
        base,
        "what is made from it would find it empty",
        () => "Start from another generation (--base), or make it a directory there by hand.",
      );
    const draft = context.store.openDraft(id, base);
    if (context.keepDraft) work.undo(() => context.store.keep(draft), "draft kept", draftName(id));
    else work.undo(() => context.store.takeBack(draft), "draft discarded");
    context.base = base;
    context.draft = draft;
    mergeFstab(context);
  },
  change: ({ change }, context) => {
    const { store, prepared } = context;
    using chroot = enterRoot({
      top: store.top,
      root: opened(context).root,
      commons: commonsOf(fstabIn(opened(context).root) ?? ""),
      binds: prepared.sources?.binds ?? [],
      // Other changes may be meant for this very file.
      hostResolver: change.kind === "packages",
      hostDevices: context.hostDevices,
    });
    makeChange(change, chroot, context);
  },
  fstab: (_, context, work) => writeFstab(context, work),
  compare: (_, context) => {
    const [before, after] = [baseRoot(context), opened(context).root];
    // Two fstabs may differ in nothing but the generation that they mount.
    const sameFstab = templateIn(before) === templateIn(after);
    context.files = comparePaths(before.locate("/"), after.locate("/")).filter(
      (change) => !(sameFstab && isOwnFstab(change)),
    );
  },
  "discard-unchanged": (_, context, work) => {
    if (context.files.some((change) => !packageManager.isBookkeeping(change))) return;
    context.store.takeBack(opened(context));
    context.draft = undefined;
    work.end();
  },
  "make-readable": (_, context) => {
    const written = bootLoader.makeReadable(opened(context).root, flavorsOf(context));
    if (written.length > 0) context.store.flush();
  },
  "check-draft": ({ force }, context) => checkDraft(context, force),
  "boot-files": (_, context) => {
    context.kernel = checkKernels(context);
  },
  seal: (_, context) => {
    // Sealing would leave it writable, and a snapshot of it is empty.
    refuseNested(
      opened(context).root,
      "the generation",
      "read-only it would not become, and the next one would find it empty",
      (path) => `Make it a directory, or share it between the generations: firn commons add ${path}.`,
    );
    const record = recordOf(context, context.kernel);
    context.store.seal(opened(context), record);
    context.record = record;
  },
  commit: ({ slots }, context, work) => commit(slots, context, work, context.draft),
};
