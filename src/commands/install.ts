import { Installer, type Installed } from "../apply/install/installer.ts";
import { checkPackages, prepareInstall, type Prepared } from "../apply/install/prepare.ts";
import { requireLoopDevice } from "../host/disk/map.ts";
import { inspectDisk } from "../host/disk/inspect-disk.ts";
import { exists } from "../host/kernel/files.ts";
import { newGuids } from "../host/disk/format.ts";
import { createImage, filledUp, removeImage } from "../host/disk/image.ts";
import { isolate } from "../host/kernel/isolate.ts";
import { memoryBytes } from "../host/kernel/memory.ts";
import { ask, isTerminal, workingDirectory } from "../host/machine/terminal.ts";
import type { MachineFlags } from "../model/machine/keys.ts";
import type { MachineConfig } from "../model/machine/machine.ts";
import { approximateSize } from "../model/text/size.ts";
import { describeDisk, holdsData, refuseChanged, refuseDisk, type Disk } from "../model/disk/inspection.ts";
import { planDisk, type DiskTarget } from "../model/disk/layout.ts";
import { FirnError, orThrow } from "../model/problem.ts";
import { describeInstallStep, installSteps, type InstallPlan } from "../plan/install.ts";
import { problemOf } from "../host/kernel/failure.ts";
import { terminalReport, type Report } from "../report/report.ts";
import type { Result } from "../report/result.ts";
import { absolute, machineConfig, withoutSecrets } from "./machine-config.ts";

