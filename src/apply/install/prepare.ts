import { bootLoader, type LoaderFiles } from "../../host/boot/loader.ts";
import { makeDirectories } from "../../host/kernel/files.ts";
import { scratch } from "../../host/kernel/mounts.ts";
import { requirePrograms } from "../../host/kernel/run.ts";
import { packageManager, type Supply } from "../../host/packages/package-manager.ts";
import { repositoryLines, type MachineConfig } from "../../model/machine/machine.ts";
import { judgeIndexes } from "../../model/packages/index.ts";
import { nearestFew } from "../../model/text/nearest.ts";
import { FirnError, isRefusal, orThrow } from "../../model/problem.ts";
import { packageSets, type PackageSets } from "../../plan/install.ts";

/** What an installation needs and what was checked, before anything is written. */
export interface Prepared extends Disposable {
  supply: Supply;
  repositories: readonly string[];
  sets: PackageSets;
  loader: LoaderFiles;
  installedBytes: number;
  /** The system gets firn as a package, not as a copy of this program. */
  packaged: boolean;
}

/** The programs that an installation runs on the host. */
const programs = ["sgdisk", "mkfs.fat", "mkfs.btrfs", "mcopy", "mmd", "tar", "gzip"];

function checkTimezone(supply: Supply, timezone: string): void {
  if (timezone === "UTC") return;
  const prefix = "usr/share/zoneinfo/";
  const zones = supply
    .files("tzdata")
    .flatMap((path) => (path.startsWith(prefix) && !path.endsWith("/") ? [path.slice(prefix.length)] : []));
  if (zones.includes(timezone)) return;
  const near = nearestFew(timezone, zones, 3);
  throw new FirnError(
    "E_TIMEZONE",
    `${timezone}: tzdata knows no such time zone.`,
    near.length === 0 ? "Write it like Europe/Berlin." : `Did you mean ${near.join(", ")}?`,
  );
}

function checkKeymap(supply: Supply, keymap: MachineConfig["identity"]["keymap"]): void {
  if (keymap === undefined) return;
  const maps = supply
    .files("kbd-bkeymaps")
    .flatMap((path) => /^usr\/share\/bkeymaps\/(.+)\/(.+)\.bmap\.gz$/.exec(path)?.slice(1).join(" ") ?? []);
  const wanted = `${keymap.layout} ${keymap.variant}`;
  if (maps.includes(wanted)) return;
  const near = nearestFew(wanted, maps, 3);
  throw new FirnError(
    "E_KEYMAP",
    `"${wanted}": kbd-bkeymaps has no such keymap.`,
    near.length === 0 ? "Layout and variant: 'us us'." : `Did you mean ${near.map((map) => `"${map}"`).join(", ")}?`,
  );
}

/** The boot loader that a person named, or of the host, or of the repositories. */
function obtainLoader(supply: Supply, { system: { refind: dir, arch } }: MachineConfig): LoaderFiles {
  const local = bootLoader.find({ arch, dir });
  if (!isRefusal(local) || dir !== undefined || !supply.has(bootLoader.package)) return orThrow(local);
  const unpacked = `${scratch()}/loader`;
  makeDirectories(unpacked, 0o700);
  supply.unpack(bootLoader.package, unpacked);
  return orThrow(bootLoader.find({ arch, unpacked }));
}

function everyPackage({ base, packages, kernel }: PackageSets): string[] {
  return [...base, ...packages, ...kernel];
}

/**
 * Looks at every package that lies in a folder, before a disk's old content is given up for them. An image can be
 * thrown away instead. Throws E_MIRROR_STALE, E_SIGNATURE.
 */
export function checkPackages({ supply, sets }: Prepared): void {
  supply.checkLocal(everyPackage(sets));
}

/**
 * Reads and verifies the repositories, and lets the package manager plan the whole installation, so that what can be
 * refused is refused while nothing is changed yet. A dry run leaves the host's caches as they are. Throws
 * E_PROGRAM_MISSING, E_ARCH, E_MIRROR, E_SIGNATURE, E_INDEX_RELEASE, E_PACKAGE_MISSING, E_TIMEZONE, E_KEYMAP,
 * E_BOOT_LOADER.
 */
export function prepareInstall(config: MachineConfig, dryRun: boolean): Prepared {
  const { system, identity } = config;
  requirePrograms(programs);
  const own = packageManager.architecture();
  if (system.arch !== own) {
    throw new FirnError(
      "E_ARCH",
      `This machine is ${own}; it cannot run the programs of ${system.arch}.`,
      `Run firn on a machine of that architecture.`,
    );
  }
  const repositories = repositoryLines(system);
  const supply = packageManager.supply({ repositories, keysDir: system.keysDir, arch: system.arch, dryRun });
  try {
    orThrow(judgeIndexes(supply.indexes(), {}, false));
    const sets = packageSets(config, (name) => supply.has(name));
    const { installedBytesDelta } = supply.simulate(everyPackage(sets));
    checkTimezone(supply, identity.timezone);
    checkKeymap(supply, identity.keymap);
    return {
      supply,
      repositories,
      sets,
      loader: obtainLoader(supply, config),
      installedBytes: installedBytesDelta,
      packaged: supply.has("firn"),
      [Symbol.dispose]: () => supply[Symbol.dispose](),
    };
  } catch (error) {
    supply[Symbol.dispose]();
    throw error;
  }
}
