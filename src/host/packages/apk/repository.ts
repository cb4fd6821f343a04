import { isLocalRepository, repositoryPlace } from "../../../model/packages/conf.ts";
import {
  packageFile,
  parseIndex,
  recordsNamed,
  type IndexRecord,
  type IndexStamp,
} from "../../../model/packages/index.ts";
import { FirnError } from "../../../model/problem.ts";
import { exists, isFile, makeDirectories, names, newName, removeFile } from "../../kernel/files.ts";
import { scratch } from "../../kernel/mounts.ts";
import { run } from "../../kernel/run.ts";
import { databaseText } from "./installed.ts";
import {
  architectureOf,
  cacheUsable,
  inRoot,
  invoke,
  orThrowTrouble,
  outside,
  scratchFolder,
  troubleOf,
  type ApkTarget,
} from "./target.ts";
import { readIndex, verifyPackage, type SignedIndex } from "./verify.ts";
import { given } from "../../../model/given.ts";

/**
 * An empty root whose apk has read every repository: apk 2.14 refreshes an index only for a root that it can write to.
 */
export interface ScratchRoot {
  /** As the target's apk sees it. */
  root: string;
  /** Where the indexes of network repositories lie, as the target's apk sees it. */
  cacheDir: string;
}

const scratchRoots = new Map<string, ScratchRoot>();

/** Where apk keeps the indexes that it reads: in the target's cache, or in memory. */
export function indexFolder(target: ApkTarget): string {
  const usable = cacheUsable(target) ? target.cacheDir : undefined;
  const folder = usable ?? `${scratchFolder(target)}/apk-cache`;
  makeDirectories(outside(target, folder));
  return folder;
}

function openScratchRoot(target: ApkTarget): ScratchRoot {
  const cacheDir = indexFolder(target);
  const root = `${scratchFolder(target)}/apk-${newName()}`;
  makeDirectories(outside(target, root), 0o700);
  const made = invoke({ ...target, repositories: [] }, ["--initdb", "add"], { root, cacheDir: null });
  orThrowTrouble(target, troubleOf(target, made));
  return { root, cacheDir };
}

function requireLocalIndexes(target: ApkTarget): void {
  const arch = architectureOf(target);
  for (const repository of target.repositories.filter(isLocalRepository)) {
    const place = repositoryPlace(repository);
    if (isFile(outside(target, `${place}/${arch}/APKINDEX.tar.gz`))) continue;
    const shown = target.shown?.[place] ?? place;
    throw new FirnError(
      "E_MIRROR",
      `${shown}: there is no index for ${arch} in this folder (${arch}/APKINDEX.tar.gz).`,
      "A repository is a folder that holds a folder for each architecture.",
    );
  }
}

/**
 * Reads every repository afresh and throws when one cannot be reached (E_MIRROR) or its signature does not verify
 * (E_SIGNATURE): apk itself warns and goes on without it. Works on a read-only root. Later calls for the same target
 * use what the first one read.
 */
export function verifyRepositories(target: ApkTarget): ScratchRoot {
  const key = JSON.stringify(target);
  const known = scratchRoots.get(key);
  if (known !== undefined && exists(outside(target, known.root))) return known;
  requireLocalIndexes(target);
  const fresh = openScratchRoot(target);
  orThrowTrouble(target, troubleOf(target, invoke(target, ["update"], fresh)));
  scratchRoots.set(key, fresh);
  return fresh;
}

/** An index record, and whether its package must be fetched. */
export interface Offer extends IndexRecord {
  network: boolean;
  /** Where its package lies, as seen from outside; for a network repository there is none. */
  folder?: string;
}

/**
 * A network repository's indexes in a cache folder. apk 2 names them by the SHA-1 of the repository (src/database.c:
 * apk_repo_format_cache_index), apk 3 by a digest of the index's own URL; after a change between the two both may be
 * there. With a name that is none of these, every index counts.
 */
function cachedIndexes(folder: string, place: string, arch: string): { file: string; named: boolean }[] {
  // An installed Alpine has no openssl program, but busybox has these.
  const name = (algorithm: "sha1" | "sha256", input: string): string =>
    `APKINDEX.${run([`${algorithm}sum`], { input }).stdout.slice(0, 8)}.tar.gz`;
  const url = `${place.replace(/\/+$/, "")}/${arch}/APKINDEX.tar.gz`;
  const own = new Set([name("sha1", place), name("sha1", url), name("sha256", url)]);
  const present = names(folder).filter((file) => /^APKINDEX\.[0-9a-f]+\.tar\.gz$/.test(file));
  const found = present.filter((file) => own.has(file));
  const named = found.length > 0;
  return (named ? found : present).map((file) => ({ file: `${folder}/${file}`, named }));
}

interface OpenIndex extends SignedIndex {
  /** How a person knows its repository. */
  place: string;
  /** It is known to be this repository's: its file is called so. */
  named: boolean;
  /** Where its packages lie, as seen from outside; for a network repository there is none. */
  folder?: string;
}

/** What was read once, by the digest of its file. */
const signedIndexes = new Map<string, SignedIndex>();

