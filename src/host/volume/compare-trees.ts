import type { PathChange } from "../../model/volume/path-change.ts";
import { Fd, entries, readLink, sameContent, lstat, typeOf, type FileStat } from "../kernel/files.ts";
import { attributes, fileFlags } from "../kernel/nature.ts";
import { changedPaths, pathsOf, subvolumeInfo } from "./btrfs.ts";

interface Tree {
  root: string;
  /** The paths of an inode that has several, as one text. */
  links: Map<number, string>;
}

interface Trees {
  before: Tree;
  after: Tree;
  /** Directories in which names came, went, or stand for something else: their times follow from that. */
  rearranged: Set<string>;
}

function sameTime(x: FileStat, y: FileStat): boolean {
  return x.mtime === y.mtime && x.mtimeNanoseconds === y.mtimeNanoseconds;
}

/** Snapshots share inode numbers and change times: equal in both means that neither side wrote it. */
function isUntouched(x: FileStat, y: FileStat): boolean {
  return x.ino === y.ino && x.ctime === y.ctime && x.ctimeNanoseconds === y.ctimeNanoseconds && x.size === y.size;
}

function linksOf({ root, links }: Tree, inode: number): string {
  const known = links.get(inode);
  if (known !== undefined) return known;
  using fd = Fd.directory(root);
  const paths = pathsOf(fd, inode).join("\0");
  links.set(inode, paths);
  return paths;
}

function sameLinks({ before, after }: Trees, x: FileStat, y: FileStat): boolean {
  return x.nlink === y.nlink && (x.nlink === 1 || linksOf(before, x.ino) === linksOf(after, y.ino));
}

/** A directory's content is compared by its caller. */
function sameInside(a: string, b: string, x: FileStat, y: FileStat): boolean {
  const type = typeOf(x);
  if (type === "symlink") return readLink(a) === readLink(b);
  return type !== "file" || (x.size === y.size && (x.size === 0 || sameContent(a, b)));
}

function differingAttributes(a: string, b: string): string[] {
  const [old, now] = [attributes(a), attributes(b)];
  return [...new Set([...old.keys(), ...now.keys()])].filter((name) => old.get(name) !== now.get(name)).sort();
}

/** All in which what lies at a path differs: what the kernel keeps of a file, beside where and when it keeps it. */
function differences(trees: Trees, path: string, x: FileStat, y: FileStat): string[] {
  const [a, b] = [`${trees.before.root}/${path}`, `${trees.after.root}/${path}`];
  const type = typeOf(x);
  if (type !== typeOf(y)) return ["type"];
  const hasFlags = type === "file" || type === "directory";
  return [
    ...(x.mode === y.mode ? [] : ["mode"]),
    ...(x.uid === y.uid && x.gid === y.gid ? [] : ["owner"]),
    ...(x.rdev === y.rdev ? [] : ["device"]),
    ...(sameInside(a, b, x, y) ? [] : ["content"]),
    ...(sameLinks(trees, x, y) ? [] : ["links"]),
    ...differingAttributes(a, b),
    ...(!hasFlags || fileFlags(a) === fileFlags(b) ? [] : ["flags"]),
    ...(sameTime(x, y) ? [] : ["time"]),
  ];
}

const below = (path: string, name: string): string => (path === "" ? name : `${path}/${name}`);

function contents(root: string, path: string, kind: "added" | "removed"): PathChange[] {
  return entries(`${root}/${path}`).flatMap((name) => subtree(root, below(path, name), kind));
}

function subtree(root: string, path: string, kind: "added" | "removed"): PathChange[] {
  const stat = lstat(`${root}/${path}`);
  const own: PathChange[] = [{ path, kind, what: () => [] }];
  return stat !== undefined && typeOf(stat) === "directory" ? [...own, ...contents(root, path, kind)] : own;
}

