import type { Fd } from "./files.ts";
import { sys, type SubvolumeInfo } from "./sys.ts";

/** btrfs's calls, a function each, on open directories. What firn does with them is host/volume's. */

export type { SubvolumeInfo } from "./sys.ts";

export function makeSubvolume(directory: Fd, name: string): void {
  sys.subvolumeCreate(directory.number, name);
}

/** A writable snapshot of `source`. */
export function takeSnapshot(source: Fd, directory: Fd, name: string): void {
  sys.subvolumeSnapshot(source.number, directory.number, name, false);
}

/** Throws ENOTEMPTY while another subvolume is in it. */
export function destroySubvolume(directory: Fd, name: string): void {
  sys.subvolumeDelete(directory.number, name);
}

/** Commits the transaction by itself. */
export function markReadonly(subvolume: Fd, readonly: boolean): void {
  sys.subvolumeSetReadonly(subvolume.number, readonly);
}

export function infoOf(subvolume: Fd): SubvolumeInfo {
  return sys.subvolumeInfo(subvolume.number);
}

/** The inodes of a subvolume that were written after `transaction`, and how many names each has. */
export function changedInodes(subvolume: Fd, transaction: number): [inode: number, names: number][] {
  return sys.changedInodes(subvolume.number, transaction);
}

/** A path of an inode that has a name, inside its subvolume, without a leading slash. */
export function inodePath(subvolume: Fd, inode: number): string {
  return sys.inodePath(subvolume.number, inode);
}

/** All names of an inode: that of the directory which each is in, and what it is called there. */
export function inodeNames(subvolume: Fd, inode: number): [directory: number, name: string][] {
  return sys.inodeNames(subvolume.number, inode);
}

/** The subvolumes right below one, as the kernel lists them: the inode of the directory each is in, and its name. */
export function nestedIn(subvolume: Fd): [directory: number, name: string][] {
  return sys.nestedSubvolumes(subvolume.number, infoOf(subvolume).id);
}

/** Whether the kernel still has something of a subvolume to give back, by its id. */
export function isThere(fd: Fd, id: number): boolean {
  return sys.subvolumeThere(fd.number, id);
}

/** The UUID of the mounted filesystem. */
export function filesystemUuid(fd: Fd): string {
  return sys.fsid(fd.number);
}

/** Types and profiles (linux/btrfs_tree.h), bytes in all and bytes used, of each kind of block group. */
export function blockGroups(fd: Fd): [flags: number, total: number, used: number][] {
  return sys.space(fd.number);
}

/** Commits, and wakes the thread that gives back the space of deleted subvolumes, which syncfs does not. */
export function startCleaner(fd: Fd): void {
  sys.startCleaner(fd.number);
}

/** Puts everything written to the filesystem on disk, super block included. An error means that it is not. */
export function syncFilesystem(fd: Fd): void {
  sys.syncfs(fd.number);
}

/** Where btrfs keeps a file; two of the same are one. It must have been flushed. */
export interface FileLayout {
  inode: number;
  bytes: number;
  /** Seconds since the epoch. */
  mtime: number;
  extents: readonly [offset: number, type: number, compression: number, disk: number, length: number][];
}

/** The layout of a file on btrfs. */
export function fileLayout(fd: Fd): FileLayout {
  const { ino, size, mtime } = fd.stat();
  return { inode: ino, bytes: size, mtime, extents: sys.extents(fd.number, ino) };
}
