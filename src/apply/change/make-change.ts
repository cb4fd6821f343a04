import { packageManager } from "../../host/packages/package-manager.ts";
import { INSIDE } from "../../host/kernel/chroot.ts";
import { exists, insideRoot, isDirectory, isFile, makeDirectories, writeText } from "../../host/kernel/files.ts";
import { run, tryRun } from "../../host/kernel/run.ts";
import { ownVariable } from "../../host/kernel/environment.ts";
import { ask, isTerminal } from "../../host/machine/terminal.ts";
import { addCommons, removeCommons } from "../../model/volume/fstab.ts";
import { FirnError } from "../../model/problem.ts";
import type { Change } from "../../plan/change.ts";
import { opened, type ChangeContext } from "./change-context.ts";
import { given } from "../../model/given.ts";

/** The fstab template from this generation on, when a change brings another. */
type Made = string | undefined;

type Makers = {
  [K in Change["kind"]]: (change: Extract<Change, { kind: K }>, root: string, context: ChangeContext) => Made;
};

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

function shareFolder({ name, path }: { name: string; path: string }, root: string, context: ChangeContext): Made {
  const { store, state, report } = context;
  const covered = insideRoot(root, path);
  if (exists(covered) && !isDirectory(covered))
    throw new FirnError("E_COMMONS", `${path} is no directory, so it cannot be shared.`);
  if (!isDirectory(covered)) run(["mkdir", "-p", path], { chroot: root });
  if (store.hasCommons(name)) report.note(`${name} is there from before: its data is used.`);
  else store.makeCommons(opened(context), name, covered);
  return addCommons(context.template ?? context.templateBefore, name, path, state.uuid);
}

/** The table of what can be done to a draft. */
const makers: Makers = {
  packages: (change, root, context) => {
    changePackages(change, root, context);
    return undefined;
  },
  command: ({ argv }, root, context) => {
    runCommand(argv, root, context);
    return undefined;
  },
  shell: (_, root, context) => {
    context.report.note("This is a shell in the draft. `exit` seals it; `exit 1` discards it.");
    runShell(root, context);
    return undefined;
  },
  edit: ({ file, editor }, root, context) => {
    if (exists(insideRoot(root, file)) && !isFile(insideRoot(root, file)))
      throw new FirnError("E_FILE", `${file} is no regular file.`);
    runCommand([...editor, file], root, context);
    return undefined;
  },
  "add-commons": (change, root, context) => shareFolder(change, root, context),
  "remove-commons": ({ path }, _, { template, templateBefore }) => removeCommons(template ?? templateBefore, path),
};

/** Does one change to the draft whose chroot is `root`. Gives the fstab template that it brings. */
export function makeChange(change: Change, root: string, context: ChangeContext): Made {
  return (makers[change.kind] as (change: Change, root: string, context: ChangeContext) => Made)(change, root, context);
}
