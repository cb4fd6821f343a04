import { decode, isFile, readBytes, readTextIfAny } from "../../host/kernel/files.ts";
import { workingDirectory } from "../../host/kernel/process.ts";
import { given } from "../../model/given.ts";
import { mergeFlags } from "../../model/machine/flags.ts";
import type { MachineFlags } from "../../model/machine/machine-toml.ts";
import { parseMachineToml, type MachineConfig, type PartialMachine } from "../../model/machine/machine.ts";
import { isKeyType, parseSshKey } from "../../model/machine/ssh-key.ts";
import { normaliseRepository } from "../../model/packages/conf.ts";
import { absolutePath } from "../../model/text/absolute-path.ts";
import { FirnError, isRefusal, orThrow } from "../../model/problem.ts";

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

/** Bytes. A file of a hundred keys has some twelve thousand. */
const LARGEST_KEY_FILE = 1 << 20;

/** The keys in a file. One that holds anything else may hold a secret, so nothing of it is repeated. */
function keysIn(path: string): string[] {
  const hint = "Give a public key (ssh-keygen's .pub file), or a file with such lines and no others.";
  const wrong = (why: string): FirnError => new FirnError("E_CONFIG_FILE", `--ssh-key: ${path}: ${why}`, hint);
  if (!isFile(path)) throw wrong("there is no such file.");
  const text = decode(readBytes(path, 0, LARGEST_KEY_FILE));
  if (text.includes("PRIVATE KEY")) throw wrong("this is a private key, which must stay where it is.");
  const lines = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
  if (lines.length === 0) throw wrong("there is no key in this file.");
  if (lines.some((line) => isRefusal(parseSshKey(line)))) throw wrong("a line of this file is no public key.");
  return lines;
}

/** Keys as text: a single word stands for the lines of the file that it names. */
function sshKeys(words: readonly string[] | undefined): string[] | undefined {
  return words?.flatMap((word) => (/^$|\s|^https?:/.test(word) || isKeyType(word) ? [word] : keysIn(word)));
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
