import { packageManager } from "../../host/packages/package-manager.ts";
import { INSIDE } from "../../host/kernel/chroot.ts";
import { exists, insideRoot, isDirectory, isFile, makeDirectories, writeText } from "../../host/kernel/files.ts";
import { fstabIn } from "../../host/volume/roots.ts";
import { tryRun } from "../../host/kernel/run.ts";
import { ownVariable } from "../../host/kernel/environment.ts";
import { ask, isTerminal } from "../../host/machine/terminal.ts";
import { addCommons, commonsOf, removeCommons } from "../../model/volume/fstab.ts";
import { FirnError } from "../../model/problem.ts";
import type { Change } from "../../plan/change.ts";
import { opened, type ChangeContext } from "./change-context.ts";
import { given } from "../../model/given.ts";

/** Does a change; gives what takes back what it made outside the draft. */
type Maker<C extends Change> = (change: C, root: string, context: ChangeContext) => (() => void) | void;

type Makers = { [K in Change["kind"]]: Maker<Extract<Change, { kind: K }>> };

/** Runs a program as a person's own, in the draft. Gives its exit code. */
function runAtTerminal(
  argv: readonly string[],
  chroot: string,
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
function promptFile(root: string, context: ChangeContext): string {
  const folder = insideRoot(root, INSIDE);
  makeDirectories(folder);
  writeText(`${folder}/prompt`, `PS1='firn draft ${opened(context).id} \\w # '\n`);
  return `${INSIDE}/prompt`;
}

function runShell(root: string, context: ChangeContext): void {
  const status = runAtTerminal(["/bin/sh", "-l"], root, context, { ENV: promptFile(root, context) });
  if (status === 0) return;
  const keep =
    isTerminal() && /^y/i.test(ask(`The shell ended with exit code ${status}. Keep its changes? [y/N] `) ?? "");
  if (!keep) throw new FirnError("E_COMMAND", `The shell ended with exit code ${status}.`);
}

function runCommand(argv: readonly string[], root: string, context: ChangeContext): void {
  const status = runAtTerminal(argv, root, context);
  if (status === 0) return;
  throw new FirnError("E_COMMAND", `\`${argv.join(" ")}\` ended with exit code ${status}.`);
}

function changePackages(change: Extract<Change, { kind: "packages" }>, root: string, context: ChangeContext): void {
  const { report, prepared } = context;
  if (prepared.sources === undefined) throw new Error("a change of packages without sources");
  const said = packageManager.change(root, prepared.sources, change, (number, of, text) =>
    report.detail(`(${number}/${of}) ${text}`),
  );
  for (const line of said) report.note(line);
}

/** Changes the draft's own fstab. */
function editFstab(root: string, { state }: ChangeContext, edit: (fstab: string) => string): void {
  writeText(insideRoot(root, "/etc/fstab"), edit(fstabIn(root) ?? state.template ?? ""));
}

function shareFolder(
  { name, path }: { name: string; path: string },
  root: string,
  context: ChangeContext,
): (() => void) | void {
  const { store, state, report } = context;
  const covered = insideRoot(root, path);
  if (exists(covered) && !isDirectory(covered))
    throw new FirnError("E_COMMONS", `${path} is no directory, so it cannot be shared.`);
  // Last, since what is made outside the draft is taken back only by who got to know of it.
  const there = store.hasCommons(name);
  if (there) report.note(`${name} is there from before: its data is used.`);
  else store.makeCommons(name, covered, path);
  editFstab(root, context, (fstab) =>
    commonsOf(fstab).some((one) => one.path === path) ? fstab : addCommons(fstab, name, path, state.uuid),
  );
  return there ? undefined : () => store.deleteCommons(name);
}

/** The table of what can be done to a draft. */
const makers: Makers = {
  packages: changePackages,
  command: ({ argv }, root, context) => runCommand(argv, root, context),
  shell: (_, root, context) => {
    context.report.note("This is a shell in the draft. `exit` seals it; `exit 1` discards it.");
    runShell(root, context);
  },
  edit: ({ file, editor }, root, context) => {
    if (exists(insideRoot(root, file)) && !isFile(insideRoot(root, file)))
      throw new FirnError("E_FILE", `${file} is no regular file.`);
    runCommand([...editor, file], root, context);
  },
  "add-commons": shareFolder,
  "remove-commons": ({ path }, root, context) => editFstab(root, context, (fstab) => removeCommons(fstab, path)),
};

/** Does one change to the draft whose chroot is `root`; gives what takes back what it made outside the draft. */
export function makeChange(change: Change, root: string, context: ChangeContext): (() => void) | void {
  return (makers[change.kind] as Maker<Change>)(change, root, context);
}
