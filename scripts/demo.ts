/**
 * `./demo`: builds firn, makes an image with it, boots that in QEMU, and shows what firn is about: a root that nobody
 * can write, an upgrade, the way back. Everything shown happens; when something does not, the exit code is 1.
 */
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { disksUnavailable, findFirmware, vmUnavailable } from "../test/vm/harness/firmware.ts";
import { startMachine, type Machine } from "../test/vm/harness/machine.ts";
import { runProgram } from "../test/vm/harness/program.ts";
import { buildFirn } from "./build.ts";
import { findSources, PACKAGES, type Sources } from "./demo/sources.ts";
import { boot, heading, leave, output, prompt, remark, type } from "./demo/stage.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, "dist/demo");
const files = {
  image: join(folder, "alpine.img"),
  packages: join(folder, "packages.img"),
  variables: join(folder, "efi-variables.fd"),
  serial: join(folder, "serial.log"),
};

const PASSWORD = "snow";

/** A path as one types it in the checkout. */
function short(path: string): string {
  return relative(root, path);
}

/** Shows and runs a program. Its lines are shown as they come, but for the indented ones; all of them when it fails. */
async function show(argv: readonly string[], shown: string): Promise<void> {
  prompt("$", shown);
  const [program = "", ...rest] = argv;
  const child = spawn(program, rest, { cwd: root, stdio: ["ignore", "inherit", "pipe"] });
  const lines: string[] = [];
  createInterface(child.stderr).on("line", (line) => {
    lines.push(line);
    output(line);
  });
  const status = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  if (status !== 0) throw new Error(`${shown}\nended with status ${String(status)}:\n${lines.join("\n")}`);
}

/**
 * `firn image`, with the disk of packages mounted where the image will look for it too: in a mount namespace that ends
 * with it.
 */
async function makeImage(binary: string, sources: Sources): Promise<void> {
  const { stdout: hash } = await runProgram(["openssl", "passwd", "-6", PASSWORD]);
  const flags = ["--size", "2G", ...sources.install, "--flavor", "virt", "--serial", "ttyS0", "--hostname", "snow"];
  const words = ["image", short(files.image), ...flags];
  const argv = [binary, ...words, "--root-password-hash", hash.trim()];
  const shown = ["firn", ...words, "--root-password-hash", "'$6$…'"].join(" ");
  if (sources.packages === undefined) return await show(argv, shown);
  const inside = 'mount -t ext4 -o ro,loop "$1" "$2"; shift 2; exec "$@"';
  const namespace = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", inside, "sh"];
  await show([...namespace, files.packages, PACKAGES, ...argv], shown);
}

async function readonlyRoot(machine: Machine): Promise<void> {
  heading("The root is read-only, whatever one tries");
  await type(machine, "mount | grep ' on / '");
  await type(machine, "touch /x", "failure");
  remark("Mounting it writable does not help: the subvolume itself is sealed.");
  await type(machine, "mount -o remount,rw /; touch /x", "failure");
  await type(machine, "mount -o remount,bind,ro /");
  remark("What all generations share is writable.");
  await type(machine, "echo 'written before the upgrade' > /root/note && cat /root/note");
  heading("What firn says of it");
  await type(machine, "firn status");
  await type(machine, "firn list");
}

async function upgrade(machine: Machine, sources: Sources): Promise<void> {
  heading("An upgrade, in the running system, which it does not touch");
  if (sources.packages !== undefined) await type(machine, `mount -t ext4 -o ro /dev/vdb ${PACKAGES}`);
  await type(machine, `firn upgrade ${sources.upgrade.join(" ")}`);
  await type(machine, "uname -r; cat /etc/alpine-release");
  await type(machine, "firn status");
}

/**
 * Switches the machine on and logs in. A reboot ends QEMU, and the next boot is a new one with the same disks and EFI
 * variables: the second reset of one QEMU 7.2 under software emulation was seen to hang in the firmware.
 */
