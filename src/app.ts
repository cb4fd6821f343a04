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
    ...(placeholder === undefined ? {} : { placeholder }),
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
  force: yes("Keep the generation even if nothing changed"),
};
const machine = {
  ...json,
  config: text("machine.toml", "FILE"),
  espSize: text("Size of the EFI system partition (200M)"),
  swapSize: text("Size of the swap partition, or none"),
  slots: text("Entries in the boot menu (4)"),
  compression: text("btrfs compression: zstd, zstd:N, zlib, none"),
  common: texts("A further path that all generations share"),
  arch: text("x86_64"),
  release: text("Alpine release: v3.20, latest-stable, edge"),
  mirror: text("Alpine mirror", "URL"),
  repository: texts("A repository instead of the mirror: URL or folder"),
  keysDir: text("Public keys to trust beside Alpine's", "DIR"),
  flavor: text("Kernel: lts, virt, stable (lts)"),
  firmware: texts("A firmware package, or none"),
  package: texts("A further package"),
  cmdline: text("Kernel parameters (quiet)"),
  serial: text("Serial console: ttyS0 or ttyS0,115200"),
  refind: text("rEFInd's folder, when neither host nor mirror has it", "DIR"),
  hostname: text("Host name"),
  timezone: text("Time zone, Europe/Berlin"),
  keymap: text("Keyboard: 'us us'"),
  user: texts("A user to make"),
  sshKey: texts("A public SSH key, or a file of them"),
  rootPasswordHash: text("Root's password as crypt(5) writes it; without it root is locked"),
  interface: texts("NAME, or NAME=dhcp, or NAME=ADDRESS/BITS,GATEWAY"),
  dns: texts("A name server"),
  search: texts("A search domain"),
  service: texts("NAME, RUNLEVEL/NAME, or !NAME to leave it out"),
  dryRun: yes("Show what would happen and stop"),
};

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

const changed = () => import("./commands/change.ts");
const marked = () => import("./commands/mark.ts");

const routes = buildRouteMap({
  docs: { brief: "An immutable root with atomic upgrades for Alpine Linux" },
  routes: {
    install: define({
      brief: "Turn a disk into a running, immutable Alpine",
      flags: { ...machine, yes: yes("Do not ask for the disk's name") },
      args: ["DISK"],
      verb: async () => (await import("./commands/install.ts")).install,
    }),
    image: define({
      brief: "The same into an image file",
      flags: { ...machine, size: text("Size of the image: 4G") },
      args: ["FILE"],
      verb: async () => (await import("./commands/install.ts")).image,
    }),
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
      flags: { ...changing, release: text("Switch to another Alpine release: v3.20") },
      verb: async () => (await changed()).upgrade,
    }),
    add: define({ brief: "Add packages", flags: changing, args: ["PKG…"], verb: async () => (await changed()).add }),
    del: define({ brief: "Remove packages", flags: changing, args: ["PKG…"], verb: async () => (await changed()).del }),
    run: define({
      brief: "Run a command in the next generation",
      flags: changing,
      args: ["CMD…"],
      verb: async () => (await changed()).runCommand,
    }),
    shell: define({
      brief: "A shell in the next generation",
      flags: changing,
      verb: async () => (await changed()).shell,
    }),
    edit: define({
      brief: "Edit a file of the next generation",
      flags: changing,
      args: ["FILE"],
      verb: async () => (await changed()).edit,
    }),
    rollback: define({
      brief: "Boot the previous default, or GEN, again",
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
        json: yes("One JSON object on stdout"),
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
