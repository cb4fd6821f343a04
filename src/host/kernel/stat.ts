import { FLAGS, S, sys, type FileStat } from "./sys.ts";

export type { FileStat } from "./sys.ts";

/** What is noted about what lies at a path, symlinks followed; undefined where there is nothing. */
export function stat(path: string): FileStat | undefined {
  return sys.stat(path, true) ?? undefined;
}

/** As stat, of a symlink itself. */
export function lstat(path: string): FileStat | undefined {
  return sys.stat(path, false) ?? undefined;
}

type FileType = "file" | "directory" | "symlink" | "block device" | "socket" | "other";

export function typeOf({ mode }: FileStat): FileType {
  switch (mode & S.IFMT) {
    case S.IFREG:
      return "file";
    case S.IFDIR:
      return "directory";
    case S.IFLNK:
      return "symlink";
    case S.IFBLK:
      return "block device";
    case S.IFSOCK:
      return "socket";
    default:
      return "other";
  }
}

/** Sets the owner, and the mode, which a symlink has none of. */
export function own(path: string, { uid, gid }: { uid: number; gid: number }, mode?: number): void {
  sys.lchown(path, uid, gid);
  if (mode !== undefined) sys.chmod(path, mode);
}

/** Gives `to` the times of last access and last change that `from` has; of symlinks themselves. */
function copyTimes(from: string, to: string): void {
  sys.copyTimes(from, to);
}

/** Bytes in all, and free for anybody, of the filesystem that a path is on. */
export function filesystemSpace(path: string): { total: number; free: number } {
  const { blockSize, blocks, available } = sys.statfs(path);
  return { total: blocks * blockSize, free: available * blockSize };
}

/** Extended attributes by name, of a symlink itself: ACLs, capabilities and btrfs's properties are such. */
export function attributes(path: string): Map<string, string> {
  return new Map(sys.attributes(path));
}

/**
 * The flags of chattr(1) that somebody has set, of a regular file or a directory. That a file is not compressed btrfs
 * notes by itself, where it would not become smaller.
 */
export function fileFlags(path: string): number {
  return sys.fileFlags(path) & ~FLAGS.NOT_COMPRESSED;
}

/** Flags with which nothing more can be done to a file. */
const FROZEN = FLAGS.IMMUTABLE | FLAGS.APPEND;

/**
 * Gives a file or directory the flags of chattr(1) that another has; those that freeze it only at last. Verity is the
 * kernel's to set.
 */
export function copyFlags(from: string, to: string, last: boolean): void {
  const flags = sys.fileFlags(from) & ~FLAGS.VERITY;
  if (last ? flags & FROZEN : flags & ~FROZEN) sys.setFileFlags(to, last ? flags : flags & ~FROZEN);
}

/** Gives `to` owner, mode, extended attributes, times and flags of `from`, whose own they are: symlinks' too. */
export function copyNature(from: string, to: string, keeps: (attribute: string) => boolean = () => true): void {
  const stat = sys.stat(from, false);
  if (stat === null) return;
  const type = typeOf(stat);
  const hasFlags = type === "file" || type === "directory";
  // The owner first: it takes set-user-id bits and capabilities away. Properties of btrfs after the flags of the same.
  own(to, stat, type === "symlink" ? undefined : stat.mode & 0o7777);
  if (type === "directory") copyFlags(from, to, false);
  for (const [name, value] of sys.attributes(from)) if (keeps(name)) sys.setAttribute(to, name, value);
  copyTimes(from, to);
  if (hasFlags) copyFlags(from, to, true);
}

/** A device node, a named pipe or a socket as another is. */
export function makeNode(path: string, { mode, rdev }: FileStat): void {
  sys.mknod(path, mode, rdev);
}

/** Another name of the same file. */
export function hardLink(path: string, beside: string): void {
  sys.link(path, beside);
}