async function switchOn(sources: Sources, services = false): Promise<Machine> {
  const image = { file: files.image, format: "raw" } as const;
  const machine = await startMachine({
    disks: sources.packages === undefined ? [image] : [image, { file: files.packages, format: "raw", readonly: true }],
    firmwareVars: files.variables,
    serialLog: files.serial,
    network: "user",
    noReboot: true,
  });
  await boot(machine, PASSWORD, services);
  return machine;
}

/** What an installation gives, and the upgrade. Gives `uname -r` from before it. */
async function firstBoot(sources: Sources): Promise<string> {
  heading("Switched on: the boot menu, one entry a slot");
  await using machine = await switchOn(sources, true);
  await readonlyRoot(machine);
  const kernel = await machine.check("uname -r");
  await upgrade(machine, sources);
  heading("Reboot into it");
  await leave(machine, "reboot");
  return kernel;
}

/** The upgraded system, and the decision to go back. */
async function secondBoot(sources: Sources, before: string): Promise<void> {
  await using machine = await switchOn(sources);
  const kernel = await type(machine, "uname -r");
  if (kernel === before) throw new Error(`the kernel is still ${before}`);
  await type(machine, "cat /etc/alpine-release /root/note");
  await type(machine, "firn diff | head -n 24");
  heading("And back");
  await type(machine, "firn rollback");
  await leave(machine, "reboot");
}

/** The system as it was installed, with what was written since. */
async function thirdBoot(sources: Sources, before: string): Promise<void> {
  await using machine = await switchOn(sources);
  const kernel = await type(machine, "uname -r");
  if (kernel !== before) throw new Error(`the kernel is ${kernel}, not ${before}`);
  await type(machine, "cat /etc/alpine-release /root/note");
  await type(machine, "firn list");
  await leave(machine, "poweroff");
}

/** The command line that boots the image again, for a person at a terminal. */
function ownCommand(sources: Sources): string {
  const firmware = findFirmware();
  const drive = (file: string, more: string): string => `-drive file=${short(file)},format=raw,${more}`;
  return [
    "qemu-system-x86_64 -machine q35 -accel kvm -accel tcg -cpu max -smp 2 -m 1024 -nographic",
    `-drive file=${firmware?.code},format=raw,if=pflash,readonly=on`,
    drive(files.variables, "if=pflash"),
    drive(files.image, "if=virtio"),
    ...(sources.packages === undefined ? [] : [drive(files.packages, "if=virtio,readonly=on")]),
    "-nic user,model=virtio-net-pci",
  ].join(" \\\n  ");
}

async function demo(): Promise<void> {
  for (const file of Object.values(files)) rmSync(file, { force: true });
  const missing = vmUnavailable() ?? disksUnavailable();
  if (missing !== undefined) throw new Error(`The demonstration cannot run here: ${missing}.`);
  mkdirSync(folder, { recursive: true });

  heading("firn, built: one static file");
  prompt("$", "npm run build");
  const binary = await buildFirn();
  console.log(`${short(binary)}: ${Math.round(statSync(binary).size / 1024)} KiB`);

  heading("An image of an immutable Alpine");
  const sources = await findSources();
  remark(sources.about);
  if (sources.packages !== undefined) {
    copyFileSync(sources.packages, files.packages);
    remark(`They lie on a disk image of their own, mounted at ${PACKAGES} here and, later, in the machine.`);
  }
  await makeImage(binary, sources);

  const kernel = await firstBoot(sources);
  await secondBoot(sources, kernel);
  await thirdBoot(sources, kernel);

  heading("Now you");
  console.log(`Log in as root with the password ${PASSWORD}; Ctrl-A X ends QEMU.\n\n${ownCommand(sources)}`);
}

if (process.argv.includes("--help")) {
  console.log(
    "./demo: builds firn, makes an image with it, boots that in QEMU, upgrades it and goes back. It takes a few minutes.",
  );
  process.exit(0);
}
process.chdir(root);
demo().catch((error: unknown) => {
  console.error(`\n${error instanceof Error ? error.message : String(error)}`);
  if (existsSync(files.serial)) console.error(`What the machine printed: ${short(files.serial)}`);
  process.exitCode = 1;
});
