import { mintId } from "../../model/volume/ids.ts";
import { SysError, isSysError } from "./failure.ts";
import { O, S, sys, type FileStat } from "./sys.ts";

export type { FileStat } from "./sys.ts";

/** An open file descriptor, closed when its scope ends. */
export class Fd implements Disposable {
  private constructor(readonly number: number) {}

  static open(path: string, flags: number, mode = 0): Fd {
    return new Fd(sys.open(path, flags, mode));
  }

  static directory(path: string): Fd {
    return new Fd(sys.open(path, O.RDONLY | O.DIRECTORY, 0));
  }

  static reading(path: string): Fd {
    return new Fd(sys.open(path, O.RDONLY, 0));
  }

  /** For reading and writing what is there. */
  static changing(path: string): Fd {
    return new Fd(sys.open(path, O.RDWR, 0));
  }

  /** A new file. Throws EEXIST. */
  static making(path: string, mode: number): Fd {
    return new Fd(sys.open(path, O.RDWR | O.CREAT | O.EXCL, mode));
  }

  static adopt(number: number): Fd {
    return new Fd(number);
  }

  /** The same file or directory for a call that takes a path and follows it, in this process alone. */
  get path(): string {
    return `/proc/self/fd/${this.number}`;
  }

  /** As `path`, of a directory, for calls that look at a symlink itself. */
  get folder(): string {
    return `${this.path}/.`;
  }

  stat(): FileStat {
    return sys.fstat(this.number);
  }

  /** At most `length` bytes, from `offset` or from where it stands; none at the end. */
  read(length: number, offset?: number): Uint8Array {
    return new Uint8Array(sys.read(this.number, length, offset));
  }

  /** All of it, or it throws. */
  write(data: string | ArrayBuffer, offset?: number): void {
    sys.write(this.number, data, offset);
  }

  truncate(length: number): void {
    sys.truncate(this.number, length);
  }

  /** Sets an extended attribute. */
  attribute(name: string, value: string): void {
    sys.fsetxattr(this.number, name, value);
  }

  /** What was written through it, and through the node of a block device, is on the medium, or this throws. */
  flush(): void {
    sys.fsync(this.number);
  }

  /**
   * What was written is with the disk, and durable with the filesystem's next commit, whoever makes it.
   */
  pushOut(): void {
    sys.pushOut(this.number);
  }

  [Symbol.dispose](): void {
    sys.close(this.number);
  }
}

/** What is noted about what lies at a path, symlinks followed; undefined where there is nothing. */
export function stat(path: string): FileStat | undefined {
  return sys.stat(path, true) ?? undefined;
}

/** As stat, of a symlink itself. */
export function lstat(path: string): FileStat | undefined {
  return sys.stat(path, false) ?? undefined;
}

export type FileType = "file" | "directory" | "symlink" | "block device" | "socket" | "other";

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

/** The bytes of a file from `offset`, at most `length` of them. */
export function readBytes(path: string, offset: number, length: number): Uint8Array {
  using fd = Fd.reading(path);
  return fd.read(length, offset);
}

/** The text of a whole file, or undefined where there is none. */
export function readTextIfAny(path: string): string | undefined {
  return sys.text(path) ?? undefined;
}

/** The text of a whole file. Throws SysError. */
export function readText(path: string): string {
  const text = sys.text(path);
  if (text === null) throw new SysError("ENOENT", "open", path, "No such file or directory");
  return text;
}

/** Writes a new file or replaces the content of an old one, in place. */
export function writeText(path: string, text: string, mode = 0o644): void {
  using fd = Fd.open(path, O.WRONLY | O.CREAT | O.TRUNC, mode);
  sys.write(fd.number, text);
}

