import type { Disk, DiskState, DiskUser, PartitionFound } from "../../model/disk/inspection.ts";
import { parseMountinfo } from "../../model/kernel/mountinfo.ts";
import {
  SIGNATURE_HEAD_BYTES,
  SIGNATURE_TAIL_BYTES,
  identifySignature,
  unknown,
  type Signature,
} from "../../model/disk/signature.ts";
import { findPartitions } from "./map.ts";
import { placeOfDevice, type Place } from "./medium.ts";
import { isClaimed } from "../kernel/devices.ts";
import { isSysError } from "../kernel/failure.ts";
import { Fd, names, readText, readTextIfAny, stat, typeOf, type FileStat } from "../kernel/files.ts";
import { isLocked } from "../kernel/lock.ts";
import {
  attribute,
  deviceNumber,
  devicePath,
  kernelDevice,
  kernelPartitions,
  loopDevices,
  SYSFS_SECTOR,
} from "./sysfs.ts";

/** Names in /sys/block that are no disk to install on. */
const NOT_A_DISK = /^(loop|ram|zram|dm-|md|sr|fd|nbd)/;

function describeType(found: FileStat): string {
  switch (typeOf(found)) {
    case "directory":
      return "a directory";
    case "file":
      return "a regular file";
    default:
      return "no block device";
  }
}

/**
 * Looks at what the user named: changes nothing, starts no program. `path` may be a symlink of /dev/disk.
 * Throws SysError when the disk cannot be read (EACCES, EIO).
 */
export function inspectDisk(path: string): DiskState {
  const found = stat(path);
  if (found === undefined) {
    const disks = names("/sys/block").filter((name) => !NOT_A_DISK.test(name));
    return { kind: "missing", path, disks: disks.map(devicePath) };
  }
  if (typeOf(found) !== "block device") return { kind: "other", path, what: describeType(found) };
  const device = kernelDevice(found.rdev);
  if (device === undefined) return { kind: "other", path, what: "a device that the kernel does not show in /sys" };
  if (device.disk !== undefined) return { kind: "partition", path, disk: devicePath(device.disk) };
  try {
    return inspectWhole(device.name, device.folder);
  } catch (error) {
    // A card reader without a card, a loop device without a file.
    if (isSysError(error, "ENOMEDIUM", "ENXIO")) return { kind: "other", path, what: "a drive without a medium" };
    throw error;
  }
}

function inspectWhole(name: string, folder: string): DiskState {
  const path = devicePath(name);
  const bytes = Number(attribute(folder, "size")) * SYSFS_SECTOR;
  if (bytes === 0) return { kind: "other", path, what: "a drive without a medium" };
  const users = usersOf(path, name);
  return {
    kind: "disk",
    path,
    bytes,
    sectorBytes: Number(attribute(folder, "queue/logical_block_size")),
    model: modelOf(folder),
    removable: attribute(folder, "removable") === "1",
    readonly: attribute(folder, "ro") === "1",
    ...heldBy(path, name, bytes, users.length > 0),
    users,
  };
}

/**
 * What the disk holds. One that is in use is refused anyway: that it cannot be read as well (EPERM in a container) is
 * no news.
 */
function heldBy(path: string, name: string, bytes: number, inUse: boolean): Pick<Disk, "partitions" | "content"> {
  try {
    using fd = Fd.reading(path);
    const partitions = partitionsOf(path, name, fd, bytes);
    const content = contentAt(fd, 0, bytes);
    // A partition table is nothing unknown.
    return { partitions, content: partitions.length > 0 && content === unknown ? undefined : content };
  } catch (error) {
    if (inUse && isSysError(error)) return { partitions: [], content: undefined };
    throw error;
  }
}

/** SCSI and NVMe have `model`, MMC has `name`, a loop device its file. */
function modelOf(folder: string): string {
  const backing = readTextIfAny(`${folder}/loop/backing_file`);
  if (backing !== undefined) return `loop device of ${backing.trim()}`;
  const model = attribute(folder, "device/model") || attribute(folder, "device/name");
  const vendor = attribute(folder, "device/vendor");
  // virtio's vendor is a number.
  return [vendor.startsWith("0x") ? "" : vendor, model].filter((word) => word !== "").join(" ");
}

function contentAt(fd: Fd, startByte: number, bytes: number): Signature | undefined {
  const tailBytes = Math.min(bytes, SIGNATURE_TAIL_BYTES);
  const head = fd.read(Math.min(bytes, SIGNATURE_HEAD_BYTES), startByte);
  const tail = fd.read(tailBytes, startByte + bytes - tailBytes);
  return identifySignature(head, tail, bytes);
}

