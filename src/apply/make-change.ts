import { apk } from "../host/packages/apk/apk.ts";
import { createSubvolume, deleteSubvolume } from "../host/volume/btrfs.ts";
import type { Chroot } from "../host/kernel/chroot.ts";
import { exists, insideRoot, isDirectory, isFile, rename, writeText } from "../host/kernel/files.ts";
import { run, tryRun } from "../host/kernel/run.ts";
import { seedCommons } from "../host/volume/seed.ts";
import { ownVariable } from "../host/kernel/environment.ts";
import { ask, isTerminal } from "../host/machine/terminal.ts";
import { switchRelease } from "../model/packages/conf.ts";
import { addCommons, removeCommons } from "../model/volume/fstab.ts";
import { DRAFT } from "../model/volume/ids.ts";
import { layout } from "../model/volume/layout.ts";
import { FirnError } from "../model/problem.ts";
import { apkArguments, type Change } from "../plan/change.ts";
import { insideApk, repositoriesFile, savePackageSources, type PackageSources, type PackageWish } from "./packages.ts";
import type { Transaction } from "./transaction.ts";

type Kind = Change["kind"];
type Makers = { [K in Kind]: (change: Extract<Change, { kind: K }>, chroot: Chroot, transaction: Transaction) => void };

/** The terminal's own settings, for programs that a person uses. */
function terminalEnvironment(): Record<string, string> {
  const term = ownVariable("TERM");
  return { ...(term === undefined ? {} : { TERM: term }), PS1: "firn draft \\w # " };
}

function runShell(root: string): void {
  const { status } = tryRun(["/bin/sh", "-l"], { chroot: root, terminal: true, env: terminalEnvironment() });
  if (status === 0) return;
  const keep =
    isTerminal() && /^y/i.test(ask(`The shell ended with exit code ${status}. Keep its changes? [y/N] `) ?? "");
  if (!keep)
    throw new FirnError(
      "E_COMMAND",
      `The shell ended with exit code ${status}; the draft was discarded. What boots was not touched.`,
    );
}

function runCommand(argv: readonly string[], root: string): void {
  const { status } = tryRun(argv, { chroot: root, terminal: true, env: terminalEnvironment() });
  if (status === 0) return;
  throw new FirnError(
    "E_COMMAND",
    `\`${argv.join(" ")}\` ended with exit code ${status}; the draft was discarded. What boots was not touched.`,
  );
}

/** The table of what can be done to a draft. `sources` and `wish` are for changes of packages. */
export function changeMaker(
  sources: PackageSources | undefined,
  wish: PackageWish,
): (change: Change, chroot: Chroot, transaction: Transaction) => void {
  const makers: Makers = {
    apk: (change, chroot, { wish: { report } }) => {
      if (sources === undefined) throw new Error("a change of packages without sources");
      const text = repositoriesFile(chroot.path);
      const switched = change.release === undefined ? text : switchRelease(text, change.release).text;
      if (switched !== text) writeText(insideRoot(chroot.path, "/etc/apk/repositories"), switched);
      if (wish.save) savePackageSources(chroot.path, switched, wish);
      const result = apk(insideApk(chroot.path, sources), apkArguments(change), {
        onProgress: (number: number, of: number, line: string) => report.detail(`(${number}/${of}) ${line}`),
      });
      for (const line of result.notes) report.note(line);
    },
    command: ({ argv }, chroot) => runCommand(argv, chroot.path),
    shell: (_, chroot, { wish: { report } }) => {
      report.note("This is a shell in the draft. `exit` seals it; `exit 1` discards it.");
      runShell(chroot.path);
    },
    edit: ({ file, editor }, chroot) => {
      if (exists(insideRoot(chroot.path, file)) && !isFile(insideRoot(chroot.path, file)))
        throw new FirnError("E_FILE", `${file} is no regular file. Nothing was changed.`);
      runCommand([...editor, file], chroot.path);
    },
    "add-commons": ({ name, path }, chroot, transaction) => {
      const folder = `${transaction.top}/${layout.common(name)}`;
      const root = insideRoot(chroot.path, path);
      if (exists(root) && !isDirectory(root))
        throw new FirnError("E_COMMONS", `${path} is no directory, so it cannot be shared. Nothing was changed.`);
      if (exists(folder)) {
        transaction.wish.report.note(`${name} is there from before: its data is used.`);
      } else {
        // Under a draft's name until it is whole: a killed run must not leave half of one to be taken for data from before.
        const draft = folder + DRAFT;
        if (exists(draft)) deleteSubvolume(draft);
        transaction.onDiscard(() => {
          for (const made of [draft, folder]) if (exists(made)) deleteSubvolume(made);
        });
        createSubvolume(draft);
        seedCommons(root, draft, path);
        rename(draft, folder);
      }
      if (!isDirectory(root)) run(["mkdir", "-p", path], { chroot: chroot.path });
      transaction.replaceTemplate(addCommons(transaction.template, name, path, transaction.wish.state.uuid));
    },
    "remove-commons": ({ path }, _, transaction) => {
      transaction.replaceTemplate(removeCommons(transaction.template, path));
    },
  };
  return (change, chroot, transaction) =>
    (makers[change.kind] as (change: Change, chroot: Chroot, transaction: Transaction) => void)(
      change,
      chroot,
      transaction,
    );
}
