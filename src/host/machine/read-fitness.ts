/** Whether a root is of use once it boots. */
import { typeOf } from "../kernel/files.ts";
import type { Within } from "../kernel/within.ts";
import { isSysError } from "../kernel/failure.ts";
import { PROGRAM_HEAD, programFile } from "../../model/machine/program-file.ts";
import { databaseFiles } from "../../model/packages/bookkeeping.ts";
import {
  consolePrograms,
  fitnessChecks,
  fitnessNames,
  neededPrograms,
  neededRunlevels,
  openFolders,
  parseLogins,
  sshServices,
  usersWithPassword,
  type FitnessCheck,
  type FitnessFacts,
  type Login,
} from "../../model/machine/fitness.ts";

/** The files of one root, and what its fstab shares. */
interface Root {
  readonly files: Within;
  readonly shared: readonly string[];
}

/** A root that is looked at, and which programs of it were found to run. */
interface Seen extends Root {
  readonly known: Map<string, boolean>;
}

function textIn({ files }: Root, name: string): string | undefined {
  return files.isFile(name) ? files.text(name) : undefined;
}

/** A chain of interpreters of interpreters is a loop to the kernel, too (fs/exec.c). */
const INTERPRETERS = 4;

/** Whether it is a whole program that can be run, and so is what runs it. */
function runs(root: Seen, name: string, depth = 0): boolean {
  const known = root.known.get(name) ?? canRun(root, name, depth);
  root.known.set(name, known);
  return known;
}

function canRun(root: Seen, name: string, depth: number): boolean {
  const { files } = root;
  const found = files.stat(name);
  if (found === undefined || typeOf(found) !== "file" || (found.mode & 0o111) === 0) return false;
  using file = files.read(name);
  const program = programFile(file.read(PROGRAM_HEAD, 0), found.size);
  if (!program?.whole) return false;
  const { interpreter } = program;
  return interpreter === undefined || (depth < INTERPRETERS && runs(root, interpreter, depth + 1));
}

const loginsIn = (root: Root): Login[] => parseLogins(textIn(root, "/etc/passwd") ?? "");

function startsServer(root: Seen): boolean {
  const runlevels = "/etc/runlevels";
  return root.files
    .names(runlevels)
    .some((level) =>
      root.files
        .names(`${runlevels}/${level}`)
        .some((service) => sshServices.some((name) => name === service) && runs(root, `/etc/init.d/${service}`)),
    );
}

function emptyRunlevels(root: Seen): string[] {
  return neededRunlevels.filter(
    (level) => !root.files.names(`/etc/runlevels/${level}`).some((name) => runs(root, `/etc/init.d/${name}`)),
  );
}

type Asked = (root: Seen) => readonly string[];

/** A check with what gathers its facts. What cannot be read is a fault of its own. */
function asked<Facts>({ faults }: FitnessCheck<Facts>, gather: (root: Seen) => Facts): Asked {
  return (root) => {
    try {
      return faults(gather(root));
    } catch (error) {
      if (isSysError(error)) return [error.message];
      throw error;
    }
  };
}

/** The registry, with eyes: it does not compile when a check has nobody who gathers for it. */
const registry: { readonly [Name in keyof FitnessFacts]: Asked } = {
  programs: asked(fitnessChecks.programs, (root) => neededPrograms.map((name) => ({ name, runs: runs(root, name) }))),
  logins: asked(fitnessChecks.logins, (root) =>
    loginsIn(root).map((login) => ({ ...login, runs: runs(root, login.shell) })),
  ),
  homes: asked(fitnessChecks.homes, (root) => ({ logins: loginsIn(root), shared: root.shared })),
  folders: asked(fitnessChecks.folders, ({ files }) => ({
    closed: openFolders.filter((path) => ((files.stat(path)?.mode ?? 0) & 0o001) === 0),
  })),
  services: asked(fitnessChecks.services, (root) => ({ empty: emptyRunlevels(root) })),
  database: asked(fitnessChecks.database, ({ files }) => ({ there: databaseFiles.some((path) => files.isFile(path)) })),
  console: asked(fitnessChecks.console, (root) => ({
    getty: consolePrograms(textIn(root, "/etc/inittab") ?? "").some((program) => runs(root, program)),
  })),
  passwords: asked(fitnessChecks.passwords, (root) => {
    const known = usersWithPassword(textIn(root, "/etc/shadow") ?? "");
    return { without: loginsIn(root).flatMap(({ user }) => (known.has(user) ? [] : [user])) };
  }),
  remote: asked(fitnessChecks.remote, (root) => ({ server: startsServer(root) })),
  config: asked(fitnessChecks.config, (root) => textIn(root, "/etc/firn/firn.toml")),
};

/** What a draft lacks that its base had: what is to be refused, and what is only to be said. */
export function newFaults(draft: Root, base: Root): { refused: string[]; said: string[] } {
  const [now, then] = [draft, base].map((root): Seen => ({ ...root, known: new Map() })) as [Seen, Seen];
  const found = fitnessNames.map((name) => {
    const faults = registry[name](now);
    const before = faults.length === 0 ? [] : registry[name](then);
    return { name, faults: faults.filter((fault) => !before.includes(fault)) };
  });
  const those = (refuses: boolean): string[] =>
    found.flatMap(({ name, faults }) => (fitnessChecks[name].refuses === refuses ? faults : []));
  return { refused: those(true), said: those(false) };
}
