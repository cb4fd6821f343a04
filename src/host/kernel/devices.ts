import { isSysError } from "./failure.ts";
import { Fd } from "./files.ts";
import { typeOf } from "./stat.ts";
import { O, sys } from "./sys.ts";

/** Bytes of a disk, partition or image file. */
export function mediumBytes(path: string): number {
  using fd = Fd.reading(path);
  const found = fd.stat();
  return typeOf(found) === "block device" ? sys.deviceSize(fd.number) : found.size;
}

/** Bytes of a disk's logical sectors. */
export function sectorSize(device: string): number {
  using fd = Fd.reading(device);
  return sys.sectorSize(fd.number);
}

/**
 * Opens a disk for writing as its only user: EBUSY while anything of it is mounted or otherwise held, in whatever
 * namespace.
 */
export function claim(device: string): Fd {
  return Fd.open(device, O.RDWR | O.EXCL);
}

/** True while something, in whatever namespace, holds the disk or one of its partitions. */
export function isClaimed(device: string): boolean {
  try {
    using _ = Fd.open(device, O.RDONLY | O.EXCL);
    return false;
  } catch (error) {
    if (isSysError(error, "EBUSY")) return true;
    throw error;
  }
}

/**
 * A loop device that shows `bytes` of a file or disk from `startByte` on, opened. It detaches itself when the last
 * descriptor is closed, however the process ends.
 */
export function attachLoop(
  backing: Fd,
  startByte: number,
  bytes: number,
  readonly: boolean,
): { device: string; fd: Fd } {
  const [number, device] = sys.loopAttach(backing.number, startByte, bytes, readonly);
  return { device, fd: Fd.adopt(number) };
}

/** What stands behind a loop device; undefined where it cannot be asked. `rdev` is 0 for a file. */
export function loopBacking(device: string): { dev: number; ino: number; rdev: number } | undefined {
  try {
    using fd = Fd.reading(device);
    const [dev, ino, rdev] = sys.loopBacking(fd.number);
    return { dev, ino, rdev };
  } catch (error) {
    if (isSysError(error)) return undefined;
    throw error;
  }
}

/** Everything that was written to a device is on the medium, and is read from there again. */
export function flushDevice(path: string): void {
  using fd = Fd.changing(path);
  fd.flush();
  sys.flushBuffers(fd.number);
}
