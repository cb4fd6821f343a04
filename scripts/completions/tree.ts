import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Command, CommandContext, RouteMap } from "@stricli/core";
import { given } from "../../src/model/given.ts";

/** What the shell can offer for a word. `none`: only the user knows. */
export type Words =
  | { readonly kind: "none" | "file" | "directory" | "generation" | "command" | "package" }
  | { readonly kind: "choice"; readonly of: readonly string[] };

export interface Flag {
  /** As it is typed: `--esp-size`. */
  readonly name: string;
  /** `-X` */
  readonly short?: string;
  readonly brief: string;
  readonly repeatable: boolean;
  /** Absent for a switch. */
  readonly value?: Words;
}

export interface Argument {
  /** As the usage line has it: `GEN` */
  readonly name: string;
  readonly words: Words;
}

export interface Verb {
  /** `["commons", "add"]` */
  readonly path: readonly string[];
  readonly brief: string;
  readonly flags: readonly Flag[];
  readonly arguments: readonly Argument[];
  /** Whether the last argument takes all further words. */
  readonly variadic: boolean;
}

export interface Group {
  readonly path: readonly string[];
  readonly brief: string;
}

/** Every verb, and every group of verbs but the root, in the order of `firn --help`. */
export interface Tree {
  readonly verbs: readonly Verb[];
  readonly groups: readonly Group[];
}

const NONE: Words = { kind: "none" };

/** What a placeholder of the command tree stands for. */
const BY_PLACEHOLDER: Readonly<Record<string, Words>> = {
  FILE: { kind: "file" },
  DISK: { kind: "file" },
  "DISK|IMAGE": { kind: "file" },
  DIR: { kind: "directory" },
  PATH: { kind: "directory" },
  GEN: { kind: "generation" },
  A: { kind: "generation" },
  B: { kind: "generation" },
  PKG: { kind: "package" },
  CMD: { kind: "command" },
};

/** Flags whose value comes from a short list; the lists are those of the help and of machine.toml. */
const BY_FLAG: Readonly<Record<string, Words>> = {
  arch: { kind: "choice", of: ["x86_64"] },
  base: { kind: "generation" },
  compression: { kind: "choice", of: ["zstd", "zlib", "none"] },
  common: { kind: "directory" },
  firmware: { kind: "choice", of: ["none"] },
  flavor: { kind: "choice", of: ["lts", "virt", "stable"] },
  keymap: { kind: "choice", of: ["none"] },
  release: { kind: "choice", of: ["latest-stable", "edge"] },
  repository: { kind: "directory" },
  serial: { kind: "choice", of: ["ttyS0", "ttyS0,115200"] },
  sshKey: { kind: "file" },
  swapSize: { kind: "choice", of: ["none"] },
};

/** The words that mean a generation beside its id. Those of src/model/volume/selector.ts. */
export const GENERATION_WORDS: readonly string[] = ["booted", "current", "previous"];

function verbOf(path: readonly string[], command: Command<CommandContext>): Verb {
  const { flags = {}, aliases = {}, positional } = command.parameters;
  const typed = Object.entries(flags).map(([key, flag]): Flag => {
    const short = Object.entries(aliases).find(([, name]) => name === key)?.[0];
    const takesValue = flag.kind !== "boolean" && flag.kind !== "counter";
    return {
      name: `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      ...given({ short: short === undefined ? undefined : `-${short}` }),
      brief: flag.brief,
      repeatable:
        flag.kind === "parsed" && "variadic" in flag && flag.variadic !== undefined && flag.variadic !== false,
      ...(takesValue ? { value: BY_PLACEHOLDER[flag.placeholder ?? ""] ?? BY_FLAG[key] ?? NONE } : {}),
    };
  });
  const parameters =
    positional === undefined
      ? []
      : positional.kind === "array"
        ? [positional.parameter]
        : (positional.parameters ?? []);
  const names = parameters.map(({ placeholder }) => placeholder ?? "");
  return {
    path,
    brief: command.brief,
    flags: [...typed, { name: "--help", short: "-h", brief: "Print help and exit", repeatable: false }],
    arguments: names.flatMap((name): Argument[] => {
      const plain = name.replace("…", "");
      const words = BY_PLACEHOLDER[plain] ?? NONE;
      // A command's own arguments are most often files.
      const more: Argument[] = words.kind === "command" ? [{ name: "ARGUMENT", words: { kind: "file" } }] : [];
      return [{ name: plain, words }, ...more];
    }),
    variadic: positional?.kind === "array" || (names.at(-1)?.endsWith("…") ?? false),
  };
}

function isGroup(target: Command<CommandContext> | RouteMap<CommandContext>): target is RouteMap<CommandContext> {
  return "getAllEntries" in target;
}

function walk(
  path: readonly string[],
  group: RouteMap<CommandContext>,
  tree: { verbs: Verb[]; groups: Group[] },
): void {
  for (const { name, target, hidden } of group.getAllEntries()) {
    if (hidden) continue;
    const here = [...path, name["convert-camel-to-kebab"]];
    if (!isGroup(target)) {
      tree.verbs.push(verbOf(here, target));
      continue;
    }
    tree.groups.push({ path: here, brief: target.brief });
    walk(here, target, tree);
  }
}

/**
 * The command tree as src/app.ts declares it. The module is imported into Node, where there is no native layer and none
 * is needed: verbs are loaded when they run, and none runs here.
 */
export async function commandTree(): Promise<Tree> {
  const { version } = JSON.parse(readFileSync(resolve(import.meta.dirname, "../../package.json"), "utf8")) as {
    version: string;
  };
  const world = globalThis as unknown as Record<string, unknown>;
  world["FIRN_VERSION"] ??= version;
  world["__firn"] ??= {};
  const { application } = await import("../../src/app.ts");
  if (!isGroup(application.root)) throw new Error("src/app.ts has no command tree at its root");
  const tree = { verbs: [] as Verb[], groups: [] as Group[] };
  walk([], application.root, tree);
  return tree;
}

/** What the flags that take a value take, by every spelling. Throws when one name means two things. */
export function valueFlags(tree: Tree): Map<string, Words> {
  const known = new Map<string, Words | undefined>();
  for (const { path, flags } of tree.verbs)
    for (const { name, short, value } of flags)
      for (const spelling of short === undefined ? [name] : [name, short]) {
        const before = known.get(spelling);
        if (known.has(spelling) && JSON.stringify(before) !== JSON.stringify(value))
          throw new Error(`${spelling} of "firn ${path.join(" ")}" differs from that of another command`);
        known.set(spelling, value);
      }
  return new Map([...known].flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])));
}
