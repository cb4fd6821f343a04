import { FirnError } from "../../model/problem.ts";
import { SysError, isSysError } from "./failure.ts";
import { Fd, readLink, typeOf, type FileStat } from "./files.ts";
import { O, RENAME_NOREPLACE, sys } from "./sys.ts";

/** Bytes of a text that is read whole, at most: apk's database of a thousand packages has a tenth of it. */
const LARGEST_TEXT = 64 << 20;

/** A chain of more symlinks than this is a loop to the kernel, too (MAXSYMLINKS). */
const HOPS = 40;

/**
 * A directory as the whole of what names can reach from it, which the kernel sees to (openat2(2)): a name is never
 * joined to the path of something else, nor looked up twice. In a volume's top level nothing is reached through a
 * symlink or a mount; in a root a symlink leads where it would lead a process chrooted there.
 */
export class Within implements Disposable {
  private readonly roots = new Map<string, Within>();

  private constructor(
    readonly directory: Fd,
    private readonly rule: number,
  ) {}

  private static strict(directory: Fd): Within {
    return new Within(directory, sys.RESOLVE.BENEATH | sys.RESOLVE.NO_SYMLINKS | sys.RESOLVE.NO_XDEV);
  }

  /** A volume's top level. */
  static volume(path: string): Within {
    return Within.strict(Fd.directory(path));
  }

  static root(path: string): Within {
    return new Within(Fd.directory(path), sys.RESOLVE.IN_ROOT);
  }

  /** The root at a name, open until this is let go. */
  root(name: string): Within {
    const known = this.roots.get(name);
    if (known !== undefined) return known;
    const root = new Within(this.open(name, O.RDONLY | O.DIRECTORY), sys.RESOLVE.IN_ROOT);
    this.roots.set(name, root);
    return root;
  }

  /** Closes the root at a name, which is about to go: the space of a deleted one that is open stays taken. */
  letGo(name: string): void {
    this.roots.get(name)?.[Symbol.dispose]();
    this.roots.delete(name);
  }

  /** A directory itself, no symlink to one, below which nothing is reached through any. */
  folder(name: string): Within {
    return Within.strict(this.open(name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW));
  }

  /** The directory for a call that takes a path and follows it, in this process alone. */
  get path(): string {
    return this.directory.folder;
  }

  private open(name: string, flags: number, mode = 0): Fd {
    return Fd.adopt(sys.openAt(this.directory.number, name, flags, mode, this.rule));
  }

  /** What lies at a name, for mount(2) and other calls that take a path; undefined where there is nothing. */
  point(name: string): Fd | undefined {
    try {
      return this.open(name, O.PATH);
    } catch (error) {
      if (isSysError(error, "ENOENT", "ENOTDIR")) return undefined;
      throw error;
    }
  }

  /**
   * Where a name leads, or would if it were there, as a path from outside: for programs, which cannot be handed a
   * descriptor. It holds for as long as nobody else changes what is below. Throws E_FILE on a loop.
   */
  locate(name: string, hops = 0): string {
    if (hops > HOPS) throw new FirnError("E_FILE", `${name}: too many symlinks.`);
    using found = this.point(name);
    if (found !== undefined) return readLink(found.path);
    const [holder, last] = split(name);
    if (last === "" || last === ".") return this.locate(holder, hops);
    // Of what is not there, the kernel knows no way up, which ends at the root.
    if (last === "..") return above(this.locate(holder, hops), this.locate("/"));
    const target = this.readLink(name);
    if (target === undefined) return `${this.locate(holder, hops)}/${last}`;
    return this.locate(target.startsWith("/") ? target : `${holder}/${target}`, hops + 1);
  }

  /** The same, as a path from inside: `/etc` for a link that leads there. */
  leads(name: string): string {
    return this.locate(name).slice(this.locate("/").length) || "/";
  }

  /** What is noted about what lies at a name, symlinks followed as far as they may be; undefined for nothing. */
  stat(name: string): FileStat | undefined {
    return sys.statAt(this.directory.number, name, true, this.rule) ?? undefined;
  }

  /** As stat, of a symlink itself. */
  lstat(name: string): FileStat | undefined {
    return sys.statAt(this.directory.number, name, false, this.rule) ?? undefined;
  }

  /** A symlink counts, wherever it leads; what lies outside is not there. */
  exists(name: string): boolean {
    return sys.existsAt(this.directory.number, name, this.rule);
  }

  isFile(name: string): boolean {
    const found = this.stat(name);
    return found !== undefined && typeOf(found) === "file";
  }

  isDirectory(name: string): boolean {
    const found = this.stat(name);
    return found !== undefined && typeOf(found) === "directory";
  }

  /**
   * The text of a regular file, or undefined where there is none. Never waits. Throws SysError for what cannot be read,
   * is something else, or is larger than `max` bytes.
   */
  text(name: string, max = LARGEST_TEXT): string | undefined {
    return sys.textAt(this.directory.number, name, max, this.rule) ?? undefined;
  }

  /** The names in a directory, sorted; empty where there is none. */
  names(name = "."): string[] {
    try {
      return sys.namesAt(this.directory.number, name, this.rule).sort();
    } catch (error) {
      if (isSysError(error, "ENOENT", "ENOTDIR")) return [];
      throw error;
    }
  }

