/** The port to package managers. Outside host/packages nobody knows which one it is. */
import type { Chroot } from "../kernel/chroot.ts";
import type { Within } from "../kernel/within.ts";
import { isBookkeeping, isDatabase, unmerged } from "../../model/packages/bookkeeping.ts";
import type { InstalledPackage } from "../../model/packages/database.ts";
import type { IndexStamp } from "../../model/packages/index.ts";
import { refuseOlder, type PackageChange } from "../../model/packages/changes.ts";
import { FirnError, orThrow } from "../../model/problem.ts";
import { isExact, pinnedNames } from "../../model/packages/constraint.ts";
import { goesBack, isOffered } from "../../model/packages/release.ts";
import type {
  Changed,
  Forecast,
  OnProgress,
  PackageSources,
  PackageWish,
  Simulation,
  SourceWish,
} from "../../model/packages/wish.ts";
import { apk, predownload, simulate } from "./apk/apk.ts";
import { hostArchitecture } from "./apk/bootstrap.ts";
import { indexStamps } from "./apk/repository.ts";
import { alpineRelease, filesBetween, installedPackages, world } from "./apk/installed.ts";
import { insideApk, keepSources, packageSources } from "./apk/sources.ts";
import { ApkSupply, type SupplyWish } from "./apk/supply.ts";

export type { SupplyWish } from "./apk/supply.ts";

/** What new systems are made of: see ApkSupply. */
export interface Supply extends Disposable {
  indexes(): readonly IndexStamp[];
  has(name: string): boolean;
  simulate(packages: readonly string[]): Simulation;
  checkLocal(packages: readonly string[]): void;
  files(name: string): string[];
  unpack(name: string, into: string): void;
  fill(root: Within, packages: readonly string[], onProgress: OnProgress): Changed;
}

/**
 * A `root` is looked at from outside; in a `chroot`, which has the sources' binds, the root's own package manager runs.
 */
export interface PackageManager {
  /** Its name of this machine's architecture. Throws E_ARCH. */
  readonly architecture: () => string;
  readonly supply: (wish: SupplyWish) => Supply;

  /** What a change of packages of this root will be made from. Throws E_MIRROR, E_SIGNATURE, E_FILE. */
  readonly sources: (root: Within, from: SourceWish, wish?: PackageWish) => PackageSources;
  /** Reads what the sources offer, and tells of when that is. Works on a read-only root. */
  readonly indexes: (chroot: Chroot, sources: PackageSources) => readonly IndexStamp[];
  /** Works on a read-only root. Throws what `change` throws, before anything is changed. */
  readonly simulate: (chroot: Chroot, sources: PackageSources, wish: PackageWish) => Forecast;
  /** Puts what the change needs from the network into the cache, verified; gives its bytes. */
  readonly fetch: (chroot: Chroot, sources: PackageSources, wish: PackageWish) => number;
  /** Changes the packages; after a failure the root is to be thrown away. */
  readonly change: (chroot: Chroot, sources: PackageSources, wish: PackageWish, onProgress: OnProgress) => Changed;

  readonly installed: (root: Within) => InstalledPackage[];
  /**
   * Absolute paths of files in some packages that the second root lacks or has with another content, as the databases
   * say.
   */
  readonly changedFiles: (before: Within, after: Within, names: ReadonlySet<string>) => Set<string>;
  /** The distribution's release; undefined where the root does not say. */
  readonly release: (root: Within) => string | undefined;

  /** Whether what differs of a path (relative to its root) is no more than every run writes, changed or not. */
  readonly isBookkeeping: typeof isBookkeeping;
  /** Whether a path is part of the record of what is installed: without a change there, no package changed. */
  readonly isDatabase: (path: string) => boolean;
  /** Which of the paths of new files are configuration that a person must merge. */
  readonly conflicts: (paths: readonly string[]) => string[];
}

/** apk's words for a change. `upgrade` has no `--`: when apk replaces itself, it puts an option of its own last. */
function words({ verb, packages, release }: PackageWish, { files }: PackageSources): string[] {
  if (verb === "upgrade") return [verb, ...(release === undefined ? [] : ["--available"])];
  return [verb, "--", ...packages, ...files.map(({ path }) => path)];
}

const MOUNT_IT = "Mount what is missing, name repositories with -X, or correct /etc/apk/repositories with `firn edit`.";

const NAME_IT = "Check the release, or name its repositories: -X URL|DIR, whose address or index says that they are.";

function isOlder({ kind }: PackageChange): boolean {
  return kind === "downgraded";
}

/**
 * Which changes of a root, as it is now, make packages older without anybody having asked for it: by a version or tag,
 * a file, or an older release.
 */
function isUnasked(root: Within, { files }: PackageSources, wish: PackageWish): (change: PackageChange) => boolean {
  if (goesBack(alpineRelease(root), wish.release)) return () => false;
  const asked = pinnedNames([...world(root).filter(isExact), ...wish.packages]);
  const given = new Set(files.map(({ name }) => name));
  return (change) => isOlder(change) && !asked.has(change.name) && !given.has(change.name);
}

/** What apk would do, and which of it nobody asked for. */
function forecast(chroot: Chroot, sources: PackageSources, wish: PackageWish): Forecast {
  if (wish.verb !== "del" && sources.repositories.length + sources.files.length === 0 && sources.notes.length > 0)
    throw new FirnError("E_MIRROR", "Every repository is passed over, so there are no packages to be had.", MOUNT_IT);
  const target = insideApk(chroot.path, sources);
  if (wish.release !== undefined && !isOffered(wish.release, indexStamps(target)))
    throw new FirnError("E_MIRROR", `No repository is of release ${wish.release}.`, NAME_IT);
  const told = simulate(target, words(wish, sources));
  const bytes = sources.files.reduce((sum, { installedBytes }) => sum + installedBytes, 0);
  const simulation = {
    ...told,
    installedBytesDelta: told.installedBytesDelta + bytes,
    writtenBytes: told.writtenBytes + bytes,
  };
  const release = alpineRelease(chroot.root);
  const back = goesBack(release, wish.release) && simulation.changes.some(isOlder);
  return {
    ...simulation,
    unasked: simulation.changes.filter(isUnasked(chroot.root, sources, wish)),
    notes: back ? [`${wish.release} is older than ${release}: packages become older.`] : [],
  };
}

/** Changes, but not to what the forecast would have been refused for: a mirror may answer otherwise the second time. */
function change(chroot: Chroot, sources: PackageSources, wish: PackageWish, onProgress: OnProgress): Changed {
  const unasked = isUnasked(chroot.root, sources, wish);
  keepSources(chroot.root, sources, wish.release);
  const { notes, changes, indexes } = apk(insideApk(chroot.path, sources), words(wish, sources), { onProgress });
  const older = changes.filter(unasked);
  if (older.length > 0 && !sources.wish.allowOlder) orThrow(refuseOlder(older));
  return { notes, indexes };
}

export const packageManager: PackageManager = {
  architecture: hostArchitecture,
  supply: (wish) => ApkSupply.open(wish),
  sources: packageSources,
  indexes: (chroot, sources) => indexStamps(insideApk(chroot.path, sources)),
  simulate: forecast,
  fetch: (chroot, sources, wish) => predownload(insideApk(chroot.path, sources), words(wish, sources)),
  change,
  installed: installedPackages,
  changedFiles: filesBetween,
  release: alpineRelease,
  isBookkeeping,
  isDatabase,
  conflicts: unmerged,
};