export interface InstallFlags extends MachineFlags {
  config?: string;
  yes?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

function planInstall(config: MachineConfig, target: DiskTarget, prepared: Prepared): InstallPlan {
  const { espSize, swapSize } = config.disk;
  const wish = { espBytes: espSize, swapBytes: swapSize, minimumRootBytes: prepared.minimumRootBytes };
  return { steps: installSteps, layout: orThrow(planDisk(target, wish, newGuids())) };
}

function planLines(config: MachineConfig, { steps, layout }: InstallPlan): string[] {
  return steps.map((step, index) => `${index + 1}. ${describeInstallStep(step, config, layout)}`);
}

function dryRun(path: string, config: MachineConfig, plan: InstallPlan, before: readonly string[]): Result {
  return {
    data: { dryRun: true, path, steps: plan.steps, partitions: plan.layout.partitions, config: withoutSecrets(config) },
    lines: [...before, "", "Would:", ...planLines(config, plan)],
  };
}

/** A virtual machine's devices need none. */
function lacksFirmware({ system }: MachineConfig): boolean {
  return system.flavor !== "virt" && system.firmware.length === 0;
}

function summary(path: string, kind: "disk" | "image", config: MachineConfig, installed: Installed): Result {
  const { identity, disk, system } = config;
  const logins = [
    ...(identity.root.locked ? [] : ["root, by password"]),
    ...(identity.root.sshKeys.length === 0 ? [] : ["root, by SSH key"]),
    ...identity.users.map(
      ({ name, passwordHash, sshKeys: keys }) =>
        `${name}${passwordHash === undefined ? (keys.length === 0 ? ", who has neither password nor key" : ", by SSH key") : ", by password"}`,
    ),
  ];
  const unset = [
    ...(logins.length === 0 ? ["no way to log in (--root-password-hash, --user with --ssh-key)"] : []),
    ...(config.network.interfaces.length === 0 ? ["network interfaces"] : []),
    ...(lacksFirmware(config)
      ? ["firmware (linux-firmware-none): network cards and graphics that need it will not work; --firmware PACKAGE"]
      : []),
    ...(installed.bootEntry.status === "skipped" && kind === "disk"
      ? [`an EFI boot entry (${installed.bootEntry.reason})`]
      : []),
  ];
  return {
    data: { path, ...installed, slots: disk.slots, hostname: identity.hostname, logins, unset },
    lines: [
      `${path} boots Alpine ${installed.release ?? ""} (kernel ${installed.kernel}), read-only, as generation ${installed.generation}.`,
      `Boot menu: ${disk.slots} slots, all the same until the first upgrade${system.serial === undefined ? "" : `; console on ${system.serial.port}`}.`,
      `Log in: ${logins.length === 0 ? "nobody can" : logins.join("; ")}.`,
      ...(unset.length === 0 ? [] : [`Not set: ${unset.join("; ")}.`]),
    ],
  };
}

function confirm(disk: Disk, config: MachineConfig, plan: InstallPlan, flags: InstallFlags, report: Report): void {
  if (flags.yes) return;
  const name = disk.path.slice(disk.path.lastIndexOf("/") + 1);
  if (!isTerminal()) {
    if (holdsData(disk)) {
      throw new FirnError(
        "E_DISK_FULL_OF_DATA",
        `${disk.path} holds data. Nothing was changed.\n${describeDisk(disk).join("\n")}`,
        "To lose all of it: --yes.",
      );
    }
    throw new FirnError(
      "E_CONFIRM",
      `There is no terminal to ask at whether ${disk.path} may be overwritten. Nothing was changed.`,
      "To go on without being asked: --yes.",
    );
  }
  for (const line of [...describeDisk(disk), "", ...planLines(config, plan), ""]) report.note(line);
  const answer = ask(`Everything on ${disk.path} will be lost. Type ${name} to go on: `);
  if (answer !== name && answer !== disk.path)
    throw new FirnError("E_CONFIRM", "Not confirmed. Nothing was changed.", `Type ${name} when asked, or add --yes.`);
}

const UNCHANGED = "Nothing was changed.";

/** What fails before the first step has changed nothing, and says so. */
function beforehand<T>(look: () => T): T {
  try {
    return look();
  } catch (error) {
    const { code, message, hint } = problemOf(error);
    const [first = "", ...rest] = message.replace(/ What boots was not touched\.$/, "").split("\n");
    const said = message.includes(UNCHANGED) ? message : [`${first} ${UNCHANGED}`, ...rest].join("\n");
    throw new FirnError(code, said, hint);
  }
}

/** After the first step something was changed, whatever failed: what is left of it is said instead. */
function carryOut(installer: Installer, path: string, kind: "disk" | "image"): Installed {
  try {
    const installed = installer.run();
    installer.finish();
    return installed;
  } catch (error) {
    const seen = problemOf(error);
    // The first step found it in use before it wrote anything.
    if (seen.code === "E_DISK_BUSY") throw error;
    const full = kind === "image" && seen.code !== "E_INTERRUPTED" ? filledUp(path) : undefined;
    const { code, message, hint } = full?.problem ?? seen;
    const left =
      kind === "disk"
        ? `The installation of ${path} is unfinished: it does not boot, and \`firn status --volume ${path}\` says how far it came.`
        : `${path} was removed.`;
    const said = message.replaceAll(/ (Nothing was changed|What boots was not touched)\./g, "");
    throw new FirnError(code, `${said}\n${left}`, code === "E_NO_SPACE" ? SPACE : hint);
  }
}

/** `firn gc`, which frees space elsewhere, has nothing to delete here. */
const SPACE = "Use a larger disk or --size, or fewer packages.";

/** `firn install DISK` */
export function install(flags: InstallFlags, [path = ""]: readonly string[]): Result {
  isolate();
  const report = terminalReport(flags.json === true);
  const config = machineConfig(flags);
  const disk = inspectDisk(path);
  const refusal = refuseDisk(disk);
  if (refusal !== undefined) orThrow(refusal);
  if (disk.kind !== "disk") throw new Error("a disk that was not refused");
  using prepared = beforehand(() => prepareInstall(config));
  const plan = planInstall(
    config,
    { kind: "disk", bytes: disk.bytes, sectorBytes: disk.sectorBytes, memoryBytes: memoryBytes() },
    prepared,
  );
  if (flags.dryRun) return dryRun(disk.path, config, plan, describeDisk(disk));
  beforehand(() => {
    checkPackages(prepared);
    confirm(disk, config, plan, flags, report);
  });
  // Packages were fetched, and a person was asked, since it was looked at.
  const changed = refuseChanged(disk, inspectDisk(path));
  if (changed !== undefined) orThrow(changed);
  using installer = new Installer({
    path: disk.path,
    kind: "disk",
    config,
    plan,
    prepared,
    report,
    command: "firn install",
  });
  return summary(disk.path, "disk", config, carryOut(installer, disk.path, "disk"));
}

/** Sectors of an image file. */
const IMAGE_SECTOR = 512;
/** Bytes that an image takes beside its packages: the initramfs (32 MiB, as in minimumRoot), metadata twice, the loader. */
const BESIDE = 64 * 2 ** 20;

/** `firn image FILE` */
export function image(flags: InstallFlags, [file = ""]: readonly string[]): Result {
  isolate();
  const report = terminalReport(flags.json === true);
  const config = machineConfig(flags);
  const bytes = config.disk.size;
  if (bytes === undefined)
    throw new FirnError("E_USAGE", "How large shall the image be? Nothing was changed.", "--size 4G");
  const path = absolute(file, workingDirectory());
  if (exists(path))
    throw new FirnError(
      "E_IMAGE_EXISTS",
      `${file} exists. Nothing was changed.`,
      "Name another file, or remove this one.",
    );
  using prepared = beforehand(() => prepareInstall(config));
  const plan = planInstall(
    config,
    { kind: "image", bytes, sectorBytes: IMAGE_SECTOR, memoryBytes: memoryBytes() },
    prepared,
  );
  if (flags.dryRun) return dryRun(path, config, plan, [`${path}: ${approximateSize(bytes)}, sparse`]);
  requireLoopDevice(path);
  const refusal = createImage(path, bytes, Math.min(bytes, prepared.installedBytes + BESIDE));
  if (refusal !== undefined) orThrow(refusal);
  let finished = false;
  try {
    using installer = new Installer({ path, kind: "image", config, plan, prepared, report, command: "firn image" });
    const result = summary(path, "image", config, carryOut(installer, path, "image"));
    finished = true;
    return result;
  } finally {
    if (!finished) removeImage(path);
  }
}
