import { packageManager } from "../../host/packages/package-manager.ts";
import { INSIDE, type Chroot } from "../../host/kernel/chroot.ts";
import { tryRun } from "../../host/kernel/run.ts";
import { ownVariable } from "../../host/kernel/process.ts";
import type { Within } from "../../host/kernel/within.ts";
import { ask, isTerminal } from "../../host/machine/terminal.ts";
import { fstabIn } from "../../host/volume/roots.ts";
import { withoutWords } from "../../model/text/secrets.ts";
import { addCommons, commonsOf, removeCommons } from "../../model/volume/fstab.ts";
import { layout } from "../../model/volume/layout.ts";
import { judgeIndexes } from "../../model/packages/index.ts";
import { FirnError, orThrow } from "../../model/problem.ts";
import { lastIndexes } from "../../model/volume/state.ts";
import type { Change } from "../../plan/change.ts";
import { opened, type ChangeContext } from "./change-context.ts";
import { given } from "../../model/given.ts";

type Maker<C extends Change> = (change: C, chroot: Chroot, context: ChangeContext) => void;

type Makers = { [K in Change["kind"]]: Maker<Extract<Change, { kind: K }>> };

/** Runs a program as a person's own, in the draft. Gives its exit code. */
function runAtTerminal(
  argv: readonly string[],
  { path: chroot }: Chroot,
  { json, report }: ChangeContext,
  env: Readonly<Record<string, string>> = {},
): number {
  return tryRun(argv, {
    chroot,
    terminal: true,
    keepStdout: json,
    env: { ...given({ TERM: ownVariable("TERM") }), ...env },
    onReboot: () => report.note("A draft has no init that could reboot or halt: the machine runs on."),
  }).status;
}

/**
 * A file that an interactive sh reads after /etc/profile, whose prompt would hide that this is a draft. In memory, so
 * nothing of it stays.
 */
function promptFile({ root }: Chroot, context: ChangeContext): string {
  root.write(`${INSIDE}/prompt`, `PS1='firn draft ${opened(context).id} \\w # '\n`);
  return `${INSIDE}/prompt`;
}

function runShell(chroot: Chroot, context: ChangeContext): void {
  const status = runAtTerminal(["/bin/sh", "-l"], chroot, context, { ENV: promptFile(chroot, context) });
  if (status === 0) return;
  const keep =
    isTerminal() && /^y/i.test(ask(`The shell ended with exit code ${status}. Keep its changes? [y/N] `) ?? "");
  if (!keep) throw new FirnError("E_COMMAND", `The shell ended with exit code ${status}.`);
}

function runCommand(argv: readonly string[], chroot: Chroot, context: ChangeContext): void {
  const status = runAtTerminal(argv, chroot, context);
  if (status === 0) return;
  throw new FirnError("E_COMMAND", `\`${withoutWords(argv)}\` ended with exit code ${status}.`);
}

function changePackages(change: Extract<Change, { kind: "packages" }>, chroot: Chroot, context: ChangeContext): void {
  const { report, prepared, state } = context;
  if (prepared.sources === undefined) throw new Error("a change of packages without sources");
  const { notes, indexes } = packageManager.change(chroot, prepared.sources, change, (number, of, text) =>
    report.detail(`(${number}/${of}) ${text}`),
  );
  orThrow(judgeIndexes(indexes, lastIndexes(state), prepared.sources.wish.allowOlder));
  context.indexes = indexes;
  for (const line of notes) report.note(line);
}

/** Changes the draft's own fstab. */
function editFstab(root: Within, { state }: ChangeContext, edit: (fstab: string) => string): void {
  root.write("/etc/fstab", edit(fstabIn(root) ?? state.template ?? ""));
}

function shareFolder({ name, path }: { name: string; path: string }, chroot: Chroot, context: ChangeContext): void {
  const { store, state, report } = context;
  const { root } = chroot;
  if (root.stat(path) !== undefined && !root.isDirectory(path))
    throw new FirnError("E_COMMONS", `${path} is no directory, so it cannot be shared.`);
  // Links in what is shared already are seen only here.
  const leads = root.leads(path);
  if (leads !== path) throw new FirnError("E_COMMONS", `${path} leads to ${leads}: name that.`);
  if (!store.hasCommons(name) && store.top.exists(layout.common(name))) {
    throw new FirnError(
      "E_COMMONS",
      `/${layout.common(name)} of the volume is no subvolume, so nothing can be mounted from it.`,
      "Move it elsewhere; what is in it can be copied back once the path is shared.",
    );
  }
  if (store.hasCommons(name)) report.note(`${name} is there from before: its data is used.`);
  else {
    using covered = root.point(path);
    store.makeCommons(opened(context), name, covered?.folder);
  }
  editFstab(root, context, (fstab) =>
    commonsOf(fstab).some((one) => one.path === path) ? fstab : addCommons(fstab, name, path, state.uuid),
  );
}

/** The table of what can be done to a draft. */
const makers: Makers = {
  packages: changePackages,
  command: ({ argv }, chroot, context) => runCommand(argv, chroot, context),
  shell: (_, chroot, context) => {
    context.report.note("This is a shell in the draft. `exit` seals it; `exit 1` discards it.");
    runShell(chroot, context);
  },
  edit: ({ file, editor }, chroot, context) => {
    if (chroot.root.stat(file) !== undefined && !chroot.root.isFile(file))
      throw new FirnError("E_FILE", `${file} is no regular file.`);
    runCommand([...editor, file], chroot, context);
  },
  "add-commons": shareFolder,
  "remove-commons": ({ path }, { root }, context) => editFstab(root, context, (fstab) => removeCommons(fstab, path)),
};

/** Does one change to the draft in `chroot`. */
export function makeChange(change: Change, chroot: Chroot, context: ChangeContext): void {
  (makers[change.kind] as Maker<Change>)(change, chroot, context);
}