/** Copies the content and mode of a regular file; the copy has neither holes nor preallocation. */
export function copyFile(from: string, to: string, mode?: number): void {
  using source = Fd.open(from, O.RDONLY);
  const stat = sys.fstat(source.number);
  using target = Fd.open(to, O.WRONLY | O.CREAT | O.TRUNC, 0o600);
  sys.copy(source.number, target.number);
  sys.chmod(to, mode ?? stat.mode & 0o7777);
}

export function exists(path: string): boolean {
  return sys.exists(path);
}

export function isDirectory(path: string): boolean {
  const stat = sys.stat(path, true);
  return stat !== null && typeOf(stat) === "directory";
}

export function isFile(path: string): boolean {
  const stat = sys.stat(path, true);
  return stat !== null && typeOf(stat) === "file";
}

/** The names in a directory, as they come. Throws where there is none. */
export function entries(path: string): string[] {
  return sys.readdir(path);
}

/** The names in a directory, sorted; empty where there is no such directory. */
export function names(path: string): string[] {
  try {
    return sys.readdir(path).sort();
  } catch (error) {
    if (isSysError(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  }
}

/** mkdir -p. The mode is for what it makes. */
export function makeDirectories(path: string, mode = 0o755): void {
  if (sys.stat(path, true) !== null) return;
  const parent = path.slice(0, path.lastIndexOf("/"));
  if (parent !== "") makeDirectories(parent, mode);
  try {
    sys.mkdir(path, mode);
  } catch (error) {
    if (!isSysError(error, "EEXIST")) throw error;
  }
}

/** rename(2): replaces the target. */
export function rename(from: string, to: string): void {
  sys.rename(from, to, 0);
}

export function makeDirectory(path: string, mode = 0o755): void {
  sys.mkdir(path, mode);
}

export function removeFile(path: string): void {
  sys.unlink(path);
}

export function removeDirectory(path: string): void {
  sys.rmdir(path);
}

/** What a symlink says, as it stands there; undefined where there is none. */
export function readLinkIfAny(path: string): string | undefined {
  return sys.readlink(path) ?? undefined;
}

/** The same of one that must be there. Throws SysError. */
export function readLink(path: string): string {
  const target = sys.readlink(path);
  if (target === null) throw new SysError("ENOENT", "readlink", path, "No such symlink");
  return target;
}

/** Whether two regular files, which are no symlinks, hold the same bytes. */
export function sameContent(a: string, b: string): boolean {
  using first = Fd.open(a, O.RDONLY | O.NOFOLLOW);
  using second = Fd.open(b, O.RDONLY | O.NOFOLLOW);
  return sys.equal(first.number, second.number);
}

/** Bytes as text, as UTF-8. */
export function decode(bytes: Uint8Array): string {
  return sys.decode(bytes.slice().buffer);
}

export function symlink(target: string, path: string): void {
  sys.symlink(target, path);
}

/** A random name for a new directory on a volume: time and letters, see mintId. */
export function newName(now: number = Date.now()): string {
  return mintId(now, new Uint8Array(sys.random(8)));
}

/** All bytes of a regular file. */
export function readWhole(path: string): Uint8Array {
  using fd = Fd.reading(path);
  return fd.read(fd.stat().size, 0);
}

/** Writes a new file, for its owner alone, or replaces the content of an old one. */
export function writeBytes(path: string, bytes: Uint8Array): void {
  using fd = Fd.open(path, O.WRONLY | O.CREAT | O.TRUNC, 0o600);
  fd.write(bytes.slice().buffer);
}

/** Bytes that a copy holds in memory. */
const CHUNK = 1 << 20;

/** Copies what follows `offset` of a file into another one, for its owner alone. */
export function copyFrom(from: string, offset: number, to: string): void {
  using target = Fd.open(to, O.WRONLY | O.CREAT | O.TRUNC, 0o600);
  for (let at = offset; ;) {
    const bytes = readBytes(from, at, CHUNK);
    if (bytes.length === 0) return;
    target.write(bytes.slice().buffer);
    at += bytes.length;
  }
}
