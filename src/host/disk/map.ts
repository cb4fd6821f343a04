import type { DiskLayout } from "../../model/disk/layout.ts";
import { findGpt, GPT_HEAD_BYTES, parseGpt } from "../../model/disk/gpt.ts";
import { FirnError } from "../../model/problem.ts";
import { parseMbr } from "../../model/disk/signature.ts";
import { Fd, readBytes } from "../kernel/files.ts";
import { attribute, devicePath, kernelDevice, kernelPartitions, loopDevice, loopDevices } from "./sysfs.ts";
import type { LoopDevice } from "./sysfs.ts";
import { O, S, isSysError, sys, type FileStat } from "../kernel/sys.ts";

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

const isBlock = (stat: FileStat): boolean => (stat.mode & S.IFMT) === S.IFBLK;

function statOf(target: string): FileStat {
  const stat = sys.stat(target, true);
  if (stat === null) throw new FirnError("E_DISK_MISSING", `${target}: no such disk or image.`);
  return stat;
}

/** Bytes of a disk or an image file. */
export function sizeOf(target: string): number {
  using fd = Fd.open(target, O.RDONLY);
  const stat = sys.fstat(fd.number);
  return isBlock(stat) ? sys.deviceSize(fd.number) : stat.size;
}

/**
 * The partitions in the table of a disk or image file, GPT or MBR (primary only); empty where there is none. Starts no program
 * and needs no kernel that scans partitions. An image's sector size is found out by looking. Throws SysError.
 */
export function findPartitions(target: string): TablePartition[] {
  const head = readBytes(target, 0, GPT_HEAD_BYTES);
  let sectorBytes: number | undefined;
  if (isBlock(statOf(target))) {
    using fd = Fd.open(target, O.RDONLY);
    sectorBytes = sys.sectorSize(fd.number);
  }
  const known = sectorBytes === undefined ? undefined : parseGpt(head, sectorBytes);
  // A disk image written to a disk with other sectors is unusual, but can be read.
  const gpt = known?.kind === "gpt" ? known : findGpt(head);
  if (gpt.kind === "gpt") {
    return gpt.partitions.map(({ number, name, guid, startByte, bytes }) => ({ number, name, guid, startByte, bytes }));
  }
  return parseMbr(head, sectorBytes ?? 512).map((entry) => ({ ...entry, name: "", guid: "" }));
}

/** A partition as a block device, for as long as its scope: loop devices detach themselves when the last user is gone. */
export class MappedPartition implements Disposable {
  private released = false;
  constructor(
    readonly device: string,
    private readonly fd: number,
  ) {}

  /** Everything written through `device` is on the medium, or this throws. */
  flush(): void {
    sys.fsync(this.fd);
  }

  [Symbol.dispose](): void {
    if (this.released) return;
    this.released = true;
    sys.close(this.fd);
  }
}

/** The kernel's own node for a part of a disk; undefined where it shows none. */
function partitionNode(disk: string, startByte: number, bytes: number): string | undefined {
  const found = kernelPartitions(disk).find((part) => part.startByte === startByte && part.bytes === bytes);
  if (found === undefined) return undefined;
  const path = devicePath(found.name);
  return sys.stat(path, true) === null ? undefined : path;
}

/** True when a loop device's backing file is the file or device that `stat` is of. */
function backedBy(loop: LoopDevice, stat: FileStat): boolean {
  const backing = sys.stat(loop.backingFile, true);
  if (backing === null) return false;
  if (isBlock(stat)) return isBlock(backing) && backing.rdev === stat.rdev;
  return backing.dev === stat.dev && backing.ino === stat.ino;
}

function openNode(device: string, readonly: boolean): MappedPartition {
  return new MappedPartition(device, sys.open(device, readonly ? O.RDONLY : O.RDWR, 0));
}

/** Milliseconds. A reader of firn's is gone after a few. */
const READERS_TIMEOUT = 5000;
const READERS_PAUSE = 20;

