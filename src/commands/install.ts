import { installExecutors } from "../apply/install/executors.ts";
import { Installation, type InstallTarget } from "../apply/install/installation.ts";
import { checkPackages, prepareInstall, type Prepared } from "../apply/install/prepare.ts";
import { runPlan } from "../apply/run-plan.ts";
import { requireLoopDevice } from "../host/disk/map.ts";
import { inspectDisk } from "../host/disk/inspect-disk.ts";
import { mediaOf } from "../host/disk/medium.ts";
import { GC_FREES } from "../host/kernel/failure.ts";
import { exists } from "../host/kernel/files.ts";
import { lockMedia } from "../host/kernel/lock.ts";
import { newGuids } from "../host/disk/make-filesystems.ts";
import { filledUp, imageExists } from "../host/disk/image.ts";
import { memoryBytes, workingDirectory } from "../host/kernel/process.ts";
import { ask, isTerminal } from "../host/machine/terminal.ts";
import type { MachineFlags } from "../model/machine/machine-toml.ts";
import type { MachineConfig } from "../model/machine/machine.ts";
import { absolutePath } from "../model/text/absolute-path.ts";
import { approximateSize } from "../model/text/size.ts";
import { describeDisk, holdsData, refuseChanged, refuseDisk, type Disk } from "../model/disk/inspection.ts";
import type { DiskTarget } from "../plan/disk.ts";
import { FirnError, orThrow, type Problem } from "../model/problem.ts";
import { planInstall, type InstallPlan } from "../plan/install.ts";
import type { Report } from "../report/report.ts";
import type { Result } from "../report/result.ts";
import { machineConfig, withoutSecrets } from "./session/machine-config.ts";
import { planned } from "./session/planned.ts";
import { changing, type Changing } from "./session/session.ts";

export interface InstallFlags extends MachineFlags {
  config?: string;
  yes?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

function dryRun(path: string, config: MachineConfig, plan: InstallPlan, before: readonly string[]): Result {
  const { data, lines } = planned(plan, { path, partitions: plan.layout.partitions, config: withoutSecrets(config) });
  return { data, lines: [...before, "", "Would:", ...lines] };
}

/** A virtual machine's devices need none. */
function lacksFirmware({ system }: MachineConfig): boolean {
  return system.flavor !== "virt" && system.firmware.length === 0;
}

function summary({ target: { path, kind }, config, opened, sealed, kernel, bootEntry }: Installation): Result {
  const release = sealed?.release;
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
    ...(bootEntry.status === "skipped" && kind === "disk" ? [`an EFI boot entry (${bootEntry.reason})`] : []),
  ];
  return {
    data: {
      path,
      generation: opened.id,
      kernel,
      release,
      bootEntry,
      slots: disk.slots,
      hostname: identity.hostname,
      logins,
      unset,
    },
    lines: [
      `${path} boots Alpine ${release ?? ""} (kernel ${kernel}), read-only, as generation ${opened.id}.`,
      `Boot menu: ${disk.slots} slots, all the same until the first upgrade${system.serial === undefined ? "" : `; console on ${system.serial.port}`}.`,
      `Log in: ${logins.length === 0 ? "nobody can" : logins.join("; ")}.`,
      ...(unset.length === 0 ? [] : [`Not set: ${unset.join("; ")}.`]),
    ],
  };
}

function confirm(disk: Disk, plan: InstallPlan, flags: InstallFlags, report: Report): void {
  if (flags.yes) return;
  const name = disk.path.slice(disk.path.lastIndexOf("/") + 1);
  if (!isTerminal()) {
    if (holdsData(disk)) {
      throw new FirnError(
        "E_DISK_FULL_OF_DATA",
        `${disk.path} holds data.`,
        "To lose all of it: --yes.",
        describeDisk(disk),
      );
    }
    throw new FirnError(
      "E_CONFIRM",
      `There is no terminal to ask at whether ${disk.path} may be overwritten.`,
      "To go on without being asked: --yes.",
    );
  }
  for (const line of [...describeDisk(disk), "", ...planned(plan).lines, ""]) report.note(line);
  const answer = ask(`Everything on ${disk.path} will be lost. Type ${name} to go on: `);
  if (answer !== name && answer !== disk.path)
    throw new FirnError("E_CONFIRM", "Not confirmed.", `Type ${name} when asked, or add --yes.`);
}