/** What the table says, and what the kernel shows beside it (logical partitions of an MBR, tables of other kinds). */
function partitionsOf(path: string, name: string, fd: Fd, diskBytes: number): PartitionFound[] {
  const shown = kernelPartitions(name);
  const table = findPartitions(path);
  const rest = shown
    .filter((part) => !table.some(({ startByte }) => startByte === part.startByte))
    .map(({ number, startByte, bytes }) => ({ number, name: "", startByte, bytes }));
  const all = [...table, ...rest].toSorted((a, b) => a.startByte - b.startByte);
  return all.map(({ number, name: called, startByte, bytes }) => {
    const node = shown.find((part) => part.startByte === startByte);
    const inside = startByte >= 0 && bytes > 0 && startByte + bytes <= diskBytes;
    return {
      ...{ number, name: called, startByte, bytes },
      path: node && devicePath(node.name),
      content: inside ? contentAt(fd, startByte, bytes) : undefined,
    };
  });
}

/** A device that is this disk, lies on it, or is stacked on top of it; `device` is what the user knows it by. */
interface Layer {
  name: string;
  number: string;
  device: string;
}

function holderUser(device: string, holder: string): DiskUser {
  const folder = `/sys/class/block/${holder}`;
  if (holder.startsWith("dm-")) {
    const uuid = attribute(folder, "dm/uuid");
    const kind = uuid.startsWith("LVM-") ? "LVM" : uuid.startsWith("CRYPT-") ? "encryption" : "device-mapper";
    return { how: "holder", device, holder: `/dev/mapper/${attribute(folder, "dm/name")}`, kind };
  }
  const kind = holder.startsWith("md") ? "RAID" : holder.startsWith("bcache") ? "bcache" : "device-mapper";
  return { how: "holder", device, holder: devicePath(holder), kind };
}

/** The disk, its partitions, and whatever stands on them (volume groups, arrays, opened encryption). */
function layersOf(name: string, device: string, users: DiskUser[]): Layer[] {
  const folder = `/sys/class/block/${name}`;
  const own: Layer = { name, number: attribute(folder, "dev"), device };
  const above = names(`${folder}/holders`).flatMap((holder) => {
    users.push(holderUser(device, holder));
    return layersOf(holder, device, users);
  });
  return [own, ...above];
}

function usersOf(path: string, name: string): DiskUser[] {
  const users: DiskUser[] = [];
  const place = placeOfDevice(name);
  const twins = place.loop === undefined ? [] : twinsOf(place);
  const layers = [name, ...twins].flatMap((disk) => [
    ...layersOf(disk, devicePath(disk), users),
    ...kernelPartitions(disk).flatMap((part) => layersOf(part.name, devicePath(part.name), users)),
  ]);
  for (const twin of twins) users.push({ how: "twin", device: path, holder: devicePath(twin) });
  const byNumber = (rdev: number): Layer | undefined => layers.find(({ number }) => number === deviceNumber(rdev));
  const nodeLayer = (node: string): Layer | undefined => {
    const found = node.startsWith("/") ? stat(node) : undefined;
    return found !== undefined && typeOf(found) === "block device" ? byNumber(found.rdev) : undefined;
  };

  const mounts = parseMountinfo(readText("/proc/self/mountinfo"));
  const btrfs = btrfsMembers();
  for (const mount of mounts) {
    // btrfs has a device number of its own, so its devices are asked for by name.
    const members =
      mount.type === "btrfs" ? btrfs.find((set) => set.some((member) => nodeIs(mount.source, member))) : [];
    const layer =
      layers.find(({ number }) => number === mount.device) ??
      nodeLayer(mount.source) ??
      layers.find((candidate) => members?.includes(candidate.name));
    if (layer !== undefined) users.push({ how: "mount", device: layer.device, where: mount.path });
  }
  for (const line of (readTextIfAny("/proc/swaps") ?? "").split("\n").slice(1)) {
    const layer = nodeLayer(line.split(/\s/)[0] ?? "");
    if (layer !== undefined) users.push({ how: "swap", device: layer.device });
  }
  for (const loop of loopDevices()) {
    const layer = nodeLayer(loop.backingFile);
    if (layer !== undefined) users.push({ how: "loop", device: layer.device, holder: devicePath(loop.name) });
  }
  if ([path, place.path].some(isLocked)) users.push({ how: "locked", device: path });
  if (users.length === 0 && isClaimed(path)) users.push({ how: "unknown", device: path });
  return users;
}

/** The other loop devices that show any of the same file. */
function twinsOf({ storage, loop }: Place): string[] {
  return loopDevices().flatMap(({ name }) => {
    const other = placeOfDevice(name);
    return other.storage === storage && other.loop !== loop ? [name] : [];
  });
}

/** The names of the devices of each btrfs that is mounted anywhere. */
function btrfsMembers(): string[][] {
  return names("/sys/fs/btrfs").map((fsid) => names(`/sys/fs/btrfs/${fsid}/devices`));
}

function nodeIs(node: string, name: string): boolean {
  const found = node.startsWith("/") ? stat(node) : undefined;
  return found !== undefined && kernelDevice(found.rdev)?.name === name;
}
