import {
  entries,
  exists,
  lstat,
  makeDirectory,
  readLink,
  symlink,
  typeOf,
  type FileStat,
  type FileType,
} from "../kernel/files.ts";
import { cloneFile, copyFrozen, copyNature, hardLink, makeNode } from "../kernel/nature.ts";
import { checkInterrupt } from "../kernel/run.ts";

/** What was made of a file with several names, by device and inode. */
type Links = Map<string, { source: string; target: string; type: FileType }>;

function copyInside(from: string, to: string, links: Links): void {
  for (const name of entries(from)) {
    checkInterrupt();
    const source = `${from}/${name}`;
    const stat = lstat(source);
    if (stat !== undefined) copyOne(source, `${to}/${name}`, stat, links);
  }
}

function copyOne(source: string, target: string, stat: FileStat, links: Links): void {
  const type = typeOf(stat);
  const key = `${stat.dev}:${stat.ino}`;
  const first = links.get(key);
  if (first !== undefined) return hardLink(first.target, target);
  if (type === "directory") {
    makeDirectory(target, 0o700);
    copyInside(source, target, links);
  } else if (type === "file") cloneFile(source, target);
  else if (type === "symlink") symlink(readLink(source), target);
  else makeNode(target, stat);
  // Last, and of a directory once it is full: what is made in one takes over ACLs and flags, and changes its time.
  copyNature(source, target);
  if (type !== "directory" && stat.nlink > 1) links.set(key, { source, target, type });
  else freeze(source, target, type);
}

function freeze(source: string, target: string, type: FileType): void {
  if (type === "file" || type === "directory") copyFrozen(source, target);
}

/**
 * Fills a new commons from the folder that it will cover, with all that `rsync -aHAXS` keeps, and the flags of chattr:
 * what is lost here is covered by the commons, and missed later. A fresh subvolume is 0755 and root's, which breaks
 * /var/tmp (1777), /root (0700) and /var/log/chrony. Its own directory is never frozen: it could not be given its name.
 */
export function seedCommons(from: string, to: string): void {
  if (!exists(from)) return;
  const links: Links = new Map();
  copyInside(from, to, links);
  // What is frozen gets no further name.
  for (const { source, target, type } of links.values()) freeze(source, target, type);
  copyNature(from, to);
}