/** `firn gc`, which frees space elsewhere, has nothing to delete here. */
const SPACE = "Use a larger disk or --size, or fewer packages.";

/** What a failure was, seen from outside: a full image file, or a disk that is too small for what was wished. */
function explain({ path, kind }: InstallTarget): (cause: Problem) => Problem {
  return (cause) => {
    const full = kind === "image" && cause.code !== "E_INTERRUPTED" ? filledUp(path)?.problem : undefined;
    if (full !== undefined) return full;
    const volume = cause.code === "E_NO_SPACE" && (cause.hint === undefined || cause.hint === GC_FREES);
    return volume ? { ...cause, hint: SPACE } : cause;
  };
}

function carryOut(context: Installation, plan: InstallPlan, { report, standing, answer }: Changing): Result {
  runPlan({
    plan,
    executors: installExecutors,
    context,
    report,
    standing,
    before: (step) => context.note(step),
    explain: explain(context.target),
  });
  return answer(summary(context));
}

/** The plan for a disk or an image of this size. */
function planFor(config: MachineConfig, target: Omit<DiskTarget, "memoryBytes">, prepared: Prepared): InstallPlan {
  const { sets, installedBytes } = prepared;
  const wish = { config, target: { ...target, memoryBytes: memoryBytes() }, guids: newGuids(), sets, installedBytes };
  return orThrow(planInstall(wish));
}

/** `firn install DISK` */
export function install(flags: InstallFlags, [path = ""]: readonly string[]): Result {
  return changing(flags, (command) => {
    const config = machineConfig(flags);
    const disk = inspectDisk(path);
    const refusal = refuseDisk(disk);
    if (refusal !== undefined) orThrow(refusal);
    if (disk.kind !== "disk") throw new Error("a disk that was not refused");
    using prepared = prepareInstall(config, flags.dryRun === true);
    const plan = planFor(config, { kind: "disk", bytes: disk.bytes, sectorBytes: disk.sectorBytes }, prepared);
    if (flags.dryRun) return dryRun(disk.path, config, plan, describeDisk(disk));
    checkPackages(prepared);
    confirm(disk, plan, flags, command.report);
    // Packages were fetched, and a person was asked, since it was looked at.
    using _alone = lockMedia(mediaOf(path), "firn install", undefined, (text) => command.report.note(text));
    const changed = refuseChanged(disk, inspectDisk(path));
    if (changed !== undefined) orThrow(changed);
    const target = { path: disk.path, kind: "disk" } as const;
    using context = new Installation(target, config, plan.layout, prepared, command.report);
    return carryOut(context, plan, command);
  });
}

/** Sectors of an image file. */
const IMAGE_SECTOR = 512;

/** `firn image FILE` */
export function image(flags: InstallFlags, [file = ""]: readonly string[]): Result {
  return changing(flags, (command) => {
    const config = machineConfig(flags);
    const bytes = config.disk.size;
    if (bytes === undefined) throw new FirnError("E_USAGE", "How large shall the image be?", "--size 4G");
    const path = absolutePath(file, workingDirectory());
    if (exists(path)) {
      // Another firn may be making it.
      if (!flags.dryRun) lockMedia(mediaOf(path), "firn image", undefined, () => {})[Symbol.dispose]();
      throw FirnError.of(imageExists(file).problem);
    }
    using prepared = prepareInstall(config, flags.dryRun === true);
    const plan = planFor(config, { kind: "image", bytes, sectorBytes: IMAGE_SECTOR }, prepared);
    if (flags.dryRun) return dryRun(path, config, plan, [`${path}: ${approximateSize(bytes)}, sparse`]);
    requireLoopDevice(path);
    const target = { path, kind: "image" } as const;
    using context = new Installation(target, config, plan.layout, prepared, command.report);
    return carryOut(context, plan, command);
  });
}
