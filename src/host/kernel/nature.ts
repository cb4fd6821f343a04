/** What a file is beside its name and content: owner, attributes, flags, times, links. */
import { Fd, copyTimes, own, typeOf, type FileStat } from "./files.ts";
import { FLAGS, sys } from "./sys.ts";

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

/** Gives a file or directory the flags of chattr(1) that another has, without those that freeze it. */
function copyFlags(from: string, to: string): void {
  // Verity is the kernel's to set.
  const flags = sys.fileFlags(from) & ~FLAGS.VERITY & ~FROZEN;
  if (flags !== 0) sys.setFileFlags(to, flags);
}

/** Freezes a regular file or directory as another is, once it is whole, times and hard links included. */
export function copyFrozen(from: string, to: string): void {
  const frozen = sys.fileFlags(from) & FROZEN;
  if (frozen !== 0) sys.setFileFlags(to, sys.fileFlags(to) | frozen);
}

export function isFrozen(path: string): boolean {
  return (sys.fileFlags(path) & FROZEN) !== 0;
}

/** Lets a regular file or directory be changed and deleted again, where chattr(1) froze it. */
export function thaw(path: string): void {
  if (isFrozen(path)) sys.setFileFlags(path, sys.fileFlags(path) & ~FROZEN);
}

/**
 * Gives `to` owner, mode, extended attributes, times and flags of `from`, whose own they are: symlinks' too. It does
 * not freeze it.
 */
export function copyNature(from: string, to: string, keeps: (attribute: string) => boolean = () => true): void {
  const stat = sys.stat(from, false);
  if (stat === null) return;
  const type = typeOf(stat);
  // The owner first: it takes set-user-id bits and capabilities away. Properties of btrfs after the flags of the same.
  own(to, stat, type === "symlink" ? undefined : stat.mode & 0o7777);
  if (type === "directory") copyFlags(from, to);
  for (const [name, value] of sys.attributes(from)) if (keeps(name)) sys.setAttribute(to, name, value);
  copyTimes(from, to);
}

/** A device node, a named pipe or a socket as another is. */
export function makeNode(path: string, { mode, rdev }: FileStat): void {
  sys.mknod(path, mode, rdev);
}

/** Another name of the same file. */
export function hardLink(path: string, beside: string): void {
  sys.link(path, beside);
}

/**
 * Makes a regular file with the content of another: blocks are shared where they can be, holes stay holes. The flags
 * come first, since copy-on-write is chosen for an empty file.
 */
export function cloneFile(from: string, to: string): void {
  using source = Fd.reading(from);
  using target = Fd.making(to, 0o600);
  copyFlags(from, to);
  sys.clone(source.number, target.number);
}