function signedIndex(file: string, place: string): SignedIndex {
  const digest = run(["sha256sum", file]).stdout.slice(0, 64);
  const known = signedIndexes.get(digest) ?? readIndex(file, place, scratch());
  signedIndexes.set(digest, known);
  return known;
}

/**
 * What the signed part of each of the target's indexes says. apk has verified them, but not what lies around that part.
 * The cache folder is shared with other releases, whose indexes are none of this target's.
 */
function readIndexes(target: ApkTarget, cacheDir: string): readonly OpenIndex[] {
  const arch = architectureOf(target);
  return [...new Set(target.repositories.map(repositoryPlace))].flatMap((place): OpenIndex[] => {
    const shown = target.shown?.[place] ?? place;
    const verified = (file: string, named: boolean): OpenIndex => ({
      ...signedIndex(file, shown),
      place: shown,
      named,
    });
    if (!isLocalRepository(place))
      return cachedIndexes(outside(target, cacheDir), place, arch).map(({ file, named }) => verified(file, named));
    const folder = outside(target, `${place}/${arch}`);
    return [{ ...verified(`${folder}/APKINDEX.tar.gz`, true), folder }];
  });
}

/** The same of what is read afresh, once for each target. */
function indexes(target: ApkTarget): readonly OpenIndex[] {
  const { root, cacheDir } = verifyRepositories(target);
  const known = openIndexes.get(root) ?? readIndexes(target, cacheDir);
  openIndexes.set(root, known);
  return known;
}

/** What was read once, by the scratch root for which it was: a name that comes once only. */
const openIndexes = new Map<string, readonly OpenIndex[]>();

function stampsOf(read: readonly OpenIndex[]): IndexStamp[] {
  const newest = new Map<string, IndexStamp>();
  for (const { place, written, description, named } of read)
    if (named && written >= (newest.get(place)?.written ?? 0)) newest.set(place, { place, written, description });
  return [...newest.values()];
}

/**
 * When each repository's index was written, and what it says that it is. Of two in the cache the newer one counts: the
 * other is what an apk that names them otherwise has left.
 */
export function indexStamps(target: ApkTarget): IndexStamp[] {
  return stampsOf(indexes(target));
}

/** The same of the indexes that a run of apk has used, and left in its index folder: not what was foretold from. */
export function usedIndexes(target: ApkTarget, folder: string): IndexStamp[] {
  return stampsOf(readIndexes(target, folder));
}

/** What the verified repositories say about some packages, or about all. */
export function indexRecords(target: ApkTarget, wanted?: ReadonlySet<string>): Offer[] {
  return indexes(target).flatMap(({ text, folder }) =>
    (wanted === undefined ? parseIndex(text) : recordsNamed(text, wanted)).map((record) => ({
      ...record,
      network: folder === undefined,
      ...given({ folder }),
    })),
  );
}

/**
 * The file names of the keys that signed the target's repositories: those that a system which uses them has to trust.
 */
export function signingKeys(target: ApkTarget): string[] {
  return [...new Set(indexes(target).map(({ key }) => key))].sort();
}

/** The names of all packages in the target's repositories. */
export function packageNames(target: ApkTarget): string[] {
  return [...new Set(indexRecords(target).map(({ name }) => name))];
}

/**
 * Downloads one package into a folder (as seen from outside; it must be below the target's chroot) and gives the path
 * of its verified files, a .tar.gz in that folder. apk itself does not check what `apk fetch` writes: firn compares it
 * with the signed index. Throws E_PACKAGE_MISSING, E_SIGNATURE, E_MIRROR, E_MIRROR_STALE.
 */
export function fetchPackage(target: ApkTarget, name: string, into: string): string {
  const opened = verifyRepositories(target);
  const inside = into.slice((target.chroot ?? "").length);
  const before = new Set(names(into));
  const finished = invoke(target, ["fetch", "-o", inside, "--", name], opened);
  orThrowTrouble(target, troubleOf(target, finished));
  const fetched = names(into).filter((file) => !before.has(file) && file.endsWith(".apk"));
  for (const record of indexRecords(target, new Set([name])))
    if (fetched.includes(packageFile(record))) {
      const file = `${into}/${packageFile(record)}`;
      const data = `${into}/${record.name}-${record.version}.tar.gz`;
      verifyPackage(file, record, into, data);
      removeFile(file);
      return data;
    }
  // apk reports a package that it could not fetch as an error of its own, but exits with 0 for some.
  const said = finished.stderr.trim().split("\n").at(-1) ?? "";
  throw new FirnError(
    "E_MIRROR_STALE",
    `${name}: the repositories name this package, but it could not be fetched${said && ` (${said})`}.`,
  );
}

/** The paths in what fetchPackage gave; folders end in a slash. */
export function packageFileList(data: string): string[] {
  return run(["tar", "-tzf", data])
    .stdout.split("\n")
    .filter((path) => path !== "" && !path.startsWith("."));
}

/** Unpacks what fetchPackage gave into a folder. No script runs. */
export function extractPackage(data: string, into: string): void {
  run(["tar", "-xzf", data, "-C", into]);
}

/** True for a root without an apk database. */
export function isNewRoot(target: ApkTarget): boolean {
  return inRoot(target, databaseText) === undefined;
}
