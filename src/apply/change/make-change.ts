import { packageManager } from "../../host/packages/package-manager.ts";
import { exists, insideRoot, isDirectory, isFile } from "../../host/kernel/files.ts";
import { run, tryRun } from "../../host/kernel/run.ts";
import { ownVariable } from "../../host/kernel/environment.ts";
import { ask, isTerminal } from "../../host/machine/terminal.ts";
import { addCommons, removeCommons } from "../../model/volume/fstab.ts";
import { FirnError } from "../../model/problem.ts";
import type { Change } from "../../plan/change.ts";
import type { ChangeContext } from "./change-context.ts";
import { given } from "../../model/given.ts";

/** What a change asks for beside what it did to the draft. */
export interface Made {
  /** The fstab template from this generation on. */
  template?: string;
  /** Takes back what it made outside the draft. */
  undo?: () => void;
}

type Makers = {
  [K in Change["kind"]]: (change: Extract<Change, { kind: K }>, root: string, context: ChangeContext) => Made;
};

/** The terminal's own settings, for programs that a person uses. */
function terminalEnvironment(): Record<string, string> {
  return given({ TERM: ownVariable("TERM"), PS1: "firn draft \\w # " });
}

/** Runs a program as a person's own, in the draft. Gives its exit code. */
function runAtTerminal(argv: readonly string[], chroot: string, keepStdout: boolean): number {
  return tryRun(argv, { chroot, terminal: true, keepStdout, env: terminalEnvironment() }).status;
}

function runShell(root: string, json: boolean): void {
  const status = runAtTerminal(["/bin/sh", "-l"], root, json);
  if (status === 0) return;
  const keep =
    isTerminal() && /^y/i.test(ask(`The shell ended with exit code ${status}. Keep its changes? [y/N] `) ?? "");
  if (!keep) throw new FirnError("E_COMMAND", `The shell ended with exit code ${status}.`);
}

function runCommand(argv: readonly string[], root: string, json: boolean): void {
  const status = runAtTerminal(argv, root, json);
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
  // Last, since what is made outside the draft is taken back only by who got to know of it.
  const there = store.hasCommons(name);
  if (there) report.note(`${name} is there from before: its data is used.`);
  else store.makeCommons(name, covered, path);
  const template = addCommons(context.template ?? context.templateBefore, name, path, state.uuid);
  return there ? { template } : { template, undo: () => store.deleteCommons(name) };
}

/** The table of what can be done to a draft. */
const makers: Makers = {
  packages: (change, root, context) => {
    changePackages(change, root, context);
    return {};
  },
  command: ({ argv }, root, { json }) => {
    runCommand(argv, root, json);
    return {};
  },
  shell: (_, root, { report, json }) => {
    report.note("This is a shell in the draft. `exit` seals it; `exit 1` discards it.");
    runShell(root, json);
    return {};
  },
  edit: ({ file, editor }, root, { json }) => {
    if (exists(insideRoot(root, file)) && !isFile(insideRoot(root, file)))
      throw new FirnError("E_FILE", `${file} is no regular file.`);
    runCommand([...editor, file], root, json);
    return {};
  },
  "add-commons": (change, root, context) => shareFolder(change, root, context),
  "remove-commons": ({ path }, _, { template, templateBefore }) => ({
    template: removeCommons(template ?? templateBefore, path),
  }),
};

/** Does one change to the draft whose chroot is `root`. */
export function makeChange(change: Change, root: string, context: ChangeContext): Made {
  return (makers[change.kind] as (change: Change, root: string, context: ChangeContext) => Made)(change, root, context);
}
