import type { IndexStamp } from "../../../model/packages/index.ts";
import type { Changed, OnProgress, Simulation } from "../../../model/packages/wish.ts";
import { makeDirectories, names } from "../../kernel/files.ts";
import { scratch } from "../../kernel/mounts.ts";
import type { Within } from "../../kernel/within.ts";
import { apk, checkLocalPackages, simulate } from "./apk.ts";
import { hostApk, type ApkTool } from "./bootstrap.ts";
import { assembleKeys } from "./trusted-keys.ts";
import { extractPackage, fetchPackage, indexStamps, packageFileList, packageNames, signingKeys } from "./repository.ts";
import { initSources } from "./sources.ts";
import type { ApkTarget } from "./target.ts";

export interface SupplyWish {
  /** Normalised: URLs and absolute folders. */
  repositories: readonly string[];
  /** Keys to trust beside the host's own. */
  keysDir: string | undefined;
  arch: string;
  /** Look into the host's cache, and write nothing there. */
  dryRun: boolean;
}

/** On the host, for installations. Packages are checked against the signed indexes before they are kept there. */
const CACHE = "/var/cache/firn";

function initial(packages: readonly string[]): string[] {
  return ["--initdb", "add", "--", ...packages];
}

/** What a new root is filled from: verified repositories, and an apk, which is fetched where the host has none. */
export class ApkSupply implements Disposable {
  private readonly names: ReadonlySet<string>;

  private constructor(
    private readonly wish: SupplyWish,
    private readonly tool: ApkTool & Disposable,
    private readonly target: ApkTarget,
  ) {
    this.names = new Set(packageNames(target));
  }

  /** Reads and verifies every repository. Throws E_MIRROR, E_MIRROR_STALE, E_SIGNATURE, E_ARCH, E_PROGRAM_MISSING. */
  static open(wish: SupplyWish): ApkSupply {
    const { repositories, arch, dryRun } = wish;
    const keysDir = `${scratch()}/install-keys`;
    assembleKeys({ into: keysDir, keysDir: wish.keysDir });
    const tool = hostApk({ repositories, keysDir, cacheDir: CACHE, lookOnly: dryRun, tmp: scratch() });
    try {
      const root = `${scratch()}/empty`;
      return new ApkSupply(wish, tool, { tool, root, repositories, keysDir, arch, cacheDir: CACHE, lookOnly: dryRun });
    } catch (error) {
      tool[Symbol.dispose]();
      throw error;
    }
  }

  has(name: string): boolean {
    return this.names.has(name);
  }

  indexes(): readonly IndexStamp[] {
    return indexStamps(this.target);
  }

  /** What filling an empty root with these would do. Throws E_PACKAGE_MISSING, E_PACKAGE_CONFLICT. */
  simulate(packages: readonly string[]): Simulation {
    return simulate(this.target, initial(packages));
  }

  /**
   * Looks at those of the packages that lie in folders, each against its signed index. Throws E_MIRROR_STALE,
   * E_SIGNATURE.
   */
  checkLocal(packages: readonly string[]): void {
    checkLocalPackages(this.target, initial(packages));
  }

  private fetched(name: string): string {
    const folder = `${scratch()}/packages`;
    makeDirectories(folder, 0o700);
    return fetchPackage(this.target, name, folder);
  }

  /** The paths in a package; folders end in a slash. */
  files(name: string): string[] {
    return packageFileList(this.fetched(name));
  }

  /** Unpacks a package into a folder. No script runs. */
  unpack(name: string, into: string): void {
    extractPackage(this.fetched(name), into);
  }

  /**
   * Installs into an empty root, which from then on names these repositories and trusts the keys that a person gave and
   * those that signed them: what else the host trusts is no business of the new system.
   */
  fill(root: Within, packages: readonly string[], onProgress: OnProgress): Changed {
    const { notes, indexes } = apk({ ...this.target, root: root.locate("/") }, initial(packages), { onProgress });
    const { repositories, keysDir } = this.wish;
    const given = keysDir === undefined ? [] : names(keysDir);
    initSources(root, repositories, this.target.keysDir, new Set([...given, ...signingKeys(this.target)]));
    return { notes, indexes };
  }

  [Symbol.dispose](): void {
    this.tool[Symbol.dispose]();
  }
}
