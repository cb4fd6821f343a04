import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { installed, must } from "./measure.ts";
import { time, type Tools } from "./stopwatch.ts";
import { CHANGED, newIds, overwrite, plainFilesystem, type Bench, type BenchVolume } from "./volume.ts";

/**
 * The same work by another program. Every operation is a list of commands, each timed from fork to wait and added up,
 * and the last one leaves everything on disk. What a peer does not need to do for its own idea of a generation is not
 * asked of it.
 */
export interface Peer {
  name: string;
  /** The program it needs. */
  program: string;
  /** A new generation in which one 20 kB file is overwritten, made the default. */
  generation: () => number;
  /** The generation before is the default again. */
  rollback: () => number;
}

function total(tools: Tools, commands: readonly (readonly string[])[]): number {
  return commands.reduce((sum, argv) => sum + time(tools, argv).milliseconds, 0);
}

/** Copies a root to where a peer keeps it. */
function copyRoot(from: string, to: string): void {
  must(["cp", "-a", "--reflink=never", `${from}/.`, to]);
}

/** The wiki page's own commands: btrfs, mkdir, ln and mv, with the flushes that facts about durability ask for. */
function btrfsProgs({ tools }: Bench, { top, base }: BenchVolume): Peer {
  let links = 0;
  let before = base;
  let now = base;
  const setCurrent = (id: string): string[][] => {
    const set = `links/btrfs${links++}`;
    return [
      ["mkdir", join(top, set)],
      ["ln", "-s", `../../snapshots/${id}`, join(top, set, "0")],
      // The three others in one call: cp keeps the links.
      ["cp", "-P", join(top, "current", "1"), join(top, "current", "2"), join(top, "current", "3"), join(top, set)],
      ["ln", "-sfn", `./${set}`, join(top, "next/current")],
      ["sync", "-f", top],
      ["mv", "-T", join(top, "next/current"), join(top, "current")],
      ["sync", "-f", top],
    ];
  };
  return {
    name: "btrfs-progs, ln and mv",
    program: "btrfs",
    generation: () => {
      const [id = ""] = newIds(1);
      const draft = join(top, "snapshots", `${id}.draft`);
      before = now;
      now = id;
      return total(tools, [
        ["mkdir", draft],
        ["btrfs", "-q", "subvolume", "snapshot", join(top, "snapshots", base, "@"), join(draft, "@")],
        overwrite(join(draft, "@", CHANGED)),
        ["sync", "-f", top],
        ["btrfs", "property", "set", join(draft, "@"), "ro", "true"],
        ["mv", "-T", draft, join(top, "snapshots", id)],
        ...setCurrent(id),
      ]);
    },
    rollback: () => {
      [before, now] = [now, before];
      return total(tools, setCurrent(now));
    },
  };
}

/**
 * snapper without its daemon: a writable snapshot, the change, `btrfs subvolume set-default` on it, as snapper's own
 * rollback leaves it. The root is a subvolume with a snapper configuration of its own (--root), so the host's stays as
 * it is.
 */
function snapper(bench: Bench, source: string, bytes: string): Peer {
  const { tools } = bench;
  const top = plainFilesystem(bench, "snapper", bytes);
  const root = join(top, "root");
  must(["btrfs", "-q", "subvolume", "create", root]);
  copyRoot(source, root);
  must(["btrfs", "-q", "subvolume", "create", join(root, ".snapshots")]);
  mkdirSync(join(root, "etc/snapper/configs"), { recursive: true });
  mkdirSync(join(root, "etc/default"), { recursive: true });
  // As `snapper create-config /` writes them.
  writeFileSync(join(root, "etc/snapper/configs/root"), 'SUBVOLUME="/"\nFSTYPE="btrfs"\nQGROUP=""\n');
  writeFileSync(join(root, "etc/default/snapper"), 'SNAPPER_CONFIGS="root"\n');
  must(["sync", "-f", top]);
  const own = ["snapper", "--no-dbus", "--root", root, "-c", "root"];
  let number = 0;
  const snapshot = (of: number): string => join(root, ".snapshots", String(of), "snapshot");
  return {
    name: "snapper",
    program: "snapper",
    generation: () => {
      number += 1;
      return total(tools, [
        [...own, "create", "--read-write", "--description", "bench"],
        overwrite(join(snapshot(number), CHANGED)),
        ["sync", "-f", top],
        ["btrfs", "property", "set", snapshot(number), "ro", "true"],
        ["btrfs", "subvolume", "set-default", snapshot(number)],
        ["sync", "-f", top],
      ]);
    },
    rollback: () => {
      // snapper's rollback saves the present state in a snapshot, makes a writable one of the wanted and sets it as
      // default.
      const taken = time(tools, [...own, "--ambit", "classic", "rollback", String(number)]).milliseconds;
      number += 2;
      return taken + total(tools, [["sync", "-f", top]]);
    },
  };
}

