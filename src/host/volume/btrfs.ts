/** Subvolumes by name. */
import { isSysError } from "../kernel/failure.ts";
import { Fd, typeOf } from "../kernel/files.ts";
import { isFrozen, thaw } from "../kernel/nature.ts";
import {
  changedInodes,
  destroySubvolume,
  infoOf,
  inodeNames,
  inodePath,
  makeSubvolume,
  markReadonly,
  nestedIn,
  takeSnapshot,
  type SubvolumeInfo,
} from "../kernel/subvolumes.ts";
import { split, type Within } from "../kernel/within.ts";

/** Inode number of every subvolume's own directory (BTRFS_FIRST_FREE_OBJECTID). */
const SUBVOLUME_INODE = 256;

export function isSubvolume(at: Within, name: string): boolean {
  const found = at.lstat(name);
  return found !== undefined && found.ino === SUBVOLUME_INODE && typeOf(found) === "directory";
}

export function createSubvolume(at: Within, name: string): void {
  const [holder, last] = split(name);
  using folder = at.folder(holder);
  makeSubvolume(folder.directory, last);
}

export function snapshot(from: Within, at: Within, name: string): void {
  const [holder, last] = split(name);
  using folder = at.folder(holder);
  takeSnapshot(from.directory, folder.directory, last);
}

/**
 * Deletes a subvolume, whatever is in it, without walking it first: reading a large one makes its deletion a
 * hundred times slower. Subvolumes nested in it are deleted first when the kernel says that there are some, and
 * where chattr(1) froze its own directory, that is undone.
 */
export function deleteSubvolume(at: Within, name: string): void {
  const [holder, last] = split(name);
  using folder = at.folder(holder);
  try {
    destroySubvolume(folder.directory, last);
  } catch (error) {
    if (isSysError(error, "EPERM") && thawSubvolume(folder, last)) return deleteSubvolume(folder, last);
    if (!isSysError(error, "ENOTEMPTY")) throw error;
    deleteNested(folder, last);
    destroySubvolume(folder.directory, last);
  }
}

function deleteNested(at: Within, name: string): void {
  using subvolume = at.folder(name);
  setReadonly(subvolume, false);
  for (const inner of nestedSubvolumes(subvolume)) {
    using holder = subvolume.folder(split(inner)[0]);
    thaw(holder.path);
    deleteSubvolume(subvolume, inner);
  }
}

/** False, and it stays read-only if it was, where its directory is not frozen: then that is not what is in the way. */
function thawSubvolume(at: Within, name: string): boolean {
  using subvolume = at.folder(name);
  if (!isFrozen(subvolume.path)) return false;
  setReadonly(subvolume, false);
  thaw(subvolume.path);
  return true;
}

/**
 * Paths, inside a subvolume, of those right below it. The kernel has the list: walking would meet symlinks and mounts,
 * and lead out of the tree.
 */
export function nestedSubvolumes({ directory: subvolume }: Within): string[] {
  return nestedIn(subvolume).map(([directory, name]) => pathOf(subvolume, directory, name));
}

function pathOf(subvolume: Fd, directory: number, name: string): string {
  return directory === SUBVOLUME_INODE ? name : `${inodePath(subvolume, directory)}/${name}`;
}

/** Setting the flag commits the transaction by itself. */
export function setReadonly({ directory }: Within, readonly: boolean): void {
  markReadonly(directory, readonly);
}

export function subvolumeInfo(path: string): SubvolumeInfo {
  using fd = Fd.directory(path);
  return infoOf(fd);
}

/**
 * Every path inside the subvolume, without a leading slash, of what was written after `transaction`; its own directory
 * is "". What has no name any more, deleted while open, has no path.
 */
export function changedPaths(path: string, transaction: number): string[] {
  using fd = Fd.directory(path);
  return changedInodes(fd, transaction).flatMap(([inode, names]) => {
    if (inode === SUBVOLUME_INODE) return [""];
    return names > 1 ? pathsOf(fd, inode) : names === 1 ? [inodePath(fd, inode)] : [];
  });
}

/** All paths of an inode of a subvolume, sorted: it may have hard links. */
export function pathsOf(subvolume: Fd, inode: number): string[] {
  return inodeNames(subvolume, inode)
    .map(([directory, name]) => pathOf(subvolume, directory, name))
    .sort();
}
