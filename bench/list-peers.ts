import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { installed, must, type Subject } from "./measure.ts";
import { time } from "./stopwatch.ts";
import { plainFilesystem, type Bench } from "./volume.ts";

const COUNT = 1000;

/**
 * Their own commands make the first; the others are copies of it, in their own formats: a thousand real ones take an
 * hour.
 */
function snapperList(bench: Bench): Subject {
  const top = plainFilesystem(bench, "snapper-list", "1G");
  const root = join(top, "root");
  must(["btrfs", "-q", "subvolume", "create", root]);
  must(["btrfs", "-q", "subvolume", "create", join(root, ".snapshots")]);
  mkdirSync(join(root, "etc/snapper/configs"), { recursive: true });
  mkdirSync(join(root, "etc/default"), { recursive: true });
  writeFileSync(join(root, "etc/snapper/configs/root"), 'SUBVOLUME="/"\nFSTYPE="btrfs"\nQGROUP=""\n');
  writeFileSync(join(root, "etc/default/snapper"), 'SNAPPER_CONFIGS="root"\n');
  const own = ["snapper", "--no-dbus", "--root", root, "-c", "root"];
  must([...own, "create", "--description", "bench"]);
  for (let number = 2; number <= COUNT; number++) {
    const folder = join(root, ".snapshots", String(number));
    mkdirSync(folder);
    must(["btrfs", "-q", "subvolume", "snapshot", "-r", root, join(folder, "snapshot")]);
    const date = "2026-01-01 00:00:00";
    writeFileSync(
      join(folder, "info.xml"),
      `<?xml version="1.0"?>\n<snapshot>\n  <type>single</type>\n  <num>${number}</num>\n  <date>${date}</date>\n  <description>bench</description>\n</snapshot>\n`,
    );
  }
  must(["sync", "-f", top]);
  return { name: "snapper list", run: () => time(bench.tools, [...own, "list"]).milliseconds };
}

function ostreeList(bench: Bench): Subject {
  const top = plainFilesystem(bench, "ostree-list", "1G");
  const [tree, sysroot] = [join(top, "tree"), join(top, "sysroot")];
  const modules = join(tree, "usr/lib/modules/6.1.0-bench");
  for (const folder of [modules, join(tree, "usr/etc"), join(sysroot, "boot")]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(modules, "vmlinuz"), "kernel");
  writeFileSync(join(modules, "initramfs.img"), "initramfs");
  writeFileSync(join(tree, "usr/lib/os-release"), "NAME=bench\nPRETTY_NAME=bench\n");
  const repository = join(sysroot, "ostree/repo");
  must(["ostree", "admin", "init-fs", sysroot]);
  must(["ostree", `--repo=${repository}`, "config", "set", "sysroot.bootloader", "none"]);
  must(["ostree", "admin", `--sysroot=${sysroot}`, "os-init", "bench"]);
  must(["ostree", `--repo=${repository}`, "commit", "--branch=bench", `--tree=dir=${tree}`]);
  must(["ostree", "admin", `--sysroot=${sysroot}`, "deploy", "--os=bench", "bench"]);
  const commit = must(["ostree", `--repo=${repository}`, "rev-parse", "bench"]).trim();
  const deployments = join(sysroot, "ostree/deploy/bench/deploy");
  const first = must(["find", join(sysroot, "boot/loader/entries/"), "-name", "*.conf"]).trim();
  const text = must(["cat", first]);
  const link = /ostree=(\/ostree\/boot\.\d\/bench\/[0-9a-f]+)\/0/.exec(text)?.[1];
  if (link === undefined) throw new Error(`no ostree= in ${text}`);
  for (let number = 1; number < COUNT; number++) {
    const deployment = `${commit}.${number}`;
    cpSync(join(deployments, `${commit}.0`), join(deployments, deployment), {
      recursive: true,
      verbatimSymlinks: true,
    });
    cpSync(join(deployments, `${commit}.0.origin`), join(deployments, `${deployment}.origin`));
    symlinkSync(`../../../deploy/bench/deploy/${deployment}`, join(sysroot, link, String(number)));
    const entry = text.replace(`${link}/0`, `${link}/${number}`).replace(/^version .*$/m, `version ${number + 1}`);
    writeFileSync(join(sysroot, "boot/loader/entries", `ostree-${number + 1}-bench.conf`), entry);
  }
  must(["sync", "-f", top]);
  const shown = must(["ostree", "admin", `--sysroot=${sysroot}`, "status"]);
  if (shown.split(commit).length - 1 < COUNT) throw new Error("ostree does not see the thousand deployments");
  return {
    name: "ostree admin status",
    run: () => time(bench.tools, ["ostree", "admin", `--sysroot=${sysroot}`, "status"]).milliseconds,
  };
}

function nixList(bench: Bench): Subject {
  const folder = join(bench.folder, "nix-list");
  const [store, state, conf] = [join(folder, "store"), join(folder, "state"), join(folder, "conf")];
  for (const path of [store, state, conf]) mkdirSync(path, { recursive: true });
  const env = [
    "env",
    ...[`NIX_STORE_DIR=${store}`, `NIX_STATE_DIR=${state}`, `NIX_CONF_DIR=${conf}`, `HOME=${folder}`],
    ...[`NIX_LOG_DIR=${join(folder, "log")}`, "NIX_REMOTE=local"],
  ];
  writeFileSync(join(conf, "nix.conf"), "build-users-group =\nsandbox = false\n");
  const file = join(folder, "file");
  writeFileSync(file, "bench");
  const path = must([...env, "nix-store", "--add", file]).trim();
  const profile = join(state, "bench");
  for (let number = 1; number <= COUNT; number++) symlinkSync(path, `${profile}-${number}-link`);
  symlinkSync(`bench-${COUNT}-link`, profile);
  return {
    name: "nix-env --list-generations",
    run: () => time(bench.tools, [...env, "nix-env", "--profile", profile, "--list-generations"]).milliseconds,
  };
}

/** The lists of 1,000 by the peers that can run here. */
export function listPeers(bench: Bench): Subject[] {
  const makers: [program: string, make: (bench: Bench) => Subject][] = [
    ["snapper", snapperList],
    ["ostree", ostreeList],
    ["nix-env", nixList],
  ];
  return makers.flatMap(([program, make]) => {
    try {
      return installed(program) ? [make(bench)] : [];
    } catch (error) {
      console.log(`${program}: its list did not run: ${error instanceof Error ? error.message : String(error)}`);
      return [];
    }
  });
}
