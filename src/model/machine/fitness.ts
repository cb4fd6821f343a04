/**
 * What a root needs beside its boot files to be of use once it boots, each check by itself.
 * host/machine/read-fitness.ts gathers what they judge.
 */
import { isRefusal } from "../problem.ts";
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
  /** Whether each is a file that can be run. */
  programs: readonly { readonly name: string; readonly runs: boolean }[];
  logins: readonly (Login & { readonly runs: boolean })[];
  /** Paths that its fstab mounts from the volume, beside the root. */
  homes: { readonly logins: readonly Login[]; readonly shared: readonly string[] };
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
export const neededPrograms = ["/sbin/init", "/sbin/openrc", "/bin/sh", "/sbin/apk", "/usr/sbin/firn"] as const;

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
  console: { refuses: true, faults: ({ getty }) => (getty ? [] : ["/etc/inittab starts no getty."]) },
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

/** Whether /etc/inittab keeps a getty, or a login of another name, on a console. */
export function startsGetty(inittab: string): boolean {
  return inittab.split("\n").some((line) => {
    const [, , action = "", program = ""] = line.startsWith("#") ? [] : line.split(":");
    return /^(respawn|askfirst|once)$/.test(action) && program !== "";
  });
}

/** Servers of SSH, as their OpenRC services are called. */
export const sshServices = ["sshd", "dropbear", "tinysshd"] as const;
