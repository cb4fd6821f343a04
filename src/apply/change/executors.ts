import { bootLoader } from "../../host/boot/loader.ts";
import { enterRoot } from "../../host/kernel/chroot.ts";
import type { Within } from "../../host/kernel/within.ts";
import { packageManager } from "../../host/packages/package-manager.ts";
import { nestedSubvolumes } from "../../host/volume/btrfs.ts";
import { comparePaths } from "../../host/volume/compare-trees.ts";
import { fstabIn } from "../../host/volume/roots.ts";
import { awaitFreed } from "../../host/volume/space.ts";
import { FirnError } from "../../model/problem.ts";
import { PLACEHOLDER, commonsOf, parseFstab, renderFstab, templateFromFstab } from "../../model/volume/fstab.ts";
import type { ChangeStep } from "../../plan/change.ts";
import { gcExecutors } from "../gc.ts";
import type { Executors } from "../run-plan.ts";
import { commit } from "../switch.ts";
import { baseRoot, opened, type ChangeContext } from "./change-context.ts";
import { checkDraft } from "./check-draft.ts";
import { makeChange } from "./make-change.ts";
import { checkKernels, flavorsOf, recordOf } from "./record.ts";

function templateSoFar({ template, templateBefore }: ChangeContext): string {
  return template ?? templateBefore;
}

/** Throws E_FILE for a template that would make a generation without its own root. */
function requireRootLine(template: string): void {
  const root = parseFstab(template).find(({ path }) => path === "/");
  if (root?.options.some((option) => option.startsWith("subvol=") && option.includes(PLACEHOLDER))) return;
  throw new FirnError(
    "E_FILE",
    `The fstab of the next generation has no line that mounts / from ${PLACEHOLDER}/@.`,
    "Leave the line of / as it is; on a volume made by hand, write it into /fstab at its top level.",
  );
}

/** What the change did to /etc/fstab goes into the template, or the next generation would lose it. */
function writeFstab(context: ChangeContext): void {
  const { root, id } = opened(context);
  const edited = fstabIn(root);
  if (edited !== undefined && edited !== fstabIn(baseRoot(context))) context.template = templateFromFstab(edited);
  requireRootLine(templateSoFar(context));
  root.write("/etc/fstab", renderFstab(templateSoFar(context), id));
}

/** Throws E_NESTED for a subvolume in the draft: sealing would leave it writable, and a snapshot of it is empty. */
function refuseNested(root: Within): void {
  const [first, ...others] = nestedSubvolumes(root).map((path) => `/${path}`);
  if (first === undefined) return;
  throw new FirnError(
    "E_NESTED",
    `${[first, ...others].join(", ")} ${others.length === 0 ? "is a subvolume" : "are subvolumes"} of its own inside the generation: read-only it would not become, and the next one would find it empty.`,
    `Make it a directory, or share it between the generations: firn commons add ${first}.`,
  );
}

export const changeExecutors: Executors<ChangeStep, ChangeContext> = {
  ...gcExecutors,
  // The room is what they were deleted for, and the kernel makes it in the background.
  "await-space": (_, { store }) => void awaitFreed(store.top.path, Number.MAX_SAFE_INTEGER),
  fetch: (_, { prepared }) => prepared.fetch(),
  "open-draft": ({ id, base }, context, work) => {
    const draft = context.store.openDraft(id, base);
    work.undo(() => context.store.takeBack(draft), "draft discarded");
    context.base = base;
    context.draft = draft;
  },
  change: ({ change }, context, work) => {
    const { store, prepared } = context;
    using chroot = enterRoot({
      top: store.top,
      root: opened(context).root,
      commons: commonsOf(templateSoFar(context)),
      binds: prepared.sources?.binds ?? [],
      // Other changes may be meant for this very file.
      hostResolver: change.kind === "packages",
      hostDevices: context.hostDevices,
    });
    const { template, undo } = makeChange(change, chroot, context);
    context.template = template ?? context.template;
    if (undo !== undefined) work.undo(undo, "draft discarded");
  },
  fstab: (_, context) => writeFstab(context),
  compare: (_, context) => {
    context.files = comparePaths(baseRoot(context).locate("/"), opened(context).root.locate("/")).filter(
      ({ path }) => path !== "etc/fstab",
    );
  },
  "discard-unchanged": (_, context, work) => {
    if (context.template !== undefined || context.files.some(({ path }) => !packageManager.isBookkeeping(path))) return;
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
    refuseNested(opened(context).root);
    const record = recordOf(context, context.kernel);
    context.store.seal(opened(context), record);
    context.record = record;
  },
  commit: ({ slots }, context, work) => commit(slots, context, work),
};
