import { changedPaths, subvolumeInfo } from "./btrfs.ts";
import { entries, readLink, sameContent } from "../kernel/files.ts";
import { lstat, typeOf, type FileStat } from "../kernel/stat.ts";

export type PathChange = { path: string; kind: "added" | "removed" | "changed" };

function sameKind(a: FileStat, b: FileStat): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && a.rdev === b.rdev;
}

/**
 * Whether two paths hold the same thing: type, owner, mode and content (a directory's content is compared by its
 * caller).
 */
function sameNode(a: string, b: string, x: FileStat, y: FileStat): boolean {
  if (!sameKind(x, y)) return false;
  const type = typeOf(x);
  if (type === "symlink") return readLink(a) === readLink(b);
  if (type !== "file") return true;
  if (x.size !== y.size) return false;
  return x.size === 0 || sameContent(a, b);
}

function subtree(root: string, path: string, kind: "added" | "removed"): PathChange[] {
  const stat = lstat(`${root}/${path}`);
  const own: PathChange[] = [{ path, kind }];
  if (stat === undefined || typeOf(stat) !== "directory") return own;
  return [...own, ...entries(`${root}/${path}`).flatMap((name) => subtree(root, `${path}/${name}`, kind))];
}

/** What happened to the names in one directory that both roots have; its changed subdirectories are the caller's. */
function compareNames(before: string, after: string, path: string): PathChange[] {
  const prefix = path === "" ? "" : `${path}/`;
  const old = new Set(entries(`${before}/${path}`));
  const now = new Set(entries(`${after}/${path}`));
  return [
    ...[...old].filter((name) => !now.has(name)).flatMap((name) => subtree(before, prefix + name, "removed")),
    ...[...now].filter((name) => !old.has(name)).flatMap((name) => subtree(after, prefix + name, "added")),
  ];
}

function comparePath(before: string, after: string, path: string): PathChange[] {
  const x = lstat(`${before}/${path}`);
  const y = lstat(`${after}/${path}`);
  // One that is new or gone is found in its directory, which changed too.
  if (x === undefined || y === undefined) return [];
  const own: PathChange[] =
    path !== "" && !sameNode(`${before}/${path}`, `${after}/${path}`, x, y) ? [{ path, kind: "changed" }] : [];
  if (typeOf(x) !== "directory" || typeOf(y) !== "directory") return own;
  // Another directory under the old name: what is in it need not have changed since it was elsewhere.
  return [...own, ...(x.ino === y.ino ? compareNames(before, after, path) : compareTrees(before, after, path))];
}

function sorted(changes: PathChange[]): PathChange[] {
  const seen = new Map(changes.map((change) => [change.path, change]));
  return [...seen.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** How a snapshot differs from what it is a snapshot of. The cost follows the change, not the size of the roots. */
function compareSnapshot(before: string, after: string): PathChange[] {
  const { created } = subvolumeInfo(after);
  return changedPaths(after, created).flatMap((path) => comparePath(before, after, path));
}

function compareTrees(before: string, after: string, path: string): PathChange[] {
  const prefix = path === "" ? "" : `${path}/`;
  const inner = entries(`${after}/${path}`).flatMap((name): PathChange[] => {
    const inside = prefix + name;
    const x = lstat(`${before}/${inside}`);
    const y = lstat(`${after}/${inside}`);
    if (x === undefined || y === undefined) return [];
    // Snapshots share inode numbers and change times: equal in both means that neither side touched it.
    const untouched = x.ino === y.ino && x.ctime === y.ctime && x.size === y.size && sameKind(x, y);
    const own: PathChange[] =
      untouched || sameNode(`${before}/${inside}`, `${after}/${inside}`, x, y)
        ? []
        : [{ path: inside, kind: "changed" }];
    return typeOf(x) === "directory" && typeOf(y) === "directory"
      ? [...own, ...compareTrees(before, after, inside)]
      : own;
  });
  return [...compareNames(before, after, path), ...inner];
}

/** The files that differ between two roots, by path without a leading slash, sorted. */
export function comparePaths(before: string, after: string): PathChange[] {
  const direct = subvolumeInfo(after).parentUuid === subvolumeInfo(before).uuid;
  return sorted(direct ? compareSnapshot(before, after) : compareTrees(before, after, ""));
}

/** The files below a folder of two roots that differ, by path from the roots. */
export function compareFolder(before: string, after: string, folder: string): PathChange[] {
  return sorted(compareTrees(before, after, folder));
}
