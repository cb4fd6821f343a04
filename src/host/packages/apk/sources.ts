import { isLocalRepository, readRepositories, repositoryPlace, switchRelease } from "../../../model/packages/conf.ts";
import { compareVersions } from "../../../model/packages/version.ts";
import { quoted } from "../../../model/text/complaint.ts";
import type { PackageFile, PackageSources, SourceWish } from "../../../model/packages/wish.ts";
import { FirnError } from "../../../model/problem.ts";
import { INSIDE } from "../../kernel/chroot.ts";
import { Fd, copyFile, exists, isDirectory, isFile, makeDirectories, names } from "../../kernel/files.ts";
import { scratch } from "../../kernel/mounts.ts";
import { tryRun } from "../../kernel/run.ts";
import { Within } from "../../kernel/within.ts";
import { installedPackages } from "./installed.ts";
import { assembleKeys } from "./trusted-keys.ts";
import { hostArchitecture } from "./bootstrap.ts";
import type { ApkTarget } from "./target.ts";

const REPOSITORIES = "/etc/apk/repositories";
const MORE_REPOSITORIES = "/etc/apk/repositories.d";
const KEYS = "/etc/apk/keys";
/** Of packages, and read by apk 3 alone; a file in /etc hides one of the same name. */
const PACKAGED = { repositories: "/lib/apk/repositories.d", keys: "/lib/apk/keys" };

function hasApk3(root: Within): boolean {
  const version = installedPackages(root).find(({ name }) => name === "apk-tools")?.version;
  return version !== undefined && compareVersions(version, "3") >= 0;
}

interface RepositoryFile {
  readonly path: string;
  readonly text: string;
}

/** The files in which the root's own apk looks for repositories, in its order. */
function repositoryFiles(root: Within): RepositoryFile[] {
  const listed = (folder: string): string[] =>
    root.names(folder).flatMap((name) => (name.endsWith(".list") ? [`${folder}/${name}`] : []));
  const own = listed(MORE_REPOSITORIES);
  const packaged = hasApk3(root) ? listed(PACKAGED.repositories) : [];
  const hidden = new Set(own.map((path) => path.slice(MORE_REPOSITORIES.length)));
  const shown = packaged.filter((path) => !hidden.has(path.slice(PACKAGED.repositories.length)));
  return [REPOSITORIES, ...own, ...shown].flatMap((path) => {
    const text = root.text(path);
    return text === undefined ? [] : [{ path, text }];
  });
}

/** The files for another release, refused early when nothing in them, and nobody else, names one. */
function filesFor(root: Within, release: string | undefined, given: readonly string[]): RepositoryFile[] {
  const files = repositoryFiles(root);
  if (release === undefined) return files;
  const switched = files.map(({ path, text }) => ({ path, ...switchRelease(text, release) }));
  if (given.length > 0 || switched.some((file) => file.switched.length > 0)) return switched;
  throw new FirnError(
    "E_MIRROR",
    "No line of /etc/apk/repositories names a release, so there is none to switch.",
    "Name the new release's repositories: -X URL|DIR.",
  );
}

/** What apk is told of the repositories, and what else it must see for that. */
class Repositories {
  readonly repositories: string[] = [];
  readonly binds: { from: string; to: string }[] = [];
  readonly shown: Record<string, string> = {};
  readonly notes: string[] = [];

  /** `folders`: where the folders lie that the root names: in itself, or on the host. */
  constructor(
    private readonly arch: string,
    private readonly folders: Within,
    private readonly inRoot: boolean,
  ) {}

  /** Takes a repository as it is, a folder of the host to be bound below /run/firn. */
  take(repository: string): void {
    const place = repositoryPlace(repository);
    if (!isLocalRepository(repository)) return void this.repositories.push(repository);
    const to = `${INSIDE}/repositories/${this.binds.length}`;
    this.binds.push({ from: place, to });
    this.shown[to] = place;
    this.repositories.push(repository.replace(place, to));
  }

