import { checkDocument } from "../config/document.ts";
import { given } from "../given.ts";
import { completeMachine, contradictions, type MachineConfig, type PartialMachine } from "./machine.ts";
import { parseInterfaceFlag } from "./network.ts";
import { isRefusal, type Refusal } from "../problem.ts";
import { refuseConfig, refusedAt, type ConfigProblem } from "../config/problems.ts";
import { machineSchema } from "./schema.ts";
import { parseServiceFlag, RUNLEVELS } from "./services.ts";

/**
 * The flags of `firn install` and `firn image` as they were typed. A flag that was not given is absent or undefined.
 */
export interface MachineFlags {
  readonly size?: string | undefined;
  readonly espSize?: string | undefined;
  readonly swapSize?: string | undefined;
  readonly slots?: string | undefined;
  readonly compression?: string | undefined;
  readonly common?: readonly string[] | undefined;
  readonly arch?: string | undefined;
  readonly release?: string | undefined;
  readonly mirror?: string | undefined;
  readonly repository?: readonly string[] | undefined;
  readonly keysDir?: string | undefined;
  readonly flavor?: string | undefined;
  readonly firmware?: readonly string[] | undefined;
  readonly package?: readonly string[] | undefined;
  readonly cmdline?: string | undefined;
  readonly serial?: string | undefined;
  readonly refind?: string | undefined;
  readonly hostname?: string | undefined;
  readonly timezone?: string | undefined;
  readonly keymap?: string | undefined;
  readonly user?: readonly string[] | undefined;
  /** The keys themselves: whoever takes the flag reads a file that it names. */
  readonly sshKey?: readonly string[] | undefined;
  readonly rootPasswordHash?: string | undefined;
  readonly interface?: readonly string[] | undefined;
  readonly dns?: readonly string[] | undefined;
  readonly search?: readonly string[] | undefined;
  readonly service?: readonly string[] | undefined;
}

/** Flags that say what one key of machine.toml says: section, key, flag. */
const DIRECT: readonly (readonly [
  section: "disk" | "system" | "identity" | "network",
  key: string,
  flag: keyof MachineFlags,
])[] = [
  ["disk", "size", "size"],
  ["disk", "esp-size", "espSize"],
  ["disk", "swap-size", "swapSize"],
  ["disk", "slots", "slots"],
  ["disk", "compression", "compression"],
  ["disk", "commons", "common"],
  ["system", "arch", "arch"],
  ["system", "release", "release"],
  ["system", "mirror", "mirror"],
  ["system", "repositories", "repository"],
  ["system", "keys-dir", "keysDir"],
  ["system", "flavor", "flavor"],
  ["system", "firmware", "firmware"],
  ["system", "packages", "package"],
  ["system", "cmdline", "cmdline"],
  ["system", "serial", "serial"],
  ["system", "refind", "refind"],
  ["identity", "hostname", "hostname"],
  ["identity", "timezone", "timezone"],
  ["identity", "keymap", "keymap"],
  ["network", "dns", "dns"],
  ["network", "search", "search"],
];

/** Keys that flags reach in another way. */
const INDIRECT: Readonly<Record<string, string>> = {
  "identity.users": "--user",
  "identity.users.name": "--user",
  "identity.users.ssh-keys": "--ssh-key",
  "identity.root.ssh-keys": "--ssh-key",
  "identity.root.password-hash": "--root-password-hash",
  "network.interfaces": "--interface",
  "network.interfaces.name": "--interface",
};

