import {
  buildApplication,
  buildCommand,
  buildRouteMap,
  help,
  version,
  type Application,
  type Command,
  type CommandContext,
} from "@stricli/core";
import { camel } from "./model/config/declare.ts";
import { flagsOf } from "./model/config/flag-tree.ts";
import { given } from "./model/given.ts";
import { machineToml } from "./model/machine/machine-toml.ts";
import type { Result } from "./report/result.ts";
import { finish } from "./report/finish.ts";

declare const FIRN_VERSION: string;

type Flags = Record<string, unknown>;
type Verb = (flags: never, args: readonly string[]) => Result;

const text = (brief: string, placeholder?: string) =>
  ({
    kind: "parsed",
    parse: String,
    optional: true,
    brief,
    ...given({ placeholder }),
  }) as const;
const texts = (brief: string) => ({ kind: "parsed", parse: String, optional: true, variadic: true, brief }) as const;
const yes = (brief: string) => ({ kind: "boolean", optional: true, withNegated: false, brief }) as const;

const json = { json: yes("One JSON object on stdout") };
const reading = { ...json, volume: text("A disk or image instead of the running system", "DISK|IMAGE") };
const writing = {
  ...reading,
  dryRun: yes("Show the plan and stop"),
  wait: yes("Wait for another firn that is changing the volume"),
};
const packages = {
  repository: texts("A repository for this run: URL or folder"),
  keysDir: text("Public keys to trust beside the system's", "DIR"),
  save: yes("Keep --repository and --keys-dir for good"),
};
const changing = {
  ...writing,
  ...packages,
  base: text("Start from this generation instead of slot 0", "GEN"),
  description: text("A line to remember it by"),
  force: yes("Keep the generation even if nothing changed, or if it lacks what a system needs"),
  keepDraft: yes("Leave the draft of a change that fails, for a look"),
};
const packaging = { ...changing, allowDowngrade: yes("Take older packages and indexes for what is there") };
const running = { ...changing, hostDevices: yes("Show the host's /dev, and all that is in it, inside") };

/**
 * The words of a command line in which what follows the first word of `firn run`'s command is the command's, flags too:
 * `--` is put before it, as a person may have done.
 */
export function withOwnWords(words: readonly string[]): readonly string[] {
  if (words[0] !== "run") return words;
  const flags: Readonly<Record<string, { kind: string }>> = running;
  for (let at = 1; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "--") return words;
    if (!word.startsWith("-") || word === "-") return [...words.slice(0, at), "--", ...words.slice(at)];
    const takesValue = word.startsWith("--") ? flags[camel(word.slice(2))]?.kind === "parsed" : word.endsWith("X");
    if (takesValue) at += 1;
  }
  return words;
}

/** The flags of `firn install` and `firn image`: those that machine.toml declares, less `leave`, and their own. */
function machine(leave: string): FlagTable {
  const keyed = flagsOf(machineToml).filter(({ name }) => name !== leave);
  const flag = ({ name, many, brief, placeholder }: (typeof keyed)[number]) =>
    [name, many ? texts(brief) : text(brief, placeholder)] as const;
  return {
    ...json,
    config: text("machine.toml", "FILE"),
    ...Object.fromEntries(keyed.map(flag)),
    dryRun: yes("Show what would happen and stop"),
  };
}

type FlagTable = Record<string, unknown>;

interface Definition {
  brief: string;
  flags?: FlagTable;
  /** Names of the positional arguments: `GEN` must be there, `[GEN]` may, `PKG…` takes all. */
  args?: readonly string[];
  aliases?: Record<string, string>;
  verb: () => Promise<Verb>;
}

function positional(names: readonly string[]): unknown {
  const rest = names.find((name) => name.includes("…"));
  if (rest !== undefined) {
    const required = !rest.startsWith("[");
    const placeholder = rest.replace(/[[\]…]/g, "");
    return {
      kind: "array",
      ...(required ? { minimum: 1 } : {}),
      parameter: { brief: placeholder, parse: String, placeholder },
    };
  }
  const parameters = names.map((name) => {
    const placeholder = name.replace(/[[\]]/g, "");
    return { brief: placeholder, parse: String, placeholder, ...(name.startsWith("[") ? { optional: true } : {}) };
  });
  return { kind: "tuple", parameters };
}

function define(definition: Definition): Command<CommandContext> {
  const { brief, flags = {}, args = [], aliases = {}, verb } = definition;
  const known = Object.fromEntries(
    Object.entries({ X: "repository", n: "dryRun", y: "yes", ...aliases }).filter(([, flag]) => flag in flags),
  );
  return buildCommand({
    docs: { brief },
    parameters: { flags, positional: positional(args), aliases: known } as never,
    loader: async () => {
      const run = await verb();
      return (given: Flags, ...words: string[]) =>
        finish(given, () =>
          run(
            given as never,
            words.filter((word) => word !== undefined),
          ),
        );
    },
  });
}

/**
 * A command with so many flags that to make it was a tenth of every start: it is made when it is asked for. Its
 * `usesFlag`, which is asked at every start whether a flag is called like --help, knows the bare command only; a test
 * holds that no key's flag is.
 */
function late(definition: Definition, flags: () => FlagTable): Command<CommandContext> {
  const bare = define(definition);
  let made: Command<CommandContext> | undefined;
  const whole = (): Command<CommandContext> => (made ??= define({ ...definition, flags: flags() }));
  return {
    ...bare,
    get parameters() {
      return whole().parameters;
    },
    formatUsageLine: (args) => whole().formatUsageLine(args),
    formatHelp: (args) => whole().formatHelp(args),
  };
}

