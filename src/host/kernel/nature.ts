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

/**
 * Gives a file or directory the flags of chattr(1) that another has; those that freeze it only at last. Verity is the
 * kernel's to set.
 */
function copyFlags(from: string, to: string, last: boolean): void {
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

/**
 * Makes a regular file with the content of another: blocks are shared where they can be, holes stay holes. The flags
 * come first, since copy-on-write is chosen for an empty file.
 */
export function cloneFile(from: string, to: string): void {
  using source = Fd.reading(from);
  using target = Fd.making(to, 0o600);
  copyFlags(from, to, false);
  sys.clone(source.number, target.number);
}