/** Lets those who read the same bytes through a read-only loop device finish. */
function waitForReaders(stat: FileStat, startByte: number): void {
  for (let waited = 0; waited < READERS_TIMEOUT; waited += READERS_PAUSE) {
    const reading = loopDevices().some((loop) => loop.readonly && loop.offset === startByte && backedBy(loop, stat));
    if (!reading) return;
    sys.poll([], READERS_PAUSE);
  }
}

/**
 * A loop device that shows the same bytes already. The same btrfs through two devices would be two caches
 * of one filesystem, which destroys it.
 */
function existingLoop(
  stat: FileStat,
  startByte: number,
  bytes: number,
  readonly: boolean,
): MappedPartition | undefined {
  if (!readonly) waitForReaders(stat, startByte);
  const end = isBlock(stat) ? undefined : stat.size;
  for (const loop of loopDevices()) {
    if (!backedBy(loop, stat)) continue;
    if (loop.offset === 0) {
      const node = partitionNode(loop.name, startByte, bytes);
      if (node !== undefined) return openNode(node, readonly);
    }
    if (loop.offset !== startByte) continue;
    const reaches = loop.sizeLimit === 0 ? (end ?? sizeOf(loop.backingFile)) - loop.offset : loop.sizeLimit;
    const device = devicePath(loop.name);
    // The whole of a file with partitions starts where nothing else does; only a filesystem's own start is shared.
    if (reaches !== bytes) {
      throw new FirnError(
        "E_LOOP",
        `${loop.backingFile} is attached as ${device} already, with other bounds. Nothing was changed.`,
        `Detach it: losetup -d ${device}.`,
      );
    }
    if (loop.readonly && !readonly) {
      throw new FirnError(
        "E_LOOP",
        `${loop.backingFile} is attached read-only as ${device}. Nothing was changed.`,
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
    if (now !== undefined && now.offset === startByte && backedBy(now, stat)) return mapped;
    mapped[Symbol.dispose]();
  }
  return undefined;
}

/** Throws E_LOOP where no loop device can be had, before anything is made that needs one. `what` is for the message. */
export function requireLoopDevice(what: string): void {
  const program = "/proc/self/exe";
  newLoop(program, 0, sizeOf(program), true, what)[Symbol.dispose]();
}

function newLoop(
  target: string,
  startByte: number,
  bytes: number,
  readonly: boolean,
  what: string = target,
): MappedPartition {
  using backing = Fd.open(target, readonly ? O.RDONLY : O.RDWR);
  try {
    const [fd, device] = sys.loopAttach(backing.number, startByte, bytes, readonly);
    return new MappedPartition(device, fd);
  } catch (error) {
    if (!isSysError(error)) throw error;
    throw new FirnError(
      "E_LOOP",
      `No loop device can be had for ${what}: ${error.reason}. Nothing was changed.`,
      "Load the kernel's module: modprobe loop. In a container, give it /dev/loop-control and the loop devices.",
    );
  }
}

/**
 * A part of a disk or image file as a block device: the kernel's partition where it shows one there, else a loop device.
 * Throws E_LOOP when none can be had, E_DISK_MISSING, SysError (ENOENT, EACCES, EROFS).
 */
export function mapPartition(
  target: string,
  startByte: number,
  bytes: number,
  { readonly }: { readonly: boolean },
): MappedPartition {
  const stat = statOf(target);
  if (isBlock(stat)) {
    const name = kernelDevice(stat.rdev)?.name;
    const node = name === undefined ? undefined : partitionNode(name, startByte, bytes);
    if (node !== undefined) return openNode(node, readonly);
  }
  return existingLoop(stat, startByte, bytes, readonly) ?? newLoop(target, startByte, bytes, readonly);
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
    sys.poll([], PARTITIONS_PAUSE);
  }
  return false;
}
