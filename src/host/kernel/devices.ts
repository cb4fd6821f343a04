import { isSysError } from "./failure.ts";
import { Fd, typeOf } from "./files.ts";
import { FLAGS, O, sys } from "./sys.ts";

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

/** EFI_VARIABLE_NON_VOLATILE, …_BOOTSERVICE_ACCESS and …_RUNTIME_ACCESS: what boot entries have. */
const ATTRIBUTES = 7;

/** The value of an EFI variable, a file of efivarfs; undefined where there is none. */
export function readVariable(path: string): Uint8Array | undefined {
  try {
    using fd = Fd.reading(path);
    // 4 bytes of attributes stand before it.
    return fd.read(fd.stat().size, 0).subarray(4);
  } catch (error) {
    if (isSysError(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** The kernel protects variables that some firmware does not survive the loss of (efivarfs, since 4.5). */
function unprotect(path: string): void {
  try {
    const flags = sys.fileFlags(path);
    if (flags & FLAGS.IMMUTABLE) sys.setFileFlags(path, flags & ~FLAGS.IMMUTABLE);
  } catch (error) {
    if (!isSysError(error, "ENOENT")) throw error;
  }
}

/** Makes or replaces an EFI variable: one write is one call of the firmware. */
export function writeVariable(path: string, value: Uint8Array): void {
  unprotect(path);
  const bytes = new Uint8Array([ATTRIBUTES, 0, 0, 0, ...value]);
  using fd = Fd.open(path, O.WRONLY | O.CREAT, 0o644);
  fd.write(bytes.buffer);
  // Of a folder that stands in for efivarfs, where a file keeps its length.
  if (fd.stat().size > bytes.length) fd.truncate(bytes.length);
}

export function removeVariable(path: string): void {
  unprotect(path);
  sys.unlink(path);
}

/** Everything that was written to a device is on the medium, and is read from there again. */
export function flushDevice(path: string): void {
  using fd = Fd.changing(path);
  fd.flush();
  sys.flushBuffers(fd.number);
}
