import { S, sys, type FileStat } from "./sys.ts";

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
export function copyTimes(from: string, to: string): void {
  sys.copyTimes(from, to);
}

/** Bytes in all, and free for anybody, of the filesystem that a path is on. */
export function filesystemSpace(path: string): { total: number; free: number } {
  const { blockSize, blocks, available } = sys.statfs(path);
  return { total: blocks * blockSize, free: available * blockSize };
}
