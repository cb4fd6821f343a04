import { entries, exists, lstat, makeDirectory, readLink, symlink, typeOf, type FileStat } from "../kernel/files.ts";
import { cloneFile, copyNature, hardLink, makeNode } from "../kernel/nature.ts";
import { checkInterrupt } from "../kernel/run.ts";

/** Where a file with several names was copied to, by device and inode. */
type Links = Map<string, string>;

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
  if (first !== undefined) return hardLink(first, target);
  if (type === "directory") {
    makeDirectory(target, 0o700);
    copyInside(source, target, links);
  } else if (type === "file") cloneFile(source, target);
  else if (type === "symlink") symlink(readLink(source), target);
  else makeNode(target, stat);
  // Last, and of a directory once it is full: what is made in one takes over ACLs and flags, and changes its time.
  copyNature(source, target);
  if (type !== "directory" && stat.nlink > 1) links.set(key, target);
}

/**
 * Fills a new commons from the folder that it will cover, with all that `rsync -aHAXS` keeps, and the flags of chattr:
 * what is lost here is covered by the commons, and missed later. A fresh subvolume is 0755 and root's, which breaks
 * /var/tmp (1777), /root (0700) and /var/log/chrony.
 */
export function seedCommons(from: string, to: string): void {
  if (!exists(from)) return;
  copyInside(from, to, new Map());
  copyNature(from, to);
}
