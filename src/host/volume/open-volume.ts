import { SUPERBLOCK, readSuperblock, type Superblock } from "../../model/volume/superblock.ts";
import { layout } from "../../model/volume/layout.ts";
import { parseMountinfo } from "../../model/kernel/mountinfo.ts";
import { FirnError } from "../../model/problem.ts";
import { findPartitions, mapPartition } from "../disk/map.ts";
import { mountedOn, placeOf } from "../disk/medium.ts";
import { isSysError } from "../kernel/failure.ts";
import { readBytes, readText, stat, typeOf } from "../kernel/files.ts";
import { lockAttaching } from "../kernel/lock.ts";
import { Mount, runDirectory } from "../kernel/mounts.ts";
import { Within } from "../kernel/within.ts";
import { requireOwnFolder } from "./roots.ts";

/** A mounted volume: its top level at `path`, in this process's namespace only. */
export interface Volume extends Disposable {
  readonly path: string;
  /** The same, for what lies in it. */
  readonly top: Within;
  readonly device: string;
  /** True when it is the volume that the running system booted from. */
  readonly running: boolean;
  /** How it is mounted here. */
  readonly access: "read" | "write";
}

interface Source extends Partial<Disposable> {
  device: string;
  running: boolean;
  /** On a disk that has firn's partitions. */
  installed?: boolean;
}

/**
 * Refuses to change anything from inside a draft: the lock of the firn outside is not seen there, nor are its mounts.
 */
function refuseInDraft(): void {
  const root = parseMountinfo(readText("/proc/self/mountinfo")).findLast(({ path }) => path === "/");
  if (!/\.draft\/@/.test(root?.root ?? "")) return;
  throw new FirnError("E_IN_DRAFT", "This is a program inside a draft.", "Leave `firn shell` or `firn run` first.");
}

/** Where the running system's root comes from. Throws E_NOT_A_VOLUME when that is no btrfs. */
function runningSource(): Source {
  const root = parseMountinfo(readText("/proc/self/mountinfo")).findLast(({ path }) => path === "/");
  if (root?.type !== "btrfs") {
    throw new FirnError(
      "E_NOT_A_VOLUME",
      "This system does not run from a firn volume: its root is not btrfs.",
      "Name one: --volume DISK or --volume IMAGE.",
    );
  }
  return { device: root.source, running: true };
}

/** The super block of the btrfs that begins at `start` of a disk or image; undefined where none does. */
export function superblockAt(path: string, start: number): Superblock | undefined {
  return readSuperblock(readBytes(path, start + SUPERBLOCK.offset, SUPERBLOCK.length));
}

/** The volume's partition on a disk or image: the one named ROOT that holds btrfs, else the first with btrfs. */
function namedSource(target: string, readonly: boolean): Source {
  const medium = stat(target);
  if (medium === undefined) throw new FirnError("E_DISK_MISSING", `${target}: no such disk or image.`);
  const type = typeOf(medium);
  if (type !== "block device" && type !== "file") {
    throw new FirnError("E_NOT_A_VOLUME", `${target} is neither a disk nor an image file.`);
  }
  // Somebody may have mounted it through another device already: a second one would be a second cache. A reader's own,
  // which cannot be written through, is gone in a moment.
  const joined = ({ fsid }: Superblock): string | undefined => mountedOn(fsid, target, readonly);
  const mapped = (superblock: Superblock, start: number, bytes: number): Source => {
    const device = joined(superblock);
    if (device !== undefined) return { device, running: false };
    const partition = mapPartition(target, start, bytes, { readonly });
    return { device: partition.device, running: false, [Symbol.dispose]: () => partition[Symbol.dispose]() };
  };
  const whole = superblockAt(target, 0);
  if (whole !== undefined) {
    if (type === "file") return mapped(whole, 0, medium.size);
    return { device: joined(whole) ?? target, running: false };
  }
  const partitions = findPartitions(target);
  const holding = partitions.flatMap((part) => {
    const superblock = superblockAt(target, part.startByte);
    return superblock === undefined ? [] : [{ ...part, superblock }];
  });
  const found = holding.find(({ name }) => name === "ROOT") ?? holding[0];
  const installed = ["EFI", "ROOT"].every((wanted) => partitions.some(({ name }) => name === wanted));
  if (found !== undefined) return { ...mapped(found.superblock, found.startByte, found.bytes), installed };
  if (installed) {
    throw new FirnError(
      "E_INSTALL_UNFINISHED",
      `${target} has firn's partitions, but ROOT holds no filesystem: an installation stopped while it was formatting. It does not boot.`,
      "Install again.",
    );
  }
  throw new FirnError("E_NOT_A_VOLUME", `${target} holds no btrfs filesystem.`);
}

/** Throws unless an installation has laid it out: E_NOT_A_VOLUME, E_INSTALL_UNFINISHED. */
function requireVolume(top: Within, what: string, installed: boolean): void {
  requireOwnFolder(top, layout.snapshots);
  if (top.exists(layout.snapshots)) return;
  if (installed)
    throw new FirnError(
      "E_INSTALL_UNFINISHED",
      `${what} has firn's partitions, but ROOT is empty: an installation stopped before it laid out the volume. It does not boot.`,
      "Install again.",
    );
  throw new FirnError("E_NOT_A_VOLUME", `${what} is btrfs, but holds no /snapshots: it is not a firn volume.`);
}

/**
 * Mounts a volume's top level. `target` is a disk, a partition or an image file; without it the running system's. To be
 * called in a namespace of its own (privateMounts or isolate).
 * Throws E_DISK_MISSING, E_NOT_A_VOLUME, E_INSTALL_UNFINISHED, E_LOOP, E_MOUNT, E_VOLUME_READONLY.
 */
export function openVolume(target: string | undefined, access: "read" | "write"): Volume {
  if (access === "write" || target === undefined) refuseInDraft();
  // What is no medium is not opened at all: a pipe would wait for its other end.
  const place = target === undefined ? undefined : placeOf(target);
  using _attaching = place === undefined ? undefined : lockAttaching(place.path);
  const source = target === undefined ? runningSource() : namedSource(target, access === "read");
  const mount = mountTop(source.device, access);
  const top = Within.volume(mount.path);
  const dispose = (): void => {
    top[Symbol.dispose]();
    mount[Symbol.dispose]();
    source[Symbol.dispose]?.();
  };
  try {
    requireVolume(top, target ?? "The root filesystem", source.installed === true);
  } catch (error) {
    dispose();
    throw error;
  }
  const { device, running } = source;
  return { path: mount.path, top, device, running, access, [Symbol.dispose]: dispose };
}

/** Mounts the top level of the btrfs on `device`. */
export function mountTop(device: string, access: "read" | "write", options = ""): Mount {
  const path = runDirectory("volume");
  const data = `subvolid=5${options}`;
  try {
    return Mount.disk(device, path, "btrfs", access, data);
  } catch (error) {
    if (!isSysError(error)) throw error;
    const { reason } = error;
    if (access === "read" && isSysError(error, "EROFS", "EINVAL", "EIO")) {
      // A read-only device with an unreplayed log tree: look at it as the boot loader does.
      return Mount.disk(device, path, "btrfs", access, `${data},rescue=nologreplay`);
    }
    if (isSysError(error, "EROFS", "EACCES")) {
      throw new FirnError("E_VOLUME_READONLY", `${device} is read-only; it can still be read.`);
    }
    const hint = isSysError(error, "ENODEV") ? "Load the kernel's btrfs module: modprobe btrfs." : undefined;
    throw new FirnError("E_MOUNT", `${device} cannot be mounted: ${reason}.`, hint);
  }
}
