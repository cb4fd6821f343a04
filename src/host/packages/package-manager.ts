/** The port to package managers. Outside host/packages nobody knows which one it is. */
import { isBookkeeping, isDatabase, unmerged } from "../../model/packages/bookkeeping.ts";
import type { InstalledPackage } from "../../model/packages/database.ts";
import type { OnProgress, PackageSources, PackageWish, Simulation, SourceWish } from "../../model/packages/wish.ts";
import { apk, predownload, simulate } from "./apk/apk.ts";
import { hostArchitecture } from "./apk/bootstrap.ts";
import { alpineRelease, filesBetween, installedPackages } from "./apk/installed.ts";
import { insideApk, keepSources, packageSources } from "./apk/sources.ts";
import { ApkSupply, type SupplyWish } from "./apk/supply.ts";

export type { SupplyWish } from "./apk/supply.ts";

/** What new systems are made of: see ApkSupply. */
export interface Supply extends Disposable {
  has(name: string): boolean;
  simulate(packages: readonly string[]): Simulation;
  checkLocal(packages: readonly string[]): void;
  files(name: string): string[];
  unpack(name: string, into: string): void;
  fill(root: string, packages: readonly string[], onProgress: OnProgress): readonly string[];
}

/**
 * A `root` is looked at from outside; in a `chroot`, which has the sources' binds, the root's own package manager runs.
 */
export interface PackageManager {
  /** Its name of this machine's architecture. Throws E_ARCH. */
  readonly architecture: () => string;
  readonly supply: (wish: SupplyWish) => Supply;

  /** What a change of packages of this root will be made from. Throws E_MIRROR, E_SIGNATURE. */
  readonly sources: (root: string, wish: SourceWish, release?: string) => PackageSources;
  /** Works on a read-only root. Throws what `change` throws, before anything is changed. */
  readonly simulate: (chroot: string, sources: PackageSources, wish: PackageWish) => Simulation;
  /** Puts what the change needs from the network into the cache, verified; gives its bytes. */
  readonly fetch: (chroot: string, sources: PackageSources, wish: PackageWish) => number;
  /** Changes the packages; after a failure the root is to be thrown away. Gives what scripts and warnings said. */
  readonly change: (
    chroot: string,
    sources: PackageSources,
    wish: PackageWish,
    onProgress: OnProgress,
  ) => readonly string[];

  readonly installed: (root: string) => InstalledPackage[];
  /**
   * Absolute paths of files in some packages that the second root lacks or has with another content, as the databases
   * say.
   */
  readonly changedFiles: (before: string, after: string, names: ReadonlySet<string>) => Set<string>;
  /** The distribution's release; undefined where the root does not say. */
  readonly release: (root: string) => string | undefined;

  /** Whether what differs of a path (relative to its root) is no more than every run writes, changed or not. */
  readonly isBookkeeping: (change: { path: string; what: () => readonly string[] }) => boolean;
  /** Whether a path is part of the record of what is installed: without a change there, no package changed. */
  readonly isDatabase: (path: string) => boolean;
  /** Which of the paths of new files are configuration that a person must merge. */
  readonly conflicts: (paths: readonly string[]) => string[];
}

/** apk's words for a change: `upgrade --available`, `add jq`. */
function words({ verb, packages, release }: PackageWish): string[] {
  return [verb, ...(release === undefined ? [] : ["--available"]), ...packages];
}

export const packageManager: PackageManager = {
  architecture: hostArchitecture,
  supply: (wish) => ApkSupply.open(wish),
  sources: packageSources,
  simulate: (chroot, sources, wish) => simulate(insideApk(chroot, sources), words(wish)),
  fetch: (chroot, sources, wish) => predownload(insideApk(chroot, sources), words(wish)),
  change: (chroot, sources, wish, onProgress) => {
    keepSources(chroot, sources, wish.release);
    return apk(insideApk(chroot, sources), words(wish), { onProgress }).notes;
  },
  installed: installedPackages,
  changedFiles: filesBetween,
  release: alpineRelease,
  isBookkeeping,
  isDatabase,
  conflicts: unmerged,
};
