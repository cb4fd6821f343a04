import { given } from "../given.ts";
import { validateCommons, type CommonsPath } from "../volume/commons.ts";
import { parseDocument } from "../config/document.ts";
import type { Keymap } from "./identity.ts";
import type { Interface } from "./network.ts";
import { isRefusal, type Refusal } from "../problem.ts";
import { bad } from "../text/complaint.ts";
import { refusedAt, type ConfigProblem } from "../config/problems.ts";
import { complete } from "../config/complete.ts";
import { machineToml, type PartialMachine } from "./machine-toml.ts";
import { mirrorRepositories } from "../packages/conf.ts";
import { RUNLEVELS, serviceChange, type Runlevel, type ServiceChange } from "./services.ts";
import type { Serial } from "./system.ts";

export type { PartialMachine } from "./machine-toml.ts";

/** A user to be made. */
export interface UserConfig {
  readonly name: string;
  readonly fullName?: string;
  readonly groups: readonly string[];
  readonly sshKeys: readonly string[];
  /** Absent: no password fits. */
  readonly passwordHash?: string;
  readonly shell: string;
}

/** The wish for an installation, complete: every default is filled in, every value checked. */
export interface MachineConfig {
  readonly disk: {
    /** Bytes; for an image only. Absent when nobody named it. */
    readonly size?: number;
    /** Bytes. */
    readonly espSize: number | "auto";
    /** Bytes; 0 is none; auto leaves it to the planner (disk) or means none (image). */
    readonly swapSize: number | "auto";
    readonly slots: number;
    /** For the `compress=` mount option; "none" leaves the option out. */
    readonly compression: string;
    /** The defaults and those asked for, in mount order. */
    readonly commons: readonly CommonsPath[];
  };
  readonly system: {
    readonly arch: "x86_64" | "aarch64";
    /** Absent when the repositories alone say where packages come from. */
    readonly release?: string;
    readonly mirror: string;
    readonly repositories: readonly string[];
    readonly keysDir?: string;
    readonly flavor: string;
    /** Empty: none. */
    readonly firmware: readonly string[];
    readonly packages: readonly string[];
    /** Further kernel parameters; may be empty. */
    readonly cmdline: string;
    readonly serial?: Serial;
    readonly refind?: string;
  };
  readonly identity: {
    readonly hostname: string;
    readonly timezone: string;
    /** Absent: the kernel's own. */
    readonly keymap?: Keymap;
    readonly users: readonly UserConfig[];
    /** Locked exactly when there is no hash. */
    readonly root: { readonly locked: boolean; readonly passwordHash?: string; readonly sshKeys: readonly string[] };
  };
  readonly network: {
    readonly interfaces: readonly Interface[];
    readonly dns: readonly string[];
    readonly search: readonly string[];
  };
  readonly services: Readonly<Record<Runlevel, ServiceChange>>;
}

/** Reads machine.toml. `filename` appears in messages only; relative paths inside stay as they are written. */
export function parseMachineToml(toml: string, filename: string): PartialMachine | Refusal {
  return parseDocument(machineToml, toml, filename);
}

/**
 * The lines of /etc/apk/repositories: main and community of the release on the mirror (unless the repositories stand
 * alone), then the repositories.
 */
export function repositoryLines(system: MachineConfig["system"]): string[] {
  const { mirror, release, repositories } = system;
  const branch = release === undefined ? [] : mirrorRepositories(mirror, release);
  return [...branch, ...repositories];
}

/** A name that stands twice in a list of named things. */
function twice(named: readonly { readonly name: string }[]): string | undefined {
  const names = named.map(({ name }) => name);
  return names.find((name, i) => names.indexOf(name) !== i);
}

/** What is wrong between values that are right by themselves. */
export function contradictions(wish: PartialMachine): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const commons = validateCommons(wish.disk?.commons ?? []);
  if (isRefusal(commons)) problems.push(refusedAt("disk.commons", commons));
  const user = twice(wish.identity?.users ?? []);
  if (user !== undefined) {
    problems.push(refusedAt("identity.users", bad(`${user} is there twice.`, "Keep one.")));
  }
  const face = twice(wish.network?.interfaces ?? []);
  if (face !== undefined) {
    problems.push(refusedAt("network.interfaces", bad(`${face} is there twice.`, "Keep one.")));
  }
  return problems;
}

/** Fills in the defaults. `wish` must be free of `contradictions`. */
export function completeMachine(wish: PartialMachine): MachineConfig {
  const { disk, system, identity, network, services } = complete(machineToml, wish);
  const { espSize = "auto", swapSize = "auto" } = disk;
  const commons = validateCommons(disk.commons);
  if (isRefusal(commons)) throw new Error(`contradictions() let commons through: ${commons.problem.message}`);
  const { release, serial, ...rest } = system;
  const alone = system.repositories.length > 0 && wish.system?.mirror === undefined;
  const { keymap, root, ...names } = identity;
  return {
    disk: { ...disk, espSize, swapSize, commons },
    system: {
      ...rest,
      ...given({ release: alone ? wish.system?.release : release, serial: serial === "none" ? undefined : serial }),
      packages: [...new Set(system.packages)],
    },
    identity: {
      ...names,
      ...given({ keymap: keymap === "none" ? undefined : keymap }),
      users: (identity.users ?? []).map((user) => ({
        ...user,
        groups: [...new Set(user.groups)],
        sshKeys: [...new Set(user.sshKeys)],
      })),
      root: { ...root, locked: root.passwordHash === undefined, sshKeys: [...new Set(root.sshKeys)] },
    },
    network,
    services: Object.fromEntries(RUNLEVELS.map((runlevel) => [runlevel, serviceChange(services[runlevel])])) as Record<
      Runlevel,
      ServiceChange
    >,
  };
}
