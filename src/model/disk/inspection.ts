import { nearestFew } from "../text/nearest.ts";
import { soldSize } from "../text/size.ts";
import { refuse, type Refusal } from "../problem.ts";
import type { Signature } from "./signature.ts";

/** Something that uses a disk now. `device` is the disk or one of its partitions. */
export type DiskUser =
  | { how: "mount"; device: string; where: string }
  | { how: "swap"; device: string }
  | { how: "holder"; device: string; holder: string; kind: "LVM" | "RAID" | "encryption" | "device-mapper" | "bcache" }
  | { how: "loop"; device: string; holder: string }
  /** A second loop device over the same file. */
  | { how: "twin"; device: string; holder: string }
  /** Another program has locked it. */
  | { how: "locked"; device: string }
  /** The kernel says busy, and does not say why: another mount namespace, for example. */
  | { how: "unknown"; device: string };

export interface PartitionFound {
  number: number;
  /** The kernel's name, where the kernel shows the partition. */
  path: string | undefined;
  /** The name in a GPT. */
  name: string;
  startByte: number;
  bytes: number;
  content: Signature | undefined;
}

/** A whole disk, as it was found: plain data, made by host/disk/inspect-disk.ts. */
export interface Disk {
  kind: "disk";
  /** The kernel's name, /dev/sda, whatever symlink the user gave. */
  path: string;
  bytes: number;
  sectorBytes: number;
  /** "ATA Samsung SSD 860", or "" where the kernel knows none. */
  model: string;
  removable: boolean;
  readonly: boolean;
  partitions: readonly PartitionFound[];
  /** What is on the disk itself, outside partitions. */
  content: Signature | undefined;
  users: readonly DiskUser[];
}

export type DiskState =
  | Disk
  /** `disks`: the disks there are. */
  | { kind: "missing"; path: string; disks: readonly string[] }
  | { kind: "other"; path: string; what: string }
  | { kind: "partition"; path: string; disk: string };

/** One use, as a clause: "/dev/sda2 is mounted on /home". */
function clause(user: DiskUser): string {
  switch (user.how) {
    case "mount":
      return user.where === "/"
        ? `${user.device} holds the running system`
        : `${user.device} is mounted on ${user.where}`;
    case "swap":
      return `${user.device} is in use as swap`;
    case "holder":
      return `${user.device} is in use by ${user.kind} (${user.holder})`;
    case "loop":
      return `${user.device} is in use by the loop device ${user.holder}`;
    case "twin":
      return `${user.device} shows the file that ${user.holder} shows too`;
    case "locked":
      return `${user.device} is locked by another program, a virtual machine perhaps`;
    case "unknown":
      return `${user.device} is in use by something that the kernel does not name`;
    default:
      return user satisfies never;
  }
}

function freeing(user: DiskUser): string {
  switch (user.how) {
    case "mount":
      return user.where === "/"
        ? "Choose another disk, or install from a live system."
        : `Unmount it (umount ${user.where}), or choose another disk.`;
    case "swap":
      return `Switch it off (swapoff ${user.device}), or choose another disk.`;
    case "holder":
      if (user.kind === "LVM") return "Deactivate its volume group (vgchange -an NAME), or choose another disk.";
      if (user.kind === "RAID") return `Stop the array (mdadm --stop ${user.holder}), or choose another disk.`;
      return `Close ${user.holder}, or choose another disk.`;
    case "locked":
      return "End that program, or choose another disk.";
    case "loop":
    case "twin":
      return `Detach it (losetup -d ${user.holder}), or choose another disk.`;
    case "unknown":
      return "Find the program that has it open, in a container perhaps, or choose another disk.";
    default:
      return user satisfies never;
  }
}

/** Worst first: what the message leads with. */
const weight: Record<DiskUser["how"], number> = {
  mount: 1,
  swap: 2,
  holder: 3,
  loop: 4,
  twin: 5,
  locked: 6,
  unknown: 7,
};