/**
 * ostree: the tree with the changed file committed on top of the last commit, and deployed. No boot loader is
 * configured, so that none is written. ostree syncs by itself.
 */
function ostree(bench: Bench, source: string, bytes: string): Peer {
  const { tools } = bench;
  const top = plainFilesystem(bench, "ostree", bytes);
  const [tree, overlay, sysroot] = [join(top, "tree"), join(top, "overlay"), join(top, "sysroot")];
  for (const folder of [tree, join(overlay, "usr/share"), sysroot, join(sysroot, "boot")])
    mkdirSync(folder, { recursive: true });
  copyRoot(source, tree);
  // ostree's layout: configuration in /usr/etc, the kernel beside its modules.
  for (const folder of ["dev", "proc", "sys", "run", "tmp", "var"]) must(["rm", "-rf", join(tree, folder)]);
  must(["mv", join(tree, "etc"), join(tree, "usr/etc")]);
  const modules = join(tree, "usr/lib/modules/6.1.0-bench");
  mkdirSync(modules, { recursive: true });
  for (const [from, to] of [
    ["boot/vmlinuz-virt", "vmlinuz"],
    ["boot/initramfs-virt", "initramfs.img"],
  ] as const)
    cpSync(join(tree, from), join(modules, to));
  must(["rm", "-rf", join(tree, "boot")]);
  mkdirSync(join(tree, "boot"));
  const repository = join(sysroot, "ostree/repo");
  must(["ostree", "admin", "init-fs", sysroot]);
  must(["ostree", `--repo=${repository}`, "config", "set", "sysroot.bootloader", "none"]);
  must(["ostree", "admin", `--sysroot=${sysroot}`, "os-init", "bench"]);
  const commit = (...trees: string[]): string[] => [
    "ostree",
    `--repo=${repository}`,
    "commit",
    "--branch=bench",
    "--no-xattrs",
    "--subject=bench",
    ...trees,
  ];
  const deploy = (what: string): string[] => [
    "ostree",
    "admin",
    `--sysroot=${sysroot}`,
    "deploy",
    "--os=bench",
    "--karg=root=LABEL=ROOT",
    what,
  ];
  must(commit(`--tree=dir=${tree}`));
  must(["rm", "-rf", tree]);
  must(deploy("bench"));
  must(["sync", "-f", top]);
  const file = join(overlay, CHANGED);
  must(["dd", "if=/dev/urandom", `of=${file}`, "bs=20480", "count=1"]);
  const head = (): string => must(["ostree", `--repo=${repository}`, "rev-parse", "bench"]).trim();
  let previous = head();
  let now = previous;
  return {
    name: "ostree admin deploy",
    program: "ostree",
    generation: () => {
      previous = now;
      const taken = total(tools, [
        overwrite(file),
        commit("--tree=ref=bench", `--tree=dir=${overlay}`),
        deploy("bench"),
        ["sync", "-f", top],
      ]);
      now = head();
      return taken;
    },
    rollback: () => {
      // This version cannot set another deployment as the default: the older commit is deployed again.
      [previous, now] = [now, previous];
      return total(tools, [deploy(now), ["sync", "-f", top]]);
    },
  };
}

/**
 * nix-env: a profile whose new generation is a store path with the changed file and a link to the unchanged rest, which
 * is in the store already. No derivation is built.
 */
