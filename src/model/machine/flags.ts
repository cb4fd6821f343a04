import { checkDocument } from "../config/document.ts";
import { completeMachine, contradictions, type MachineConfig, type PartialMachine } from "./machine.ts";
import { parseInterfaceFlag } from "./network.ts";
import { isRefusal, type Refusal } from "../problem.ts";
import { refuseConfig, refusedAt, type ConfigProblem } from "../config/problems.ts";
import { flagAt, put, treeOf, type Tree } from "../config/flag-tree.ts";
import { machineToml, type MachineFlags } from "./machine-toml.ts";
import { parseServiceFlag, RUNLEVELS, type Runlevel } from "./services.ts";

/** The flags as the tree that machine.toml would give. */
function machineTree(flags: MachineFlags): { tree: Tree; problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  const tree = treeOf(machineToml, flags);
  const users = flags.user ?? [];
  const keys = flags.sshKey ?? [];
  const ssh = keys.length > 0 ? { "ssh-keys": keys } : {};
  if (users.length > 0)
    put(
      tree,
      ["identity", "users"],
      [...new Set(users)].map((name) => ({ name, ...ssh })),
    );
  else if (keys.length > 0) put(tree, ["identity", "root", "ssh-keys"], keys);
  const interfaces = (flags.interface ?? []).flatMap((word) => {
    const parsed = parseInterfaceFlag(word);
    if (!isRefusal(parsed)) return [parsed];
    problems.push(refusedAt("--interface", parsed));
    return [];
  });
  if (interfaces.length > 0) put(tree, ["network", "interfaces"], interfaces);
  const services: Partial<Record<Runlevel, string[]>> = {};
  for (const word of flags.service ?? []) {
    const parsed = parseServiceFlag(word);
    if (isRefusal(parsed)) problems.push(refusedAt("--service", parsed));
    else (services[parsed.runlevel] ??= []).push(parsed.word);
  }
  if (Object.keys(services).length > 0) put(tree, ["services"], services);
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
  const { tree, problems } = machineTree(flags);
  const flagOf = (where: string): string => flagAt(machineToml, where);
  const checked = checkDocument(machineToml, tree, flagOf);
  if (!("value" in checked)) return refuseConfig("", [...checked.problems, ...problems]);
  if (problems.length > 0) return refuseConfig("", problems);
  const merged = mergePartial(file, checked.value);
  const between = contradictions(merged).map((problem) => ({ ...problem, where: flagOf(problem.where) }));
  return between.length > 0 ? refuseConfig("", between) : completeMachine(merged);
}