const changed = () => import("./commands/change.ts");
const marked = () => import("./commands/mark.ts");

const routes = buildRouteMap({
  docs: { brief: "An immutable root with atomic upgrades for Alpine Linux" },
  routes: {
    install: late(
      {
        brief: "Turn a disk into a running, immutable Alpine",
        args: ["DISK"],
        verb: async () => (await import("./commands/install.ts")).install,
      },
      () => ({ ...machine("size"), yes: yes("Do not ask for the disk's name") }),
    ),
    image: late(
      {
        brief: "The same into an image file",
        args: ["FILE"],
        verb: async () => (await import("./commands/install.ts")).image,
      },
      () => machine(""),
    ),
    list: define({
      brief: "The generations",
      flags: reading,
      verb: async () => (await import("./commands/list.ts")).list,
    }),
    status: define({
      brief: "What is booted, what boots next, and what that changes",
      flags: reading,
      verb: async () => (await import("./commands/status.ts")).status,
    }),
    show: define({
      brief: "One generation in full",
      flags: reading,
      args: ["[GEN]"],
      verb: async () => (await import("./commands/show.ts")).show,
    }),
    diff: define({
      brief: "Packages, files and /etc between two generations",
      flags: reading,
      args: ["[A]", "[B]"],
      verb: async () => (await import("./commands/diff.ts")).diff,
    }),
    upgrade: define({
      brief: "Upgrade the packages in the next generation",
      flags: { ...packaging, release: text("Switch to another Alpine release: v3.20") },
      verb: async () => (await changed()).upgrade,
    }),
    add: define({ brief: "Add packages", flags: packaging, args: ["PKG…"], verb: async () => (await changed()).add }),
    del: define({
      brief: "Remove packages",
      flags: packaging,
      args: ["PKG…"],
      verb: async () => (await changed()).del,
    }),
    run: define({
      brief: "Run a command in the next generation",
      flags: running,
      args: ["CMD…"],
      verb: async () => (await changed()).runCommand,
    }),
    shell: define({
      brief: "A shell in the next generation",
      flags: running,
      verb: async () => (await changed()).shell,
    }),
    edit: define({
      brief: "Edit a file of the next generation",
      flags: changing,
      args: ["FILE"],
      verb: async () => (await changed()).edit,
    }),
    rollback: define({
      brief: "Boot what runs, the default before it, or GEN, again",
      flags: writing,
      args: ["[GEN]"],
      verb: async () => (await import("./commands/switch.ts")).rollback,
    }),
    switch: define({
      brief: "Make a generation the default",
      flags: writing,
      args: ["GEN"],
      verb: async () => (await import("./commands/switch.ts")).switchTo,
    }),
    pin: define({
      brief: "Never delete a generation",
      flags: writing,
      args: ["GEN"],
      verb: async () => (await marked()).pin,
    }),
    unpin: define({
      brief: "Let gc delete it again",
      flags: writing,
      args: ["GEN"],
      verb: async () => (await marked()).unpin,
    }),
    describe: define({
      brief: "Say what a generation is for",
      flags: writing,
      args: ["GEN", "TEXT"],
      verb: async () => (await marked()).describe,
    }),
    confirm: define({
      brief: "Note that the booted generation works",
      flags: writing,
      verb: async () => (await marked()).confirm,
    }),
    gc: define({
      brief: "Delete what retention allows, or the named generations",
      flags: {
        ...writing,
        keep: text("How many to keep in all"),
        free: text("Delete until this much is free: 2G or 10%"),
      },
      args: ["[GEN…]"],
      verb: async () => (await import("./commands/gc.ts")).gc,
    }),
    commons: buildRouteMap({
      docs: { brief: "Paths that all generations share" },
      routes: {
        list: define({
          brief: "The commons",
          flags: reading,
          verb: async () => (await import("./commands/commons.ts")).listCommons,
        }),
        add: define({
          brief: "Share a path from the next generation on",
          flags: changing,
          args: ["PATH"],
          verb: async () => (await import("./commands/commons.ts")).addCommons,
        }),
        remove: define({
          brief: "Stop sharing a path; its data stays",
          flags: changing,
          args: ["PATH"],
          verb: async () => (await import("./commands/commons.ts")).removeCommons,
        }),
        delete: define({
          brief: "Delete the data of a path that is no longer shared",
          flags: { ...writing, yes: yes("Do not ask") },
          args: ["NAME"],
          verb: async () => (await import("./commands/commons.ts")).deleteCommons,
        }),
      },
    }),
    config: define({
      brief: "The schema or an example of machine.toml and firn.toml",
      flags: {
        schema: yes("The JSON schema"),
        example: yes("A commented file"),
        firn: yes("Of /etc/firn/firn.toml instead of machine.toml"),
        ...json,
      },
      verb: async () => (await import("./commands/config.ts")).config,
    }),
  },
});

const formatting = {
  useAliasInUsageLine: false,
  onlyRequiredInUsageLine: true,
  caseStyle: "convert-camel-to-kebab",
} as const;

export const application: Application<CommandContext> = buildApplication(
  routes,
  {
    name: "firn",
    scanner: { caseStyle: "allow-kebab-for-camel", allowArgumentEscapeSequence: true },
    documentation: { disableAnsiColor: true },
  },
  {
    help: help({ brief: "Print this and exit", formatting, defaultForRouteMap: true }),
    version: version({ brief: "Print the version and exit", info: { currentVersion: FIRN_VERSION } }),
  },
);