function nix(bench: Bench, source: string, bytes: string): Peer {
  const { tools } = bench;
  const top = plainFilesystem(bench, "nix", bytes);
  const variables = {
    NIX_STORE_DIR: join(top, "store"),
    NIX_STATE_DIR: join(top, "state"),
    NIX_LOG_DIR: join(top, "log"),
    NIX_CONF_DIR: join(top, "conf"),
    NIX_LOCALSTATE_DIR: join(top, "state"),
    HOME: top,
    NIX_REMOTE: "local",
  };
  const env = ["env", ...Object.entries(variables).map(([name, value]) => `${name}=${value}`)];
  mkdirSync(variables.NIX_CONF_DIR);
  writeFileSync(join(variables.NIX_CONF_DIR, "nix.conf"), "build-users-group =\nsandbox = false\n");
  const rest = join(top, "root");
  mkdirSync(rest);
  copyRoot(source, rest);
  // The store keeps files, folders and links.
  must(["find", rest, "-not", "-type", "f", "-not", "-type", "d", "-not", "-type", "l", "-delete"]);
  const stored = must([...env, "nix-store", "--add", rest]).trim();
  must(["rm", "-rf", rest]);
  const system = join(top, "system");
  mkdirSync(system);
  symlinkSync(stored, join(system, "root"));
  const file = join(system, "bench.bin");
  must(["dd", "if=/dev/urandom", `of=${file}`, "bs=20480", "count=1"]);
  const profile = join(top, "state", "bench");
  const set = (path: string): string[] => [...env, "nix-env", "--profile", profile, "--set", path];
  must(set(must([...env, "nix-store", "--add", system]).trim()));
  must(["sync", "-f", top]);
  let back = true;
  return {
    name: "nix-env --set",
    program: "nix-env",
    generation: () => {
      back = true;
      let taken = total(tools, [overwrite(file), [...env, "nix-store", "--add", system]]);
      // Adding it again says its path at once; only the first is timed.
      const path = must([...env, "nix-store", "--add", system]).trim();
      taken += total(tools, [set(path), ["sync", "-f", top]]);
      return taken;
    },
    rollback: () => {
      const generations = readdirSync(join(top, "state")).filter((name) => /^bench-\d+-link$/.test(name));
      const numbers = generations.map((name) => Number(name.split("-")[1])).toSorted((a, b) => b - a);
      const to = back ? numbers[1] : numbers[0];
      back = !back;
      return total(tools, [
        [...env, "nix-env", "--profile", profile, "--switch-generation", String(to)],
        ["sync", "-f", top],
      ]);
    },
  };
}

/** Two copies of the root, A and B, and a link to the one that boots: rsync brings the other up to date first. */
function abCopy(bench: Bench, source: string, bytes: string): Peer {
  const { tools } = bench;
  const top = plainFilesystem(bench, "rsync", bytes);
  for (const name of ["A", "B"]) {
    mkdirSync(join(top, name));
    copyRoot(source, join(top, name));
  }
  const current = join(top, "current");
  symlinkSync("A", current);
  must(["sync", "-f", top]);
  const other = (): string => (readlinkSync(current) === "A" ? "B" : "A");
  const point = (to: string): string[][] => [
    ["ln", "-sfn", to, join(top, "next")],
    ["sync", "-f", top],
    ["mv", "-T", join(top, "next"), current],
    ["sync", "-f", top],
  ];
  return {
    name: "rsync A/B",
    program: "rsync",
    generation: () => {
      const to = other();
      return total(tools, [
        ["rsync", "-aHAX", "--delete", `${join(top, readlinkSync(current))}/`, `${join(top, to)}/`],
        overwrite(join(top, to, CHANGED)),
        ...point(to),
      ]);
    },
    rollback: () => total(tools, point(other())),
  };
}

/** The peers that can run here, each with its own filesystem and copy of the root; why another cannot is said. */
export function peers(bench: Bench, volume: BenchVolume, bytes: string): Peer[] {
  const source = join(volume.top, "snapshots", volume.base, "@");
  const makers: [program: string, make: () => Peer][] = [
    ["btrfs", () => btrfsProgs(bench, volume)],
    ["snapper", () => snapper(bench, source, bytes)],
    ["ostree", () => ostree(bench, source, bytes)],
    ["nix-env", () => nix(bench, source, bytes)],
    ["rsync", () => abCopy(bench, source, bytes)],
  ];
  return makers.flatMap(([program, make]) => {
    if (!installed(program)) {
      console.log(`${program}: did not run, it is not installed (bench/setup installs it)`);
      return [];
    }
    try {
      return [make()];
    } catch (error) {
      console.log(`${program}: did not run: ${error instanceof Error ? error.message : String(error)}`);
      return [];
    }
  });
}

/** Unmounts and removes what peers() made. */
export function endPeers({ folder }: Bench): void {
  for (const name of readdirSync(folder)) {
    if (!/^(snapper|ostree|nix|rsync)[-.]/.test(name)) continue;
    spawnSync("umount", [join(folder, name)]);
    must(["rm", "-rf", "--one-file-system", join(folder, name)]);
  }
}
