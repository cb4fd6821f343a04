/** Partitions and images as block devices. Open to the other doors: a volume is on one of them. */
import type { DiskLayout } from "../../model/disk/partitions.ts";
import { findGpt, GPT_HEAD_BYTES, parseGpt } from "../../model/disk/gpt.ts";
import { FirnError } from "../../model/problem.ts";
import { parseMbr } from "../../model/disk/signature.ts";
import { attachLoop, mediumBytes, sectorSize } from "../kernel/devices.ts";
import { isSysError } from "../kernel/failure.ts";
import { Fd, names, readBytes, stat, typeOf, type FileStat } from "../kernel/files.ts";
import { pause } from "../kernel/run.ts";
import { placeOf, placeOfDevice, placeOfLoop, type Place } from "./medium.ts";
import {
  attribute,
  devicePath,
  kernelDevice,
  kernelPartitions,
  loopDevice,
  loopDevices,
  SYSFS_SECTOR,
} from "./sysfs.ts";

/** A partition of a disk or an image, read from its table. */
export interface TablePartition {
  number: number;
  /** From a GPT; "" in an MBR. */
  name: string;
  /** PARTUUID of a GPT; "" in an MBR. */
  guid: string;
  startByte: number;
  bytes: number;
}

const isBlock = (found: FileStat): boolean => typeOf(found) === "block device";

function statOf(target: string): FileStat {
  const found = stat(target);
  if (found === undefined) throw new FirnError("E_DISK_MISSING", `${target}: no such disk or image.`);
  return found;
}

/**
 * The partitions in the table of a disk or image file, GPT or MBR (primary only); empty where there is none. Starts no
 * program and needs no kernel that scans partitions. An image's sector size is found out by looking. Throws SysError.
 */
export function findPartitions(target: string): TablePartition[] {
  const head = readBytes(target, 0, GPT_HEAD_BYTES);
  const sectorBytes = isBlock(statOf(target)) ? sectorSize(target) : undefined;
  const known = sectorBytes === undefined ? undefined : parseGpt(head, sectorBytes);
  // A disk image written to a disk with other sectors is unusual, but can be read.
  const gpt = known?.kind === "gpt" ? known : findGpt(head);
  if (gpt.kind === "gpt") {
    return gpt.partitions.map(({ number, name, guid, startByte, bytes }) => ({ number, name, guid, startByte, bytes }));
  }
  return parseMbr(head, sectorBytes ?? 512).map((entry) => ({ ...entry, name: "", guid: "" }));
}

/** Names in /sys/block that firmware starts nothing from. */
const NOT_FOR_FIRMWARE = /^(loop|ram|zram|dm-|sr|fd)/;

/** The partitions in the tables of every disk that firmware may see. Throws SysError where one cannot be read. */
export function everyPartition(): TablePartition[] {
  const disks = names("/sys/block").filter((name) => !NOT_FOR_FIRMWARE.test(name));
  return disks.flatMap((name) => findPartitions(devicePath(name)));
}

/**
 * A partition as a block device, for as long as its scope: loop devices detach themselves when the last user is gone.
 */
export class MappedPartition implements Disposable {
  private released = false;
  constructor(
    readonly device: string,
    private readonly fd: Fd,
  ) {}

  /** Everything written through `device` is on the medium, or this throws. */
  flush(): void {
    this.fd.flush();
  }

  [Symbol.dispose](): void {
    if (this.released) return;
    this.released = true;
    this.fd[Symbol.dispose]();
  }
}

/** The kernel's own node for a part of a disk; undefined where it shows none. */
function partitionNode(disk: string, startByte: number, bytes: number): string | undefined {
  const found = kernelPartitions(disk).find((part) => part.startByte === startByte && part.bytes === bytes);
  if (found === undefined) return undefined;
  const path = devicePath(found.name);
  return stat(path) === undefined ? undefined : path;
}

function openNode(device: string, readonly: boolean): MappedPartition {
  return new MappedPartition(device, readonly ? Fd.reading(device) : Fd.changing(device));
}

/** Milliseconds. A reader of firn's is gone after a few. */
const READERS_TIMEOUT = 5000;
const READERS_PAUSE = 20;

/** Lets those who read the same bytes through a read-only loop device finish. */
function waitForReaders({ storage, startByte }: Place): void {
  for (let waited = 0; waited < READERS_TIMEOUT; waited += READERS_PAUSE) {
    const reading = loopDevices().some((loop) => {
      if (!loop.readonly) return false;
      const place = placeOfLoop(loop, 0, true);
      return place?.storage === storage && place.startByte === startByte;
    });
    if (!reading) return;
    pause(READERS_PAUSE);
  }
}

/**
 * A device that shows the same bytes already, whatever stands between. The same btrfs through two devices would be two
 * caches of one filesystem, which destroys it.
 */
