import { sizeLine, type DiskLayout } from "../model/disk/layout.ts";
import type { MachineConfig } from "../model/machine/machine.ts";

/** The steps of an installation, in their order; each has an executor in apply/install/. */
export const installSteps = [
  "partition",
  "format",
  "volume",
  "base",
  "commons",
  "packages",
  "kernel",
  "identity",
  "readiness",
  "loader",
  "seal",
  "commit",
  "enable",
] as const;

export type InstallStep = (typeof installSteps)[number];

export interface InstallPlan {
  steps: readonly InstallStep[];
  layout: DiskLayout;
}

/** One line for a person. */
export function describeInstallStep(step: InstallStep, config: MachineConfig, layout: DiskLayout): string {
  const { system, disk } = config;
  switch (step) {
    case "partition":
      return `Partition: ${layout.partitions.map(sizeLine).join(", ")}`;
    case "format":
      return `Format: FAT32, btrfs${layout.partitions.some(({ name }) => name === "SWAP") ? ", swap" : ""}`;
    case "volume":
      return "Lay out the volume";
    case "base":
      return "Install alpine-base";
    case "commons":
      return `Make the commons: ${disk.commons.join(" ")}`;
    case "packages":
      return "Install packages";
    case "kernel":
      return `Install the kernel linux-${system.flavor}`;
    case "identity":
      return `Set host name, users and network of ${config.identity.hostname}`;
    case "readiness":
      return "Make it ready for a read-only root";
    case "loader":
      return `Write rEFInd with ${disk.slots} entries`;
    case "seal":
      return "Check the boot files and seal";
    case "commit":
      return "Commit";
    case "enable":
      return "Make the disk bootable";
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
 * Bytes that ROOT must have at least: what the packages install, twice (an upgrade holds the old and the new generation), the boot files
 * that mkinitfs makes, the least that mkfs.btrfs takes with DUP metadata (109 MiB, btrfs-progs 6.2's
 * btrfs_min_dev_size), and a tenth to work with.
 */
export function minimumRoot(installedBytes: number): number {
  const MiB = 2 ** 20;
  const initramfs = 32 * MiB;
  return Math.ceil(1.1 * (2 * (installedBytes + initramfs) + 109 * MiB));
}
