import { FirnError } from "../../model/problem.ts";
import { mintId } from "../../model/volume/ids.ts";
import { SysError, isSysError } from "./failure.ts";
import { typeOf } from "./stat.ts";
import { O, RENAME_NOREPLACE, sys, type FileStat } from "./sys.ts";

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
  attribute(name: string, value: ArrayBuffer): void {
    sys.setAttribute(this.number, name, value);
  }

  /** What was written through it, and through the node of a block device, is on the medium, or this throws. */
  flush(): void {
    sys.fsync(this.number);
  }

  [Symbol.dispose](): void {
    sys.close(this.number);
  }
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

/**
 * The text of a regular file of at most `max` bytes (a mebibyte at most), or undefined where there is none. Never
 * waits, and follows no symlink. Throws SysError for what cannot be read, is something else, or is larger.
 */
export function readSmallText(path: string, max: number): string | undefined {
  return sys.smallText(path, max) ?? undefined;
}

/** Writes a new file or replaces the content of an old one, in place. */
export function writeText(path: string, text: string, mode = 0o644): void {
  using fd = Fd.open(path, O.WRONLY | O.CREAT | O.TRUNC, mode);
  sys.write(fd.number, text);
}

/** As writeText; what was written is durable with the filesystem's next commit, whoever makes it. */
export function writeTextForCommit(path: string, text: string, mode = 0o644): void {
  using fd = Fd.open(path, O.WRONLY | O.CREAT | O.TRUNC, mode);
  fd.write(text);
  sys.pushOut(fd.number);
}

/**
 * Replaces a file so that a crash leaves the old or the new text, once the filesystem is flushed before and after by
 * the caller.
 */
export function replaceText(path: string, text: string, mode = 0o644): void {
  const beside = `${path}.new`;
  writeText(beside, text, mode);
  sys.rename(beside, path, 0);
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

/**
 * rm -rf, without following symlinks. Throws E_FILE at a directory of another filesystem or subvolume: that is not its
 * to empty.
 */
export function removeTree(path: string): void {
  const stat = sys.stat(path, false);
  if (stat !== null) removeWithin(path, stat, stat.dev);
}

function removeWithin(path: string, stat: FileStat, device: number): void {
  if (typeOf(stat) !== "directory") return sys.unlink(path);
  // Directories only: overlayfs gives files the device of the layer that they lie on.
  if (stat.dev !== device) throw new FirnError("E_FILE", `${path} is a filesystem or subvolume of its own.`);
  for (const name of sys.readdir(path)) {
    const inner = sys.stat(`${path}/${name}`, false);
    if (inner !== null) removeWithin(`${path}/${name}`, inner, device);
  }
  sys.rmdir(path);
}

/** Makes or replaces a symlink. */
export function link(target: string, path: string): void {
  if (exists(path)) sys.unlink(path);
  sys.symlink(target, path);
}

/**
 * Follows `path` inside `root` as a process chrooted there would, so that an absolute symlink in a generation
 * cannot lead out of it. Gives the path as seen from outside. Throws E_FILE on a loop.
 */
export function insideRoot(root: string, path: string): string {
  // The next name last.
  const rest = path.split("/").reverse();
  let at = "";
  let hops = 0;
  for (let part = rest.pop(); part !== undefined; part = rest.pop()) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      at = at.slice(0, Math.max(0, at.lastIndexOf("/")));
      continue;
    }
    const target = sys.readlink(`${root}${at}/${part}`);
    if (target === null) {
      at += `/${part}`;
      continue;
    }
    if (++hops > 40) throw new FirnError("E_FILE", `${path}: too many symlinks.`);
    if (target.startsWith("/")) at = "";
    rest.push(...target.split("/").reverse());
  }
  return `${root}${at === "" ? "/" : at}`;
}

/** rename(2): replaces the target. */
export function rename(from: string, to: string): void {
  sys.rename(from, to, 0);
}

/** Renames, and throws EEXIST rather than replace something. */
export function renameNew(from: string, to: string): void {
  sys.rename(from, to, RENAME_NOREPLACE);
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
