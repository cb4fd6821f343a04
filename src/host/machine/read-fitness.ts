/** Whether a root is of use once it boots. */
import { typeOf } from "../kernel/files.ts";
import type { Within } from "../kernel/within.ts";
import { isSysError } from "../kernel/failure.ts";
import {
  fitnessChecks,
  fitnessNames,
  neededPrograms,
  parseLogins,
  sshServices,
  startsGetty,
  type FitnessCheck,
  type FitnessFacts,
  type Login,
} from "../../model/machine/fitness.ts";

/** The files of one root, and what its fstab shares. */
interface Root {
  readonly files: Within;
  readonly shared: readonly string[];
}

function textIn({ files }: Root, name: string): string | undefined {
  return files.isFile(name) ? files.text(name) : undefined;
}

function runs({ files }: Root, name: string): boolean {
  const found = files.stat(name);
  return found !== undefined && typeOf(found) === "file" && found.size > 0 && (found.mode & 0o111) !== 0;
}

const loginsIn = (root: Root): Login[] => parseLogins(textIn(root, "/etc/passwd") ?? "");

function startsServer(root: Root): boolean {
  const runlevels = "/etc/runlevels";
  return root.files
    .names(runlevels)
    .some((level) =>
      root.files
        .names(`${runlevels}/${level}`)
        .some((service) => sshServices.some((name) => name === service) && runs(root, `/etc/init.d/${service}`)),
    );
}

type Asked = (root: Root) => readonly string[];

/** A check with what gathers its facts. What cannot be read is a fault of its own. */
function asked<Facts>({ faults }: FitnessCheck<Facts>, gather: (root: Root) => Facts): Asked {
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
  console: asked(fitnessChecks.console, (root) => ({ getty: startsGetty(textIn(root, "/etc/inittab") ?? "") })),
  remote: asked(fitnessChecks.remote, (root) => ({ server: startsServer(root) })),
  config: asked(fitnessChecks.config, (root) => textIn(root, "/etc/firn/firn.toml")),
};

/** What a draft lacks that its base had: what is to be refused, and what is only to be said. */
export function newFaults(draft: Root, base: Root): { refused: string[]; said: string[] } {
  const found = fitnessNames.map((name) => {
    const faults = registry[name](draft);
    const before = faults.length === 0 ? [] : registry[name](base);
    return { name, faults: faults.filter((fault) => !before.includes(fault)) };
  });
  const those = (refuses: boolean): string[] =>
    found.flatMap(({ name, faults }) => (fitnessChecks[name].refuses === refuses ? faults : []));
  return { refused: those(true), said: those(false) };
}
