import { isFile, readText, readTextIfAny } from "../../host/kernel/files.ts";
import { workingDirectory } from "../../host/kernel/process.ts";
import { given } from "../../model/given.ts";
import { mergeFlags } from "../../model/machine/flags.ts";
import type { MachineFlags } from "../../model/machine/machine-toml.ts";
import { parseMachineToml, type MachineConfig, type PartialMachine } from "../../model/machine/machine.ts";
import { normaliseRepository } from "../../model/packages/conf.ts";
import { absolutePath } from "../../model/text/absolute-path.ts";
import { FirnError, orThrow } from "../../model/problem.ts";

export function repositoryFrom(folder: string, text: string): string {
  return normaliseRepository(text, folder) ?? text;
}

/** Paths in a file are relative to it, paths in flags to the working directory. */
function withAbsolutePaths<T extends { repositories?: readonly string[]; keysDir?: string; refind?: string }>(
  system: T,
  folder: string,
): T {
  const { repositories, keysDir, refind } = system;
  return {
    ...system,
    ...given({
      repositories: repositories?.map((one) => repositoryFrom(folder, one)),
      keysDir: keysDir === undefined ? undefined : absolutePath(keysDir, folder),
      refind: refind === undefined ? undefined : absolutePath(refind, folder),
    }),
  };
}

function readConfigFile(path: string | undefined): PartialMachine {
  if (path === undefined) return {};
  const file = absolutePath(path, workingDirectory());
  const text = readTextIfAny(file);
  if (text === undefined)
    throw new FirnError("E_CONFIG_FILE", `${path}: no such file.`, "`firn config --example` prints one.");
  const { system, ...rest } = orThrow(parseMachineToml(text, path));
  const folder = file.slice(0, file.lastIndexOf("/")) || "/";
  return { ...rest, ...given({ system: system === undefined ? undefined : withAbsolutePaths(system, folder) }) };
}

/** Keys as text: a word that names a file stands for its lines. */
function sshKeys(words: readonly string[] | undefined): string[] | undefined {
  return words?.flatMap((word) => {
    if (/\s/.test(word) || !isFile(word)) return [word];
    return readText(word)
      .split("\n")
      .filter((line) => line.trim() !== "" && !line.startsWith("#"));
  });
}

/** The wish for an installation: what the file and the flags say, over the defaults. Reads, and changes nothing. */
export function machineConfig(flags: MachineFlags & { readonly config?: string }): MachineConfig {
  const words = { ...flags, ...given({ sshKey: sshKeys(flags.sshKey) }) };
  const merged = orThrow(mergeFlags(readConfigFile(flags.config), words, flags.config));
  return { ...merged, system: withAbsolutePaths(merged.system, workingDirectory()) };
}

/** What may be printed, logged and pasted: a hash can be tried against a list of passwords. */
export function withoutSecrets(config: MachineConfig): MachineConfig {
  const hidden = <T extends { readonly passwordHash?: string }>(account: T): T =>
    account.passwordHash === undefined ? account : { ...account, passwordHash: "(hidden)" };
  const { root, users } = config.identity;
  return { ...config, identity: { ...config.identity, root: hidden(root), users: users.map(hidden) } };
}
