import { given } from "../given.ts";
import { validateCommons, type CommonsPath } from "../volume/commons.ts";
import { parseDocument } from "../config/document.ts";
import type { Keymap } from "./identity.ts";
import type { Interface } from "./network.ts";
import { isRefusal, type Refusal } from "../problem.ts";
import { bad } from "../text/complaint.ts";
import { refusedAt, type ConfigProblem } from "../config/problems.ts";
import { machineSchema, type PartialMachine } from "./schema.ts";
import { mirrorRepositories } from "../packages/conf.ts";
import { RUNLEVELS, serviceChange, type Runlevel, type ServiceChange } from "./services.ts";
import type { Serial } from "./system.ts";

export type { PartialMachine } from "./schema.ts";

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

/** As setup-apkrepos offers it first. */
const DEFAULT_MIRROR = "https://dl-cdn.alpinelinux.org/alpine";

/** Those of setup-alpine's admin user: `-a -g 'audio video netdev'`, in which -a is wheel. */
const USER_GROUPS = ["wheel", "audio", "video", "netdev"];

/** Reads machine.toml. `filename` appears in messages only; relative paths inside stay as they are written. */
export function parseMachineToml(toml: string, filename: string): PartialMachine | Refusal {
  return parseDocument(machineSchema(), toml, filename);
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
  const { disk = {}, system = {}, identity = {}, network = {}, services = {} } = wish;
  const commons = validateCommons(disk.commons ?? []);
  if (isRefusal(commons)) throw new Error(`contradictions() let commons through: ${commons.problem.message}`);
  const repositories = system.repositories ?? [];
  const alone = repositories.length > 0 && system.mirror === undefined;
  const release = system.release ?? (alone ? undefined : "latest-stable");
  const { keymap, root } = identity;
  return {
    disk: {
      ...given({ size: disk.size }),
      espSize: disk.espSize ?? "auto",
      swapSize: disk.swapSize ?? "auto",
      slots: disk.slots ?? 4,
      compression: disk.compression ?? "zstd",
      commons,
    },
    system: {
      arch: system.arch ?? "x86_64",
      ...given({ release, keysDir: system.keysDir, refind: system.refind }),
      mirror: system.mirror ?? DEFAULT_MIRROR,
      repositories,
      flavor: system.flavor ?? "lts",
      firmware: system.firmware ?? [],
      packages: [...new Set(system.packages)],
      cmdline: system.cmdline ?? "quiet",
      ...given({ serial: system.serial === "none" ? undefined : system.serial }),
    },
    identity: {
      // setup-alpine's quick mode names the machine so.
      hostname: identity.hostname ?? "alpine",
      timezone: identity.timezone ?? "UTC",
      ...given({ keymap: keymap === "none" ? undefined : keymap }),
      users: (identity.users ?? []).map((user) => ({
        ...user,
        groups: [...new Set(user.groups ?? USER_GROUPS)],
        sshKeys: [...new Set(user.sshKeys)],
        // Alpine's busybox has ash in every release; baselayout gave root this shell until 3.19.
        shell: user.shell ?? "/bin/ash",
      })),
      root: {
        locked: root?.passwordHash === undefined,
        ...given({ passwordHash: root?.passwordHash }),
        sshKeys: [...new Set(root?.sshKeys)],
      },
    },
    network: {
      // As setup-interfaces proposes.
      interfaces: network.interfaces ?? [{ name: "eth0", method: "dhcp", addresses: [], gateways: [] }],
      dns: network.dns ?? [],
      search: network.search ?? [],
    },
    services: Object.fromEntries(
      RUNLEVELS.map((runlevel) => [runlevel, serviceChange(services[runlevel] ?? [])]),
    ) as Record<Runlevel, ServiceChange>,
  };
}
