/** The narrow port under everything that touches the machine. The only file that knows the engine. */

import { SysError } from "./failure.ts";

/** Bytes as the native layer hands them over. */
export type Bytes = ArrayBuffer;

export interface FileStat {
  mode: number;
  ino: number;
  dev: number;
  rdev: number;
  nlink: number;
  uid: number;
  gid: number;
  /** Bytes. */
  size: number;
  /** 512-byte blocks. */
  blocks: number;
  /** Seconds since the epoch. */
  mtime: number;
  mtimeNanoseconds: number;
  /** Seconds since the epoch. */
  ctime: number;
  ctimeNanoseconds: number;
}

export interface SubvolumeInfo {
  id: number;
  /** The transaction of the last change inside. */
  changed: number;
  /** The transaction that made it. */
  created: number;
  /** Seconds since the epoch. */
  createdAt: number;
  uuid: string;
  /** The subvolume it is a snapshot of; all zeros when it is none. */
  parentUuid: string;
}

type OpenFlag =
  | "RDONLY"
  | "WRONLY"
  | "RDWR"
  | "CREAT"
  | "EXCL"
  | "TRUNC"
  | "DIRECTORY"
  | "NOFOLLOW"
  | "PATH"
  | "NOCTTY"
  | "NONBLOCK";

interface Native {
  args: string[];
  /** Flags of open(2), whose values differ between architectures. */
  readonly O: Readonly<Record<OpenFlag, number>>;
  /** What a name may lead through, of openat2(2). */
  readonly RESOLVE: Readonly<Record<"BENEATH" | "IN_ROOT" | "NO_SYMLINKS" | "NO_XDEV", number>>;
  /** What a failed call throws. Not there in Node, where only code that calls nothing runs. */
  setErrorMaker?(make: (code: string, call: string, path: string | null, reason: string) => Error): void;
  open(path: string, flags: number, mode: number): number;
  close(fd: number): void;
  read(fd: number, max: number, offset?: number): Bytes;
  write(fd: number, data: string | Bytes, offset?: number): void;
  copy(from: number, to: number): void;
  equal(a: number, b: number): boolean;
  stat(path: string, follow: boolean): FileStat | null;
  fstat(fd: number): FileStat;
  openAt(directory: number, path: string, flags: number, mode: number, resolve: number): number;
  statAt(directory: number, path: string, follow: boolean, resolve: number): FileStat | null;
  existsAt(directory: number, path: string, resolve: number): boolean;
  readlinkAt(directory: number, path: string, resolve: number): string | null;
  /** A regular file of at most `max` bytes; null where there is none. Never waits. */
  textAt(directory: number, path: string, max: number, resolve: number): string | null;
  namesAt(directory: number, path: string, resolve: number): string[];
  mkdirAt(directory: number, path: string, mode: number, resolve: number): void;
  unlinkAt(directory: number, path: string, resolve: number): void;
  rmdirAt(directory: number, path: string, resolve: number): void;
  symlinkAt(directory: number, path: string, target: string, resolve: number): void;
  renameAt(directory: number, from: string, to: string, flags: number, resolve: number): void;
  fchmod(fd: number, mode: number): void;
  fchown(fd: number, uid: number, gid: number): void;
  /** A symlink counts, wherever it leads. */
  exists(path: string): boolean;
  /** A whole file; null where there is none. */
  text(path: string): string | null;
  readdir(path: string): string[];
  /** Null where there is no symlink. */
  readlink(path: string): string | null;
  symlink(target: string, path: string): void;
  mkdir(path: string, mode: number): void;
  rmdir(path: string): void;
  unlink(path: string): void;
  rename(from: string, to: string, flags: number): void;
  chmod(path: string, mode: number): void;
  lchown(path: string, uid: number, gid: number): void;
  /** Last access and last change, of symlinks themselves. */
  copyTimes(from: string, to: string): void;
  /** Extended attributes, of symlinks themselves. */
  attributes(path: string): [name: string, value: string][];
  setAttribute(path: string, name: string, value: string): void;
  /** Those of chattr(1), of a regular file or a directory. */
  fileFlags(path: string): number;
  setFileFlags(path: string, flags: number): void;
  /** Gives an empty file the content of another: the same blocks where the filesystem can, the same holes. */
  clone(from: number, to: number): void;
  link(path: string, beside: string): void;
  truncate(fd: number, length: number): void;
  fsync(fd: number): void;
  syncfs(fd: number): void;
  pushOut(fd: number): void;
  flock(fd: number, operation: number): boolean;
  /** An open file description lock on all bytes, taken or asked for; false when somebody else holds one. */
  lockRange(fd: number, take: boolean): boolean;
  fsetxattr(fd: number, name: string, value: string): void;
  statfs(path: string): { type: number; blockSize: number; blocks: number; available: number };
  decode(bytes: Bytes): string;
  catchSignal(number: number): void;
  ignoreSignal(number: number): void;
  pendingSignal(): number;
  /** The signal that a process of firn's own namespace has sent to it as its init, once; 0 for none. */
  initSignal(): number;
  /** Writes to a stream; a caught signal ends it with EINTR where its reader stands still. */
  tell(fd: number, text: string): void;
  /** Whether firn is in the foreground of its terminal. */
  foreground(): boolean;
  takeTerminal(): void;
  ownGroup(): void;
  mknod(path: string, mode: number, device: number): void;
  spawn(
    argv: readonly string[],
    env: readonly string[],
    fds: readonly number[],
    chroot: string | null,
    cwd: string | null,
  ): number;
  fork(): number;
  /** `signal`: which one killed it, or 0. */
  wait(pid: number, block: boolean): [pid: number, status: number, signal: number] | null;
  pipe(): [read: number, write: number];
  poll(fds: readonly number[], milliseconds: number): number[];
  kill(pid: number, signal: number): void;
  exit(code: number): never;
  getpid(): number;
  geteuid(): number;
  isatty(fd: number): boolean;
  getenv(name: string): string | null;
  random(count: number): Bytes;
  uname(): { release: string; machine: string; hostname: string };
  unshare(flags: number): void;
  deathSignal(signal: number): void;
  mount(source: string, target: string, type: string, flags: number, data: string): void;
  umount(target: string, flags: number): void;
  subvolumeCreate(directory: number, name: string): void;
  subvolumeSnapshot(source: number, directory: number, name: string, readonly: boolean): void;
  subvolumeDelete(directory: number, name: string): void;
  subvolumeSetReadonly(fd: number, readonly: boolean): void;
  extents(
    fd: number,
    inode: number,
  ): [offset: number, type: number, compression: number, disk: number, length: number][];
  space(fd: number): [flags: number, total: number, used: number][];
  startCleaner(fd: number): void;
  subvolumeInfo(fd: number): SubvolumeInfo;
  changedInodes(fd: number, transaction: number): [inode: number, names: number][];
  inodePath(fd: number, inode: number): string;
  inodeNames(fd: number, inode: number): [directory: number, name: string][];
  nestedSubvolumes(fd: number, tree: number): [directory: number, name: string][];
  subvolumeThere(fd: number, id: number): boolean;
  fsid(fd: number): string;
  loopAttach(fd: number, offset: number, size: number, readonly: boolean): [fd: number, path: string];
  loopBacking(fd: number): [dev: number, ino: number, rdev: number];
  deviceSize(fd: number): number;
  sectorSize(fd: number): number;
  flushBuffers(fd: number): void;
}