/**
 * Why nothing can be installed there, or undefined when nothing stands against it: E_DISK_MISSING (with near names),
 * E_DISK_PARTITION (naming the disk), E_DISK_BUSY. Size is planDisk's business, old data the caller's question.
 */
export function refuseDisk(state: DiskState): Refusal | undefined {
  switch (state.kind) {
    case "missing": {
      const near = nearestFew(state.path, state.disks, 3);
      const there = near.length > 0 ? near : state.disks;
      const hint = near.length > 0 ? `Did you mean ${near.join(" or ")}?` : `There are: ${there.join(", ")}.`;
      return refuse(
        "E_DISK_MISSING",
        `${state.path}: no such disk.`,
        there.length > 0 ? hint : "The kernel shows no disk at all.",
      );
    }
    case "other":
      return refuse(
        "E_DISK_MISSING",
        `${state.path} is ${state.what}, not a disk.`,
        state.what === "a regular file" ? "To make an image file: firn image FILE." : "Name a whole disk, /dev/sda.",
      );
    case "partition":
      return refuse(
        "E_DISK_PARTITION",
        `${state.path} is a partition of ${state.disk}; firn takes a whole disk.`,
        `To use all of it, and lose what it holds: firn install ${state.disk}.`,
      );
    case "disk":
      return refuseUses(state);
    default:
      return state satisfies never;
  }
}

function refuseUses(disk: Disk): Refusal | undefined {
  if (disk.readonly) {
    return refuse(
      "E_DISK_BUSY",
      `${disk.path} is write-protected.`,
      "Take the protection off, or choose another disk.",
    );
  }
  const rank = (user: DiskUser): number => (user.how === "mount" && user.where === "/" ? 0 : weight[user.how]);
  const users = disk.users.toSorted((a, b) => rank(a) - rank(b));
  const [first] = users;
  if (first === undefined) return undefined;
  // That the system runs from it says all; its other mounts would only be a long list.
  const clauses = rank(first) === 0 ? [clause(first)] : [...new Set(users.map(clause))];
  return refuse("E_DISK_BUSY", `${clauses.join("; ")}.`, freeing(first));
}

/**
 * Why the disk that was shown and confirmed must not be written to now, minutes later: it is in use by now, another
 * one, or holds something else. Undefined when nothing stands against it.
 */
export function refuseChanged(shownThen: Disk, now: DiskState): Refusal | undefined {
  const refusal = refuseDisk(now);
  if (refusal !== undefined) return refusal;
  const same =
    now.kind === "disk" &&
    now.sectorBytes === shownThen.sectorBytes &&
    now.bytes === shownThen.bytes &&
    describeDisk(now).join() === describeDisk(shownThen).join();
  if (same) return undefined;
  return refuse(
    "E_DISK_BUSY",
    `${shownThen.path} is not what it was when firn looked at it.`,
    "Run the command again to see what is there now.",
  );
}

/** True when an installation would destroy something: partitions, or a file system on the disk itself. */
export function holdsData(disk: Disk): boolean {
  return disk.partitions.length > 0 || disk.content !== undefined;
}

const shown = (content: Signature | undefined): string =>
  content === undefined ? "nothing known" : content.kind + (content.label === "" ? "" : ` "${content.label}"`);

/** Lines that show the user which disk this is and what it holds, before anything is asked. */
export function describeDisk(disk: Disk): string[] {
  const facts = [soldSize(disk.bytes), disk.model, disk.removable ? "removable" : ""].filter((fact) => fact !== "");
  const head = `${disk.path}: ${facts.join(", ")}`;
  if (!holdsData(disk)) return [head, "  empty"];
  return [
    head,
    ...(disk.content === undefined ? [] : [`  whole disk: ${shown(disk.content)}`]),
    ...disk.partitions.map(({ number, path, name, bytes, content }) => {
      const called = name === "" ? "" : ` "${name}"`;
      return `  ${path ?? `partition ${number}`}${called}: ${soldSize(bytes)}, ${shown(content)}`;
    }),
  ];
}
