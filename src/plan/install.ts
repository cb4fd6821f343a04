import { sizeLine, type DiskGuids, type DiskLayout } from "../model/disk/partitions.ts";
import { planDisk, type DiskTarget } from "./disk.ts";
import type { MachineConfig } from "../model/machine/machine.ts";
import { isRefusal, type Refusal } from "../model/problem.ts";
import { commonWords, type Plan } from "./step.ts";

/**
 * The steps of an installation, in their order. A disk that is found unfinished names the kind of the one that it had
 * come to.
 */
export type InstallStep =
  | { kind: "create-image"; bytes: number; neededBytes: number }
  | { kind: "partition"; layout: DiskLayout }
  | { kind: "format"; swap: boolean }
  | { kind: "volume" }
  | { kind: "base"; packages: readonly string[] }
  | { kind: "commons"; paths: readonly string[] }
  | { kind: "packages"; packages: readonly string[] }
  | { kind: "kernel"; packages: readonly string[]; flavor: string }
  | { kind: "identity"; hostname: string }
  | { kind: "readiness" }
  | { kind: "loader"; slots: number }
  | { kind: "fstab" }
  | { kind: "flush" }
  | { kind: "make-readable"; flavor: string }
  | { kind: "boot-files"; flavor: string }
  | { kind: "seal" }
  | { kind: "commit"; slots: number }
  | { kind: "enable" }
  | { kind: "finish" };

export interface InstallPlan extends Plan<InstallStep> {
  readonly layout: DiskLayout;
}

/** What is known of an installation before it is planned. */
export interface InstallWish {
  config: MachineConfig;
  target: DiskTarget;
  guids: DiskGuids;
  sets: PackageSets;
  /** Bytes that the packages install. */
  installedBytes: number;
}

/**
 * Bytes that an image takes beside its packages: the initramfs (32 MiB, as in minimumRoot), metadata and what is held
 * in reserve of it twice, the loader.
 */
const BESIDE = 96 * 2 ** 20;

/** The steps from an empty disk, or from no image at all, to a system that boots; or why there is no room for it. */
export function planInstall({ config, target, guids, sets, installedBytes }: InstallWish): InstallPlan | Refusal {
  const { disk, system, identity } = config;
  const minimumRootBytes = minimumRoot(installedBytes);
  const layout = planDisk(target, { espBytes: disk.espSize, swapBytes: disk.swapSize, minimumRootBytes }, guids);
  if (isRefusal(layout)) return layout;
  const neededBytes = Math.min(target.bytes, installedBytes + BESIDE);
  const steps: InstallStep[] = [
    ...(target.kind === "image" ? [{ kind: "create-image" as const, bytes: target.bytes, neededBytes }] : []),
    { kind: "partition", layout },
    { kind: "format", swap: layout.partitions.some(({ name }) => name === "SWAP") },
    { kind: "volume" },
    { kind: "base", packages: sets.base },
    { kind: "commons", paths: disk.commons },
    { kind: "packages", packages: sets.packages },
    { kind: "kernel", packages: sets.kernel, flavor: system.flavor },
    { kind: "identity", hostname: identity.hostname },
    { kind: "readiness" },
    { kind: "loader", slots: disk.slots },
    { kind: "fstab" },
    { kind: "flush" },
    { kind: "make-readable", flavor: system.flavor },
    { kind: "boot-files", flavor: system.flavor },
    { kind: "seal" },
    { kind: "commit", slots: disk.slots },
    { kind: "enable" },
    { kind: "finish" },
  ];
  return { steps, layout, describe: describeInstallStep };
}

/** One line for a person. */
export function describeInstallStep(step: InstallStep): string {
  switch (step.kind) {
    case "create-image":
      return "Make the image file";
    case "partition":
      return `Partition: ${step.layout.partitions.map(sizeLine).join(", ")}`;
    case "format":
      return `Format: FAT32, btrfs${step.swap ? ", swap" : ""}`;
    case "volume":
      return "Lay out the volume";
    case "base":
      return `Install ${step.packages.join(" ")}`;
    case "commons":
      return `Make the commons: ${step.paths.join(" ")}`;
    case "packages":
      return "Install packages";
    case "kernel":
      return `Install the kernel linux-${step.flavor}`;
    case "identity":
      return `Set host name, users and network of ${step.hostname}`;
    case "readiness":
      return "Make it ready for a read-only root";
    case "loader":
      return `Write the boot loader, with a menu of ${step.slots} entries`;
    case "commit":
      return `Make it slot 0 of ${step.slots}`;
    case "enable":
      return "Make the disk bootable";
    case "finish":
      return "Note that it is finished, and let go of the disk";
    case "flush":
    case "fstab":
    case "make-readable":
    case "boot-files":
    case "seal":
      return commonWords[step.kind];
    default:
      return step satisfies never;
  }
}

/** The packages of an installation, by the step that installs them. */
export interface PackageSets {
  base: readonly string[];
  packages: readonly string[];
  kernel: readonly string[];
}

/** What an installation installs. `available` tells whether the repositories have a package. */
export function packageSets(config: MachineConfig, available: (name: string) => boolean): PackageSets {
  const { system, identity } = config;
  const withKeys = identity.root.sshKeys.length > 0 || identity.users.some(({ sshKeys }) => sshKeys.length > 0);
  const wheel = identity.users.some(({ groups }) => groups.includes("wheel"));
  const firmware =
    system.firmware.length > 0 ? system.firmware : available("linux-firmware-none") ? ["linux-firmware-none"] : [];
  return {
    base: ["alpine-base"],
    packages: [
      "mkinitfs",
      "btrfs-progs",
      ...(available("firn") ? ["firn"] : []),
      ...(identity.timezone === "UTC" ? [] : ["tzdata"]),
      ...(identity.keymap === undefined ? [] : ["kbd-bkeymaps"]),
      ...(withKeys ? ["openssh"] : []),
      ...(wheel ? ["doas"] : []),
      ...system.packages,
    ],
    kernel: [`linux-${system.flavor}`, ...firmware],
  };
}

/**
 * Bytes that ROOT must have at least: what the packages install, twice (an upgrade holds the old and the new
 * generation), the boot files that mkinitfs makes, the least that mkfs.btrfs takes with DUP metadata (109 MiB,
 * btrfs-progs 6.2's btrfs_min_dev_size), and a tenth to work with.
 */
export function minimumRoot(installedBytes: number): number {
  const MiB = 2 ** 20;
  const initramfs = 32 * MiB;
  return Math.ceil(1.1 * (2 * (installedBytes + initramfs) + 109 * MiB));
}
