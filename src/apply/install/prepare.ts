import {
  checkLocalPackages,
  extractPackage,
  fetchPackage,
  packageFileList,
  packageNames,
  simulate,
  type ApkTarget,
} from "../../host/packages/apk/apk.ts";
import { hostApk, hostArchitecture } from "../../host/packages/apk/bootstrap.ts";
import { assembleKeys } from "../../host/packages/apk/keys.ts";
import { makeDirectories } from "../../host/kernel/files.ts";
import { scratch } from "../../host/kernel/mounts.ts";
import { findRefind, hostRefindFolders, type RefindFiles } from "../../host/boot/refind.ts";
import { requirePrograms } from "../../host/kernel/run.ts";
import { repositoryLines, type MachineConfig } from "../../model/machine/machine.ts";
import { nearestFew } from "../../model/text/nearest.ts";
import { FirnError, isRefusal, orThrow } from "../../model/problem.ts";
import { packageSets, type PackageSets } from "../../plan/install.ts";

/** What an installation needs and what was checked, before anything is written. */
export interface Prepared extends Disposable {
  /** The host's or the fetched apk; `root` is to be set. */
  target: ApkTarget;
  repositories: readonly string[];
  sets: PackageSets;
  refind: RefindFiles;
  installedBytes: number;
  /** The system gets firn as a package, not as a copy of this program. */
  packaged: boolean;
}

const CACHE = "/var/cache/firn";

/** The programs that an installation runs on the host. */
const programs = ["sgdisk", "mkfs.fat", "mkfs.btrfs", "mcopy", "mmd", "tar", "gzip"];

/** The paths in a package, without fetching it twice. */
function listing(target: ApkTarget, name: string): string[] {
  return packageFileList(fetchPackage(target, name, packageFolder()));
}

function packageFolder(): string {
  const folder = `${scratch()}/packages`;
  makeDirectories(folder, 0o700);
  return folder;
}

function checkTimezone(target: ApkTarget, timezone: string): void {
  if (timezone === "UTC") return;
  const prefix = "usr/share/zoneinfo/";
  const zones = listing(target, "tzdata").flatMap((path) =>
    path.startsWith(prefix) && !path.endsWith("/") ? [path.slice(prefix.length)] : [],
  );
  if (zones.includes(timezone)) return;
  const near = nearestFew(timezone, zones, 3);
  throw new FirnError(
    "E_TIMEZONE",
    `${timezone}: tzdata knows no such time zone.`,
    near.length === 0 ? "Write it like Europe/Berlin." : `Did you mean ${near.join(", ")}?`,
  );
}

function checkKeymap(target: ApkTarget, keymap: MachineConfig["identity"]["keymap"]): void {
  if (keymap === undefined) return;
  const maps = listing(target, "kbd-bkeymaps").flatMap(
    (path) => /^usr\/share\/bkeymaps\/(.+)\/(.+)\.bmap\.gz$/.exec(path)?.slice(1).join(" ") ?? [],
  );
  const wanted = `${keymap.layout} ${keymap.variant}`;
  if (maps.includes(wanted)) return;
  const near = nearestFew(wanted, maps, 3);
  throw new FirnError(
    "E_KEYMAP",
    `"${wanted}": kbd-bkeymaps has no such keymap.`,
    near.length === 0 ? "Layout and variant: 'us us'." : `Did you mean ${near.map((map) => `"${map}"`).join(", ")}?`,
  );
}

/** rEFInd of --refind, of the host, or of the repositories. */
function obtainRefind(target: ApkTarget, config: MachineConfig, names: ReadonlySet<string>): RefindFiles {
  const { refind, arch } = config.system;
  const local = findRefind({ ...(refind === undefined ? {} : { dir: refind }), packageDirs: hostRefindFolders, arch });
  if (!isRefusal(local) || refind !== undefined || !names.has("refind")) return orThrow(local);
  const folder = `${scratch()}/refind`;
  makeDirectories(folder, 0o700);
  extractPackage(fetchPackage(target, "refind", packageFolder()), folder);
  return orThrow(findRefind({ packageDirs: [folder], arch }));
}

function installArguments({ base, packages, kernel }: PackageSets): string[] {
  return ["--initdb", "add", ...base, ...packages, ...kernel];
}

/**
 * Looks at every package that lies in a folder, before a disk's old content is given up for them. An image can be
 * thrown away instead. Throws E_MIRROR_STALE, E_SIGNATURE.
 */
export function checkPackages({ target, sets }: Prepared): void {
  checkLocalPackages(target, installArguments(sets));
}

/**
 * Gets apk, reads and verifies the repositories, and lets apk plan the whole installation, so that what can be refused
 * is refused while nothing is changed yet. Throws E_PROGRAM_MISSING, E_ARCH, E_MIRROR, E_SIGNATURE, E_PACKAGE_MISSING,
 * E_TIMEZONE, E_KEYMAP, E_BOOT_LOADER. What is fetched is kept in the host's cache, unless it is only looked at (`keep`
 * false).
 */
export function prepareInstall(config: MachineConfig, keep: boolean): Prepared {
  const { system, identity } = config;
  requirePrograms(programs);
  if (system.arch !== hostArchitecture()) {
    throw new FirnError(
      "E_ARCH",
      `This machine is ${hostArchitecture()}; it cannot run the programs of ${system.arch}.`,
      `Run firn on a machine of that architecture.`,
    );
  }
  const keysDir = `${scratch()}/install-keys`;
  assembleKeys({ into: keysDir, keysDir: system.keysDir });
  const repositories = repositoryLines(system);
  const cacheDir = keep ? CACHE : `${scratch()}/cache`;
  const tool = hostApk({ repositories, keysDir, cacheDir, tmp: scratch() });
  try {
    const target: ApkTarget = {
      tool,
      root: `${scratch()}/empty`,
      repositories,
      keysDir,
      arch: system.arch,
      cacheDir,
    };
    const names = new Set(packageNames(target));
    const sets = packageSets(config, (name) => names.has(name));
    const { installedBytesDelta } = simulate(target, installArguments(sets));
    checkTimezone(target, identity.timezone);
    checkKeymap(target, identity.keymap);
    return {
      target,
      repositories,
      sets,
      refind: obtainRefind(target, config, names),
      installedBytes: installedBytesDelta,
      packaged: names.has("firn"),
      [Symbol.dispose]: () => tool[Symbol.dispose](),
    };
  } catch (error) {
    tool[Symbol.dispose]();
    throw error;
  }
}
