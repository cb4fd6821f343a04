/**
 * What a root needs beside its boot files to be of use once it boots, each check by itself.
 * host/machine/read-fitness.ts gathers what they judge.
 */
import { isRefusal } from "../problem.ts";
import type { PathChange } from "../volume/path-change.ts";
import { parseFirnToml } from "./firn-toml.ts";
import { parsePasswd } from "./machine-files.ts";

/** Whoever may log in, by /etc/passwd. */
export interface Login {
  readonly user: string;
  readonly shell: string;
  readonly home: string;
}

/** What each check judges, of one root. */
export interface FitnessFacts {
  /** Whether each is a whole program that can be run, by whatever the kernel needs to run it. */
  programs: readonly { readonly name: string; readonly runs: boolean }[];
  logins: readonly (Login & { readonly runs: boolean })[];
  /** Paths that its fstab mounts from the volume, beside the root. */
  homes: { readonly logins: readonly Login[]; readonly shared: readonly string[] };
  /** Folders on everybody's way that others than their owner may not enter. */
  folders: { readonly closed: readonly string[] };
  /** Runlevels that start nothing. */
  services: { readonly empty: readonly string[] };
  /** Whether the list of what is installed is there. */
  database: { readonly there: boolean };
  /** Those who may log in, and whom /etc/shadow lets in by no password. */
  passwords: { readonly without: readonly string[] };
  /** What /etc/inittab starts on consoles, and the servers among what the runlevels start. */
  console: { readonly getty: boolean };
  remote: { readonly server: boolean };
  /** /etc/firn/firn.toml, where there is one. */
  config: string | undefined;
}

export interface FitnessCheck<Facts> {
  /** Whether its faults stop the change, or are only said. */
  readonly refuses: boolean;
  readonly faults: (facts: Facts) => readonly string[];
}

/** What a root is run by, keeps its packages with, and is changed with. */
export const neededPrograms = [
  "/sbin/init",
  "/sbin/openrc",
  "/sbin/openrc-run",
  "/bin/sh",
  "/sbin/apk",
  "/usr/sbin/firn",
] as const;

/** Where nothing is that a check looks at, but for the files below. */
const ELSEWHERE = /^(?:boot|etc|home|media|mnt|root|srv|tmp|var)(?:\/|$)/;
const LOOKED_AT = /^etc\/(?:firn|fstab|init\.d|inittab|passwd|runlevels|shadow)(?:\/|$)/;

/** Whether what differs of a path can be a fault: the look costs a small change a tenth of its time. */
export function concernsFitness({ path, kind, what }: PathChange): boolean {
  if (openFolders.some((folder) => folder === `/${path}`))
    return kind !== "changed" || what().some((one) => one === "mode" || one === "type");
  return !ELSEWHERE.test(path) || LOOKED_AT.test(path);
}

/** What everybody must be able to enter. */
export const openFolders = ["/", "/bin", "/etc", "/lib", "/sbin", "/usr", "/usr/bin", "/usr/lib", "/var"] as const;

/** Without which nothing is mounted and nobody is served. */
export const neededRunlevels = ["sysinit", "boot", "default"] as const;

export const fitnessChecks: { readonly [Name in keyof FitnessFacts]: FitnessCheck<FitnessFacts[Name]> } = {
  programs: {
    refuses: true,
    faults: (programs) => programs.flatMap(({ name, runs }) => (runs ? [] : [`${name} is missing or cannot be run.`])),
  },
  logins: {
    refuses: true,
    faults: (logins) => [
      ...(logins.length === 0 ? ["/etc/passwd has nobody who could log in."] : []),
      ...logins.flatMap(({ user, shell, runs }) =>
        runs ? [] : [`The shell of ${user}, ${shell}, is missing or cannot be run.`],
      ),
    ],
  },
  homes: {
    refuses: true,
    faults: ({ logins, shared }) =>
      logins.flatMap(({ user, home }) =>
        shared.some((path) => home === path || home.startsWith(`${path}/`))
          ? []
          : [`The home of ${user}, ${home}, is not shared: it cannot be written, and what is in it now is not seen.`],
      ),
  },
  folders: { refuses: true, faults: ({ closed }) => closed.map((path) => `${path} is closed to all but its owner.`) },
  services: { refuses: true, faults: ({ empty }) => empty.map((level) => `The runlevel ${level} starts nothing.`) },
  database: { refuses: true, faults: ({ there }) => (there ? [] : ["apk's list of what is installed is gone."]) },
  console: { refuses: true, faults: ({ getty }) => (getty ? [] : ["/etc/inittab starts no getty."]) },
  passwords: {
    refuses: false,
    faults: ({ without }) => without.map((user) => `No password lets ${user} in.`),
  },
  remote: { refuses: false, faults: ({ server }) => (server ? [] : ["No runlevel starts an SSH server."]) },
  config: {
    refuses: false,
    faults: (text) => {
      const parsed = text === undefined ? undefined : parseFirnToml(text);
      return isRefusal(parsed) ? [parsed.problem.message] : [];
    },
  },
};

export const fitnessNames = Object.keys(fitnessChecks) as readonly (keyof FitnessFacts)[];

const NO_LOGIN = /\/(nologin|false|sync|halt|shutdown)$/;
/** Where the accounts of people begin (adduser of Alpine). */
const FIRST_USER = 1000;
const NOBODY = 65_534;

/** Root and people with a shell, of /etc/passwd. */
export function parseLogins(passwd: string): Login[] {
  return parsePasswd(passwd).flatMap(({ name, uid, home, shell }) => {
    const person = uid === 0 || (uid >= FIRST_USER && uid !== NOBODY);
    return person && !NO_LOGIN.test(shell) ? [{ user: name, shell, home }] : [];
  });
}

/** The programs that /etc/inittab keeps on consoles: a getty, or a login of another name. */
export function consolePrograms(inittab: string): string[] {
  return inittab.split("\n").flatMap((line) => {
    const [, , action = "", command = ""] = line.startsWith("#") ? [] : line.split(":");
    const [program = ""] = command.replace(/^-/, "").trim().split(/\s+/);
    return /^(respawn|askfirst|once)$/.test(action) && !/^$|\/(false|true)$/.test(program) ? [program] : [];
  });
}

/** The users of /etc/shadow whom a password lets in. */
export function usersWithPassword(shadow: string): Set<string> {
  return new Set(
    shadow.split("\n").flatMap((line) => {
      const [user = "", field] = line.split(":");
      return field === undefined || /^[!*x]/.test(field) ? [] : [user];
    }),
  );
}

/** Servers of SSH, as their OpenRC services are called. */
export const sshServices = ["sshd", "dropbear", "tinysshd"] as const;