/** What happened to the names in a directory that both roots have, and `deep` below those that both have. */
function compareNames(trees: Trees, path: string, deep: boolean): PathChange[] {
  const [before, after] = [trees.before.root, trees.after.root];
  const old = new Set(entries(`${before}/${path}`));
  const now = entries(`${after}/${path}`);
  const both = now.filter((name) => old.delete(name));
  const added = now.length - both.length;
  if (old.size > 0 || added > 0) trees.rearranged.add(path);
  const shared = new Set(both);
  return [
    ...[...old].flatMap((name) => subtree(before, below(path, name), "removed")),
    ...(added === 0 ? [] : now.filter((name) => !shared.has(name))).flatMap((name) =>
      subtree(after, below(path, name), "added"),
    ),
    ...(deep ? both.flatMap((name) => comparePath(trees, below(path, name), true)) : []),
  ];
}

/** How what lies at a path differs; `deep` in what lies below it too, as far as it was ever written. */
function comparePath(trees: Trees, path: string, deep: boolean): PathChange[] {
  const x = lstat(`${trees.before.root}/${path}`);
  const y = lstat(`${trees.after.root}/${path}`);
  // One that is new or gone is found in its directory, which was written too.
  if (x === undefined || y === undefined) return [];
  if (x.ino !== y.ino) trees.rearranged.add(path.slice(0, Math.max(0, path.lastIndexOf("/"))));
  const own: PathChange[] =
    deep && isUntouched(x, y) ? [] : [{ path, kind: "changed", what: () => differences(trees, path, x, y) }];
  const [was, is] = [typeOf(x) === "directory", typeOf(y) === "directory"];
  // Another directory under the old name: what is in it need not have been written since it was elsewhere.
  if (was && is) return [...own, ...compareNames(trees, path, deep || x.ino !== y.ino)];
  if (was) return [...own, ...contents(trees.before.root, path, "removed")];
  return is ? [...own, ...contents(trees.after.root, path, "added")] : own;
}

/**
 * How a snapshot differs from what it is a snapshot of, by what was written in it since. The cost follows the change,
 * not the size of the roots. Undefined when either is no such thing, or was written by hand after the snapshot.
 */
function compareSnapshot(trees: Trees): PathChange[] | undefined {
  const [base, snapshot] = [subvolumeInfo(trees.before.root), subvolumeInfo(trees.after.root)];
  if (snapshot.parentUuid !== base.uuid || base.changed > snapshot.created) return undefined;
  return changedPaths(trees.after.root, snapshot.created).flatMap((path) => comparePath(trees, path, false));
}

/** Each path once, sorted, without times of directories that follow from another change. */
function told(changes: readonly PathChange[], { rearranged }: Trees): PathChange[] {
  const seen = new Map<string, PathChange>();
  for (const { path, kind, what } of changes) {
    const own = rearranged.has(path) ? () => what().filter((one) => one !== "time") : what;
    if (own === what || own().length > 0) seen.set(path, { path, kind, what: own });
  }
  return [...seen.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Whether no more changed than two fstabs do that firn wrote: each names the generation that it mounts. */
export function isOwnFstab({ path, what }: PathChange): boolean {
  return path === "etc/fstab" && what().every((one) => one === "content" || one === "time");
}

function treesOf(before: string, after: string): Trees {
  return {
    before: { root: before, links: new Map() },
    after: { root: after, links: new Map() },
    rearranged: new Set(),
  };
}

/** How two roots differ, by path without a leading slash, sorted; the root itself is "". */
export function comparePaths(before: string, after: string): PathChange[] {
  const trees = treesOf(before, after);
  return told(compareSnapshot(trees) ?? comparePath(trees, "", true), trees);
}

/** How what lies in a folder of two roots differs, by path from the roots. */
export function compareFolder(before: string, after: string, folder: string): PathChange[] {
  const trees = treesOf(before, after);
  return told(comparePath(trees, folder, true), trees);
}
