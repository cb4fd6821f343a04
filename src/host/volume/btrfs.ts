/** Subvolumes by path. */
import { isSysError } from "../kernel/failure.ts";
import { Fd } from "../kernel/files.ts";
import { lstat, typeOf } from "../kernel/stat.ts";
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

/** Inode number of every subvolume's own directory (BTRFS_FIRST_FREE_OBJECTID). */
const SUBVOLUME_INODE = 256;

export function isSubvolume(path: string): boolean {
  const found = lstat(path);
  return found !== undefined && found.ino === SUBVOLUME_INODE && typeOf(found) === "directory";
}

function split(path: string): [directory: string, name: string] {
  const at = path.lastIndexOf("/");
  return [path.slice(0, at), path.slice(at + 1)];
}

export function createSubvolume(path: string): void {
  const [directory, name] = split(path);
  using parent = Fd.directory(directory);
  makeSubvolume(parent, name);
}

export function snapshot(from: string, to: string): void {
  const [directory, name] = split(to);
  using source = Fd.directory(from);
  using parent = Fd.directory(directory);
  takeSnapshot(source, parent, name);
}

/**
 * Deletes a subvolume, whatever is in it, without walking it first: reading a large one makes its deletion a
 * hundred times slower. Subvolumes nested in it are deleted first when the kernel says that there are some.
 */
export function deleteSubvolume(path: string): void {
  const [directory, name] = split(path);
  using parent = Fd.directory(directory);
  try {
    destroySubvolume(parent, name);
  } catch (error) {
    if (!isSysError(error, "ENOTEMPTY")) throw error;
    setReadonly(path, false);
    for (const inner of nestedSubvolumes(path)) deleteSubvolume(`${path}/${inner}`);
    destroySubvolume(parent, name);
  }
}

/**
 * Paths, inside a subvolume, of those right below it. The kernel has the list: walking would meet symlinks and mounts,
 * and lead out of the tree.
 */
export function nestedSubvolumes(path: string): string[] {
  using fd = Fd.directory(path);
  return nestedIn(fd).map(([directory, name]) => pathOf(fd, directory, name));
}

function pathOf(subvolume: Fd, directory: number, name: string): string {
  return directory === SUBVOLUME_INODE ? name : `${inodePath(subvolume, directory)}/${name}`;
}

/** Setting the flag commits the transaction by itself. */
export function setReadonly(path: string, readonly: boolean): void {
  using fd = Fd.directory(path);
  markReadonly(fd, readonly);
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