  /** Takes one that the root names. A medium that is not in the drive, say, is passed over with a note. */
  takeOwn(line: string, file: string): void {
    const repository = line.replace(/(^|\s)file:\/\//, "$1");
    if (!isLocalRepository(repository)) return this.take(repository);
    const place = repositoryPlace(repository);
    if (!this.folders.isFile(`${place}/${this.arch}/APKINDEX.tar.gz`)) {
      const where = this.inRoot ? "in the generation; a folder of this machine is named with -X" : "there";
      this.notes.push(`${place}, which ${file} names, is passed over: no index for ${this.arch} is ${where}.`);
    } else if (this.inRoot) this.repositories.push(repository);
    else this.take(repository);
  }
}

/** Copies packages of the host to where the programs inside will find them, so that they are the same all along. */
function takeFiles(files: readonly string[], into: string, inside: string): (PackageFile & { from: string })[] {
  makeDirectories(into);
  return files.map((from, at) => {
    if (!isFile(from)) {
      const why = exists(from) ? "this is no file" : "there is no such file";
      throw new FirnError("E_FILE", `${from}: ${why}.`, "A word that ends in .apk is a file here.");
    }
    // A number for a name: the name that it has may hold anything.
    copyFile(from, `${into}/${at}.apk`, 0o644);
    const info = tryRun(["tar", "-xzOf", `${into}/${at}.apk`, ".PKGINFO"]).stdout;
    const field = (key: string): string => new RegExp(`^${key} = (.*)$`, "m").exec(info)?.[1] ?? "";
    return { from, path: `${inside}/${at}.apk`, name: field("pkgname"), installedBytes: Number(field("size")) || 0 };
  });
}

/**
 * What the apk inside a root needs of the host: folders that serve as repositories, keys, and packages in files, each
 * to be bound below /run/firn, so that nothing of them stays. Throws E_MIRROR for a given folder that is not there,
 * E_SIGNATURE for one without keys, E_FILE.
 */
export function packageSources(
  root: Within,
  wish: SourceWish,
  { release, files = [] }: { release?: string; files?: readonly string[] } = {},
): PackageSources {
  const { own } = wish;
  using host = Within.root("/");
  const inRoot = wish.foldersOf === "root";
  const folders = inRoot ? root : host;
  const sources = new Repositories(root.text("/etc/apk/arch")?.trim() ?? hostArchitecture(), folders, inRoot);
  for (const { path, text } of filesFor(root, release, wish.repositories)) {
    const { active, unread } = readRepositories(text);
    for (const line of active) sources.takeOwn(line, path);
    for (const line of unread)
      sources.notes.push(`${path}: ${quoted(line)} is passed over: firn does not read such a line.`);
  }
  for (const line of own.repositories) sources.takeOwn(line, "firn.toml");
  for (const repository of wish.repositories) {
    const place = repositoryPlace(repository);
    if (isLocalRepository(repository) && !isDirectory(place))
      throw new FirnError("E_MIRROR", `The repository ${place} is not there.`, "Mount it, or name another folder.");
    sources.take(repository);
  }
  const keys = `${scratch()}/keys`;
  const from = [...(hasApk3(root) ? [PACKAGED.keys] : []), KEYS];
  const keysRoot = wish.keysDir === undefined ? folders : host;
  assembleKeys({ into: keys, root, from, keysDir: wish.keysDir ?? own.keysDir, keysRoot });
  const keysDir = `${INSIDE}/keys`;
  const packages = { from: `${scratch()}/files`, to: `${INSIDE}/files` };
  const taken = takeFiles(files, packages.from, packages.to);
  return {
    wish,
    repositories: sources.repositories,
    files: taken,
    notes: sources.notes,
    shown: { ...sources.shown, ...Object.fromEntries(taken.map(({ path, from: file }) => [path, file])) },
    keysDir,
    binds: [...sources.binds, { from: keys, to: keysDir }, ...(taken.length === 0 ? [] : [packages])],
  };
}

/** The root's own apk, in its chroot. */
export function insideApk(chroot: string, sources: PackageSources): ApkTarget {
  const { repositories, shown, keysDir, wish } = sources;
  return { chroot, repositories, shown, keysDir, cacheDir: "/var/cache/apk", lookOnly: wish.dryRun };
}

/**
 * Writes down what the root is to know from this change on: the repositories of another release, and with --save those
 * given.
 */
export function keepSources(root: Within, { wish }: PackageSources, release?: string): void {
  if (release !== undefined)
    for (const { path, text } of repositoryFiles(root)) {
      const switched = switchRelease(text, release).text;
      if (switched !== text) root.write(path, switched);
    }
  if (!wish.save) return;
  const known = new Set(repositoryFiles(root).flatMap(({ text }) => readRepositories(text).active));
  const added = wish.repositories.filter((repository) => !known.has(repository));
  const text = root.text(REPOSITORIES) ?? "";
  const start = text.replace(/\n*$/, "\n").replace(/^\n$/, "");
  root.write(REPOSITORIES, start + added.map((line) => `${line}\n`).join(""));
  if (wish.keysDir !== undefined) copyKeys(root, wish.keysDir, () => true);
}

function copyKeys(root: Within, from: string, wanted: (name: string) => boolean): void {
  root.makeDirectories(KEYS);
  for (const name of names(from).filter((one) => one.endsWith(".pub") && wanted(one))) {
    using key = Fd.reading(`${from}/${name}`);
    root.copy(key, `${KEYS}/${name}`, 0o644);
  }
}

/**
 * Gives a new root its repositories, and of the keys in a folder those that it is to trust beside what its packages
 * brought.
 */
export function initSources(
  root: Within,
  repositories: readonly string[],
  keys: string,
  trusted: ReadonlySet<string>,
): void {
  root.write(REPOSITORIES, repositories.map((line) => `${line}\n`).join(""));
  const own = new Set(root.names(KEYS));
  copyKeys(root, keys, (name) => trusted.has(name) && !own.has(name));
}