  /** What a symlink says, as it stands there; undefined where there is none. */
  readLink(name: string): string | undefined {
    return sys.readlinkAt(this.directory.number, name, this.rule) ?? undefined;
  }

  /** A regular file, opened without ever waiting. Throws SysError for anything else. */
  private file(name: string, flags: number, mode = 0): Fd {
    // Before, since opening a device does something; after, since another may have its name by then.
    const found = this.stat(name);
    if (found === undefined || typeOf(found) === "file") {
      const fd = this.open(name, flags | O.NONBLOCK | O.NOCTTY, mode);
      if (typeOf(fd.stat()) === "file") return fd;
      fd[Symbol.dispose]();
    }
    throw new SysError("EINVAL", "open", name, "No regular file");
  }

  /** The regular file at a name, which leads there through no symlink. */
  ownFile(name: string): Fd {
    return Within.strict(this.directory).file(name.replace(/^\/+/, ""), O.RDONLY);
  }

  /** The regular file at a name, wherever that leads in here. */
  read(name: string): Fd {
    return this.file(name, O.RDONLY);
  }

  /** Writes a new file or replaces the content of an old one, in place. */
  write(name: string, text: string, mode = 0o644): void {
    this.makeDirectories(split(name)[0]);
    using fd = this.file(name, O.WRONLY | O.CREAT, mode);
    fd.truncate(0);
    fd.write(text);
  }

  /** A new file. What had its name goes first: nothing is written through a link or a pipe that was left there. */
  makeFile(name: string, mode = 0o644): Fd {
    this.clear(name);
    return this.open(name, O.WRONLY | O.CREAT | O.EXCL, mode);
  }

  private clear(name: string): void {
    if (this.exists(name)) this.removeFile(name);
  }

  /** Copies the content of a regular file into a new one, which has neither holes nor preallocation. */
  copy(source: Fd, name: string, mode: number): void {
    using target = this.makeFile(name, 0o600);
    sys.copy(source.number, target.number);
    sys.fchmod(target.number, mode);
  }

  /** Sets owner and mode of a file or directory. */
  own(name: string, { uid, gid }: { uid: number; gid: number }, mode: number): void {
    using fd = this.open(name, O.RDONLY | O.NONBLOCK | O.NOCTTY);
    sys.fchown(fd.number, uid, gid);
    sys.fchmod(fd.number, mode);
  }

  makeDirectory(name: string, mode = 0o755): void {
    sys.mkdirAt(this.directory.number, name, mode, this.rule);
  }

  /** mkdir -p. */
  makeDirectories(name: string): void {
    if (this.stat(name) !== undefined) return;
    const [holder] = split(name);
    const target = this.readLink(name);
    if (target !== undefined) return this.makeDirectories(target.startsWith("/") ? target : `${holder}/${target}`);
    this.makeDirectories(holder);
    try {
      this.makeDirectory(name);
    } catch (error) {
      if (!isSysError(error, "EEXIST")) throw error;
    }
  }

  /** Makes or replaces a symlink. */
  link(target: string, name: string): void {
    this.clear(name);
    sys.symlinkAt(this.directory.number, name, target, this.rule);
  }

  /** rename(2): replaces the target. */
  rename(from: string, to: string): void {
    sys.renameAt(this.directory.number, from, to, 0, this.rule);
  }

  /** Renames, and throws EEXIST rather than replace something. */
  renameNew(from: string, to: string): void {
    sys.renameAt(this.directory.number, from, to, RENAME_NOREPLACE, this.rule);
  }

  removeFile(name: string): void {
    sys.unlinkAt(this.directory.number, name, this.rule);
  }

  removeDirectory(name: string): void {
    sys.rmdirAt(this.directory.number, name, this.rule);
  }

  /**
   * rm -rf, without following symlinks. Throws E_FILE at a directory of another filesystem or subvolume than `device`:
   * that is not its to empty.
   */
  removeTree(name: string, device?: number): void {
    const found = this.lstat(name);
    if (found === undefined) return;
    if (typeOf(found) !== "directory") return this.removeFile(name);
    using folder = this.folder(name);
    const { dev } = folder.directory.stat();
    // Directories only: overlayfs gives files the device of the layer that they lie on.
    if (device !== undefined && dev !== device)
      throw new FirnError("E_FILE", `${name} is a filesystem or subvolume of its own.`);
    for (const inner of folder.names()) folder.removeTree(inner, dev);
    this.removeDirectory(name);
  }

  [Symbol.dispose](): void {
    for (const root of this.roots.values()) root[Symbol.dispose]();
    this.directory[Symbol.dispose]();
  }
}

/** The directory that a name is in, and its last part. */
export function split(name: string): [holder: string, last: string] {
  const at = name.lastIndexOf("/");
  return at < 0 ? [".", name] : [name.slice(0, at) || "/", name.slice(at + 1)];
}

/** The directory above a path, but not above `top`. */
function above(path: string, top: string): string {
  return path === top ? top : split(path)[0];
}

/** Within.removeTree, of a tree that has no volume or root around it. */
export function removeTree(path: string): void {
  const [holder, last] = split(path);
  using around = Within.volume(holder);
  around.removeTree(last);
}