/**
 * The system calls, one function each; a failed call throws a SysError. Paths are strings, times seconds, sizes bytes.
 */
export const sys: Native = (globalThis as unknown as { __firn: Native }).__firn;

sys.setErrorMaker?.((code, call, path, reason) => new SysError(code, call, path, reason));

/** open(2) flags. */
export const O = sys.O;

/** mount(2) flags, linux/mount.h. */
export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  REMOUNT: 32,
  NOATIME: 1024,
  BIND: 4096,
  REC: 16384,
  SLAVE: 1 << 19,
} as const;
export const MNT_DETACH = 2;

/** unshare(2) flags, linux/sched.h. */
export const CLONE_NEWNS = 0x00020000;
export const CLONE_NEWPID = 0x20000000;

/** flock(2) operations. */
export const LOCK_EX = 2;
export const LOCK_NB = 4;

export const SIGHUP = 1;
export const SIGINT = 2;
export const SIGQUIT = 3;
export const SIGKILL = 9;
export const SIGPIPE = 13;
export const SIGTERM = 15;
/** Of x86 and ARM. */
export const SIGUSR1 = 10;
export const SIGUSR2 = 12;

/** renameat2(2): fail instead of replacing. */
export const RENAME_NOREPLACE = 1;

/** Of chattr(1), linux/fs.h: FS_IMMUTABLE_FL … */
export const FLAGS = { IMMUTABLE: 0x10, APPEND: 0x20, NOT_COMPRESSED: 0x400, VERITY: 0x100000 } as const;

/** File type bits of st_mode. */
export const S = {
  IFMT: 0o170000,
  IFDIR: 0o040000,
  IFCHR: 0o020000,
  IFREG: 0o100000,
  IFLNK: 0o120000,
  IFBLK: 0o060000,
  IFSOCK: 0o140000,
} as const;