/** `espSize` → `--esp-size` */
function spelled(flag: string): string {
  return `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** The flag that says what the key at `where` says: "disk.esp-size" → "--esp-size". */
function flagOf(where: string): string {
  const plain = where.replace(/\[\d+\]/g, "");
  const direct = DIRECT.find(([section, key]) => `${section}.${key}` === plain);
  if (direct !== undefined) return spelled(direct[2]);
  return INDIRECT[plain] ?? where;
}

/** The flags as the tree that machine.toml would give. */
function treeOf(flags: MachineFlags): { tree: Record<string, Record<string, unknown>>; problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  const tree: Record<string, Record<string, unknown>> = {};
  const put = (section: string, key: string, value: unknown) => ((tree[section] ??= {})[key] = value);
  for (const [section, key, flag] of DIRECT) {
    const value = flags[flag];
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    put(section, key, flag === "slots" && /^\d{1,9}$/.test(String(value)) ? Number(value) : value);
  }
  const users = flags.user ?? [];
  const keys = flags.sshKey ?? [];
  if (users.length > 0) {
    const ssh = keys.length > 0 ? { "ssh-keys": keys } : {};
    put(
      "identity",
      "users",
      [...new Set(users)].map((name) => ({ name, ...ssh })),
    );
  }
  const root = {
    ...(users.length === 0 && keys.length > 0 ? { "ssh-keys": keys } : {}),
    ...given({ "password-hash": flags.rootPasswordHash }),
  };
  if (Object.keys(root).length > 0) put("identity", "root", root);
  const interfaces = (flags.interface ?? []).flatMap((word) => {
    const parsed = parseInterfaceFlag(word);
    if (!isRefusal(parsed)) return [parsed];
    problems.push(refusedAt("--interface", parsed));
    return [];
  });
  if (interfaces.length > 0) put("network", "interfaces", interfaces);
  for (const word of flags.service ?? []) {
    const parsed = parseServiceFlag(word);
    if (isRefusal(parsed)) {
      problems.push(refusedAt("--service", parsed));
      continue;
    }
    const { runlevel, word: service } = parsed;
    put("services", runlevel, [...((tree["services"]?.[runlevel] as string[] | undefined) ?? []), service]);
  }
  return { tree, problems };
}

type Users = NonNullable<NonNullable<PartialMachine["identity"]>["users"]>;

/** A flag's user who is in the file too is the file's, with the flag's keys beside the file's. */
function mergeUsers(file: Users, flags: Users): Users {
  const merged = file.map((user) => {
    const flagged = flags.find(({ name }) => name === user.name);
    if (flagged?.sshKeys === undefined) return user;
    return { ...user, sshKeys: [...(user.sshKeys ?? []), ...flagged.sshKeys] };
  });
  return [...merged, ...flags.filter(({ name }) => !file.some((user) => user.name === name))];
}

/** Where packages come from: what a flag says of it replaces what the file says. */
function mergeSources(file: NonNullable<PartialMachine["system"]>, flags: NonNullable<PartialMachine["system"]>) {
  // `-X DIR` must mean "from there", also beside a file that names a release; with --release or --mirror it means "and
  // there".
  if (flags.repositories === undefined) return { ...file, ...flags };
  const { release: _release, mirror: _mirror, ...rest } = file;
  return { ...(flags.release === undefined && flags.mirror === undefined ? rest : file), ...flags };
}

function concat<T>(a: readonly T[] | undefined, b: readonly T[] | undefined): readonly T[] {
  return [...(a ?? []), ...(b ?? [])];
}

function mergePartial(file: PartialMachine, flags: PartialMachine): PartialMachine {
  const services = RUNLEVELS.map((level) => [level, concat(file.services?.[level], flags.services?.[level])]);
  const root = { ...file.identity?.root, ...flags.identity?.root };
  const rootKeys = concat(file.identity?.root?.sshKeys, flags.identity?.root?.sshKeys);
  return {
    disk: { ...file.disk, ...flags.disk, commons: concat(file.disk?.commons, flags.disk?.commons) },
    system: {
      ...mergeSources(file.system ?? {}, flags.system ?? {}),
      packages: concat(file.system?.packages, flags.system?.packages),
    },
    identity: {
      ...file.identity,
      ...flags.identity,
      users: mergeUsers(file.identity?.users ?? [], flags.identity?.users ?? []),
      root: { ...root, sshKeys: rootKeys },
    },
    network: { ...file.network, ...flags.network },
    services: Object.fromEntries(services) as NonNullable<PartialMachine["services"]>,
  };
}

/**
 * The complete wish: the file's values, the flags' over them, the defaults beneath.
 *
 * A flag wins over the file. Lists that gather (commons, packages, services, users, keys) take the flags' words after
 * the file's, so that `--service '!acpid'` undoes the file's `acpid`; lists that choose (repositories, firmware, DNS,
 * search, interfaces) are replaced. `--ssh-key` is for the users named by `--user`, or for root when there are none.
 *
 * @param source the file's name, for messages about the file alone
 */
export function mergeFlags(
  file: PartialMachine,
  flags: MachineFlags,
  source: string = "machine.toml",
): MachineConfig | Refusal {
  const inFile = contradictions(file);
  if (inFile.length > 0) return refuseConfig(source, inFile);
  const { tree, problems } = treeOf(flags);
  const checked = checkDocument(machineSchema(), tree, flagOf);
  if (!("value" in checked)) return refuseConfig("", [...checked.problems, ...problems]);
  if (problems.length > 0) return refuseConfig("", problems);
  const merged = mergePartial(file, checked.value);
  const between = contradictions(merged).map((problem) => ({ ...problem, where: flagOf(problem.where) }));
  return between.length > 0 ? refuseConfig("", between) : completeMachine(merged);
}
