/**
 * One medium under all its names: an image and its loop device, a disk and its partitions, device-mapper over either.
 * Open to the other doors: a volume is locked by its medium.
 */
import { loopBacking } from "../kernel/devices.ts";
import { names, stat, typeOf } from "../kernel/files.ts";
import {
  attribute,
  deviceNumber,
  devicePath,
  diskOf,
  kernelDevice,
  loopDevice,
  SYSFS_SECTOR,
  type LoopDevice,
} from "./sysfs.ts";

/** Where the bytes of a file or device lie in the end. */
export interface Place {
  /** A file by device and inode (`file-2049-131`), a device by number (`8:0`): the same whatever it is called. */
  storage: string;
  /** A name that opens the storage; where this namespace has none, of the device nearest to it. */
  path: string;
  /** Counted in the storage. */
  startByte: number;
  /** The storage as sysfs calls it; undefined for a file. */
  device?: string;
  /** The loop device that stands on a file. */
  loop?: string;
}

/** Where a device of sysfs lies: through partitions and loop devices, down to a file or to a device that is neither. */
export function placeOfDevice(name: string, startByte = 0): Place {
  const folder = `/sys/class/block/${name}`;
  const disk = diskOf(name);
  if (disk !== undefined) return placeOfDevice(disk, startByte + Number(attribute(folder, "start")) * SYSFS_SECTOR);
  const loop = loopDevice(name);
  return (
    (loop && placeOfLoop(loop, startByte)) ?? {
      ...{ storage: attribute(folder, "dev"), path: devicePath(name), startByte, device: name },
    }
  );
}

/**
 * Where a loop device lies. `quick` trusts the name of its file, which the kernel keeps when it is renamed, but which
 * may be another file's in another namespace; opening many loop devices takes milliseconds.
 */
export function placeOfLoop(loop: LoopDevice, startByte = 0, quick = false): Place | undefined {
  const named = stat(loop.backingFile);
  const isBlock = named !== undefined && typeOf(named) === "block device";
  const byName = named && { dev: named.dev, ino: named.ino, rdev: isBlock ? named.rdev : 0 };
  const backing = (quick ? byName : undefined) ?? loopBacking(devicePath(loop.name)) ?? byName;
  if (backing === undefined) return undefined;
  const at = startByte + loop.offset;
  const device = backing.rdev === 0 ? undefined : kernelDevice(backing.rdev);
  if (device !== undefined) return placeOfDevice(device.name, at);
  const found = named?.dev === backing.dev && named.ino === backing.ino;
  return {
    storage: `file-${backing.dev}-${backing.ino}`,
    path: found ? loop.backingFile : devicePath(loop.name),
    startByte: at,
    loop: loop.name,
  };
}

/** Where what a person named lies; undefined for what is neither a file nor a block device. */
export function placeOf(path: string, startByte = 0): Place | undefined {
  const found = stat(path);
  if (found === undefined) return undefined;
  switch (typeOf(found)) {
    case "file":
      return { storage: `file-${found.dev}-${found.ino}`, path, startByte };
    case "block device": {
      const device = kernelDevice(found.rdev);
      if (device !== undefined) return placeOfDevice(device.name, startByte);
      return { storage: deviceNumber(found.rdev), path, startByte };
    }
    default:
      return undefined;
  }
}

/** Device-mapper, arrays and caches stand on others. */
function storagesUnder(place: Place): string[] {
  const below = place.device === undefined ? [] : names(`/sys/class/block/${place.device}/slaves`);
  return below.length === 0 ? [place.storage] : below.flatMap((name) => storagesUnder(placeOfDevice(name)));
}

/** The storages at the bottom of what a person named, sorted, each once; none for what is no medium. */
export function mediaOf(path: string): string[] {
  const place = placeOf(path);
  return place === undefined ? [] : [...new Set(storagesUnder(place))].toSorted();
}

/** The storages at the bottom of a mounted btrfs; its UUID where sysfs does not show it. */
export function mediaOfFilesystem(fsid: string): string[] {
  const members = names(`/sys/fs/btrfs/${fsid}/devices`);
  if (members.length === 0) return [fsid];
  return [...new Set(members.flatMap((name) => storagesUnder(placeOfDevice(name))))].toSorted();
}

/** The device of a mounted btrfs that lies on the same medium as `target`: whoever wants it joins that one's cache. */
export function mountedOn(fsid: string, target: string, readonly: boolean): string | undefined {
  const wanted = mediaOf(target);
  const member = names(`/sys/fs/btrfs/${fsid}/devices`).find(
    (name) =>
      (readonly || attribute(`/sys/class/block/${name}`, "ro") !== "1") &&
      storagesUnder(placeOfDevice(name)).some((storage) => wanted.includes(storage)),
  );
  return member === undefined ? undefined : devicePath(member);
}