function existingLoop(wanted: Place, bytes: number, readonly: boolean): MappedPartition | undefined {
  const { storage, startByte } = wanted;
  if (!readonly) waitForReaders(wanted);
  for (const loop of loopDevices()) {
    const place = placeOfLoop(loop, 0, true);
    if (place?.storage !== storage) continue;
    const node = partitionNode(loop.name, startByte - place.startByte, bytes);
    if (node !== undefined) return openNode(node, readonly);
    if (place.startByte !== startByte) continue;
    const reaches = Number(attribute(`/sys/class/block/${loop.name}`, "size")) * SYSFS_SECTOR;
    const device = devicePath(loop.name);
    // The whole of a file with partitions starts where nothing else does; only a filesystem's own start is shared.
    if (reaches !== bytes - (bytes % SYSFS_SECTOR)) {
      throw new FirnError(
        "E_LOOP",
        `${loop.backingFile} is attached as ${device} already, with other bounds.`,
        `Detach it: losetup -d ${device}.`,
      );
    }
    if (loop.readonly && !readonly) {
      throw new FirnError(
        "E_LOOP",
        `${loop.backingFile} is attached read-only as ${device}.`,
        `Detach it: losetup -d ${device}.`,
      );
    }
    let mapped: MappedPartition;
    try {
      mapped = openNode(device, readonly);
    } catch (error) {
      if (isSysError(error, "ENXIO", "ENOENT", "ENODEV")) continue;
      throw error;
    }
    // It may have detached itself, or been taken for something else, before it was opened.
    const now = loopDevice(loop.name);
    const still = now && placeOfDevice(now.name);
    if (still?.storage === storage && still.startByte === startByte) return mapped;
    mapped[Symbol.dispose]();
  }
  return undefined;
}

/** Throws E_LOOP where no loop device can be had, before anything is made that needs one. `what` is for the message. */
export function requireLoopDevice(what: string): void {
  const program = "/proc/self/exe";
  newLoop(program, 0, mediumBytes(program), true, what)[Symbol.dispose]();
}

function toChange(target: string): Fd {
  try {
    return Fd.changing(target);
  } catch (error) {
    if (!isSysError(error, "EROFS")) throw error;
    throw new FirnError("E_VOLUME_READONLY", `${target} is on a read-only filesystem; it can still be read.`);
  }
}

function newLoop(
  target: string,
  startByte: number,
  bytes: number,
  readonly: boolean,
  what: string = target,
): MappedPartition {
  using backing = readonly ? Fd.reading(target) : toChange(target);
  try {
    const { device, fd } = attachLoop(backing, startByte, bytes, readonly);
    return new MappedPartition(device, fd);
  } catch (error) {
    if (!isSysError(error)) throw error;
    throw new FirnError(
      "E_LOOP",
      `No loop device can be had for ${what}: ${error.reason}.`,
      "Load the kernel's module: modprobe loop. In a container, give it /dev/loop-control and the loop devices.",
    );
  }
}

/**
 * A part of a disk or image file as a block device: the kernel's partition where it shows one there, else a loop
 * device. Throws E_LOOP when none can be had, E_VOLUME_READONLY, E_DISK_MISSING, SysError (ENOENT, EACCES).
 */
export function mapPartition(
  target: string,
  startByte: number,
  bytes: number,
  { readonly }: { readonly: boolean },
): MappedPartition {
  const medium = statOf(target);
  if (isBlock(medium)) {
    const name = kernelDevice(medium.rdev)?.name;
    const node = name === undefined ? undefined : partitionNode(name, startByte, bytes);
    if (node !== undefined) return openNode(node, readonly);
  }
  const place = placeOf(target, startByte);
  if (place === undefined) return newLoop(target, startByte, bytes, readonly);
  if (place.device !== undefined) {
    const node = partitionNode(place.device, place.startByte, bytes);
    if (node !== undefined) return openNode(node, readonly);
  }
  return existingLoop(place, bytes, readonly) ?? newLoop(target, startByte, bytes, readonly);
}

/** Milliseconds. udev and mdev make a node well within this; a kernel that scans no partitions never does. */
const PARTITIONS_TIMEOUT = 5000;
const PARTITIONS_PAUSE = 50;

/**
 * Waits until the kernel shows a disk's new partitions with their nodes. False when it does not, for example
 * because it scans none: mapPartition then uses loop devices.
 */
export function waitForPartitions(disk: string, layout: DiskLayout): boolean {
  const name = kernelDevice(statOf(disk).rdev)?.name;
  if (name === undefined) return false;
  const folder = `/sys/class/block/${name}`;
  if (loopDevice(name) !== undefined && attribute(folder, "loop/partscan") === "0") return false;
  for (let waited = 0; waited <= PARTITIONS_TIMEOUT; waited += PARTITIONS_PAUSE) {
    const there = layout.partitions.every((part) => partitionNode(name, part.startByte, part.bytes) !== undefined);
    if (there) return true;
    pause(PARTITIONS_PAUSE);
  }
  return false;
}
