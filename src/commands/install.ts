import { installExecutors } from "../apply/install/executors.ts";
import { Installation, type InstallTarget } from "../apply/install/installation.ts";
import { checkPackages, prepareInstall, type Prepared } from "../apply/install/prepare.ts";
import { runPlan } from "../apply/run-plan.ts";
import { requireLoopDevice } from "../host/disk/map.ts";
import { inspectDisk } from "../host/disk/inspect-disk.ts";
import { exists, isFile, readText, readTextIfAny } from "../host/kernel/files.ts";
import { newGuids } from "../host/disk/format.ts";
import { filledUp, imageExists } from "../host/disk/image.ts";
import { memoryBytes } from "../host/kernel/memory.ts";
import { ask, isTerminal, workingDirectory } from "../host/machine/terminal.ts";
import { normaliseRepository } from "../model/packages/conf.ts";
import { mergeFlags, type MachineFlags } from "../model/machine/flags.ts";
import { parseMachineToml, type MachineConfig, type PartialMachine } from "../model/machine/machine.ts";
import { approximateSize } from "../model/text/size.ts";
import { describeDisk, holdsData, refuseChanged, refuseDisk, type Disk } from "../model/disk/inspection.ts";
import type { DiskTarget } from "../model/disk/layout.ts";
import { FirnError, orThrow, type Problem } from "../model/problem.ts";
import { describeInstallStep, planInstall, type InstallPlan } from "../plan/install.ts";
import { planned } from "./planned.ts";
import type { Report } from "../report/report.ts";
import type { Result } from "../report/result.ts";
import { changing, type Changing } from "./session.ts";

export interface InstallFlags extends MachineFlags {
  config?: string;
  yes?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

function absolute(path: string, folder: string): string {
  return normaliseRepository(path, folder) ?? path;
}

/** Paths in a file are relative to it, paths in flags to the working directory. */
function withAbsolutePaths<T extends { repositories?: readonly string[]; keysDir?: string; refind?: string }>(
  system: T,
  folder: string,
): T {
  return {
    ...system,
    ...(system.repositories === undefined
      ? {}
      : { repositories: system.repositories.map((one) => absolute(one, folder)) }),
    ...(system.keysDir === undefined ? {} : { keysDir: absolute(system.keysDir, folder) }),
    ...(system.refind === undefined ? {} : { refind: absolute(system.refind, folder) }),
  };
}

function readConfigFile(path: string | undefined): PartialMachine {
  if (path === undefined) return {};
  const file = absolute(path, workingDirectory());
  const text = readTextIfAny(file);
  if (text === undefined)
    throw new FirnError("E_CONFIG_FILE", `${path}: no such file.`, "`firn config --example` prints one.");
  const parsed = parseMachineToml(text, path);
  if (!parsed.ok) throw new FirnError(parsed.problem.code, parsed.problem.message, parsed.problem.hint);
  const { system, ...rest } = parsed.value;
  const folder = file.slice(0, file.lastIndexOf("/")) || "/";
  return { ...rest, ...(system === undefined ? {} : { system: withAbsolutePaths(system, folder) }) };
}

/** Keys as text: a word that names a file stands for its lines. */
function sshKeys(words: readonly string[] | undefined): string[] | undefined {
  return words?.flatMap((word) => {
    if (/\s/.test(word) || !isFile(word)) return [word];
    return readText(word)
      .split("\n")
      .filter((line) => line.trim() !== "" && !line.startsWith("#"));
  });
}

function machineConfig(flags: InstallFlags): MachineConfig {
  const { config, yes: _yes, dryRun: _dryRun, json: _json, ...rest } = flags;
  const keys = sshKeys(flags.sshKey);
  const merged = mergeFlags(
    readConfigFile(config),
    { ...rest, ...(keys === undefined ? {} : { sshKey: keys }) },
    config,
  );
  if (!merged.ok) throw new FirnError(merged.problem.code, merged.problem.message, merged.problem.hint);
  return { ...merged.value, system: withAbsolutePaths(merged.value.system, workingDirectory()) };
}

/** What may be printed, logged and pasted: a hash can be tried against a list of passwords. */
function withoutSecrets(config: MachineConfig): MachineConfig {
  const hidden = <T extends { readonly passwordHash?: string }>(account: T): T =>
    account.passwordHash === undefined ? account : { ...account, passwordHash: "(hidden)" };
  const { root, users } = config.identity;
  return { ...config, identity: { ...config.identity, root: hidden(root), users: users.map(hidden) } };
}

function planLines({ steps }: InstallPlan): string[] {
  return steps.map((step, index) => `${index + 1}. ${describeInstallStep(step)}`);
}

function dryRun(path: string, config: MachineConfig, plan: InstallPlan, before: readonly string[]): Result {
  const { data, lines } = planned(
    { steps: plan.steps, describe: describeInstallStep },
    { path, partitions: plan.layout.partitions, config: withoutSecrets(config) },
  );
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
        `${disk.path} holds data.\n${describeDisk(disk).join("\n")}`,
        "To lose all of it: --yes.",
      );
    }
    throw new FirnError(
      "E_CONFIRM",
      `There is no terminal to ask at whether ${disk.path} may be overwritten.`,
      "To go on without being asked: --yes.",
    );
  }
  for (const line of [...describeDisk(disk), "", ...planLines(plan), ""]) report.note(line);
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
    return cause.code === "E_NO_SPACE" ? { ...cause, hint: SPACE } : cause;
  };
}

function carryOut(context: Installation, plan: InstallPlan, { report, standing, answer }: Changing): Result {
  runPlan({
    plan: { steps: plan.steps, describe: describeInstallStep },
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
    using prepared = prepareInstall(config, flags.dryRun !== true);
    const plan = planFor(config, { kind: "disk", bytes: disk.bytes, sectorBytes: disk.sectorBytes }, prepared);
    if (flags.dryRun) return dryRun(disk.path, config, plan, describeDisk(disk));
    checkPackages(prepared);
    confirm(disk, plan, flags, command.report);
    // Packages were fetched, and a person was asked, since it was looked at.
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
    const path = absolute(file, workingDirectory());
    if (exists(path)) throw FirnError.of(imageExists(file).problem);
    using prepared = prepareInstall(config, flags.dryRun !== true);
    const plan = planFor(config, { kind: "image", bytes, sectorBytes: IMAGE_SECTOR }, prepared);
    if (flags.dryRun) return dryRun(path, config, plan, [`${path}: ${approximateSize(bytes)}, sparse`]);
    requireLoopDevice(path);
    const target = { path, kind: "image" } as const;
    using context = new Installation(target, config, plan.layout, prepared, command.report);
    return carryOut(context, plan, command);
  });
}
