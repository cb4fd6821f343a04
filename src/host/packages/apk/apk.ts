import { cacheFile, packageFile, type IndexStamp } from "../../../model/packages/index.ts";
import type { PackageChange } from "../../../model/packages/changes.ts";
import { parseChanges, parseStep } from "../../../model/packages/output.ts";
import type { ApkTrouble } from "../../../model/packages/trouble.ts";
import type { OnProgress, Simulation } from "../../../model/packages/wish.ts";
import { nearestFew } from "../../../model/text/nearest.ts";
import { FirnError } from "../../../model/problem.ts";
import { exists, isFile, rename } from "../../kernel/files.ts";
import { scratch } from "../../kernel/mounts.ts";
import {
  indexFolder,
  indexRecords,
  isNewRoot,
  packageNames,
  usedIndexes,
  verifyRepositories,
  type Offer,
} from "./repository.ts";
import { installedPackages } from "./installed.ts";
import { invoke, orThrowTrouble, outside, inRoot, troubleOf, type ApkTarget, type Invocation } from "./target.ts";
import { temporaryFolder } from "./temporary.ts";
import { verifyPackage } from "./verify.ts";

export interface ApkOptions {
  /** Called with each `(n/m) …` step. */
  onProgress?: OnProgress;
}

export interface ApkResult {
  /** stdout. */
  lines: readonly string[];
  /** stderr of a run that went well: warnings of apk and what scripts said. */
  notes: readonly string[];
  changes: readonly PackageChange[];
  /** Of when the indexes are that it took packages from. */
  indexes: readonly IndexStamp[];
}

/** Adds near names to the hint when a package is missing. */
function explained(target: ApkTarget, trouble: ApkTrouble): ApkTrouble {
  if (trouble.missing === undefined || trouble.missing.length === 0) return trouble;
  const known = packageNames(target);
  const near = trouble.missing.flatMap(({ name }) => {
    const names = nearestFew(name, known, 3);
    return names.length === 0 ? [] : [`${name}: perhaps ${names.join(", ")}?`];
  });
  return near.length === 0 ? trouble : { ...trouble, problem: { ...trouble.problem, hint: near.join(" ") } };
}

function check(target: ApkTarget, finished: Parameters<typeof troubleOf>[1]): void {
  const trouble = troubleOf(target, finished);
  if (trouble !== undefined) orThrowTrouble(target, explained(target, trouble));
}

/**
 * Runs apk on the target's root: `["add", "jq"]`, `["--initdb", "add", "alpine-base"]`, `["upgrade", "--available"]`.
 * What apk only warns of, or counts, is an error here; after one the root is to be thrown away. Throws E_MIRROR,
 * E_MIRROR_STALE, E_SIGNATURE, E_PACKAGE_MISSING (with near names), E_PACKAGE_CONFLICT, E_PACKAGE_SCRIPT, E_NO_SPACE,
 * E_LOCKED, E_VOLUME_READONLY, E_PROGRAM_FAILED.
 */
export function apk(target: ApkTarget, args: readonly string[], { onProgress }: ApkOptions = {}): ApkResult {
  const onLine = (line: string): void => {
    const step = line.startsWith("(") ? parseStep(line) : undefined;
    if (step !== undefined) onProgress?.(step.n, step.of, line.slice(line.indexOf(")") + 2));
  };
  const cacheDir = indexFolder(target);
  const finished = invoke(target, args, { onLine, cacheDir });
  check(target, finished);
  return {
    lines: finished.stdout.split("\n").filter(Boolean),
    notes: finished.stderr.split("\n").filter(Boolean),
    changes: parseChanges(finished.stdout),
    indexes: usedIndexes(target, cacheDir),
  };
}

interface Solved extends Simulation {
  /** What must be fetched. */
  fetches: readonly Offer[];
  /** What lies in folders. */
  local: readonly Offer[];
}

function solve(target: ApkTarget, args: readonly string[]): Solved {
  const read = verifyRepositories(target);
  const where: Invocation = { cacheDir: read.cacheDir, ...(isNewRoot(target) ? { root: read.root } : {}) };
  const finished = invoke(target, ["--simulate", ...args.filter((word) => word !== "--initdb")], where);
  check(target, finished);
  const changes = parseChanges(finished.stdout);
  const wanted = new Set(changes.map(({ name }) => name));
  const offers = indexRecords(target, wanted);
  const installed = new Map(
    (inRoot(target, installedPackages) ?? []).map((known) => [known.name, known.installedBytes]),
  );
  const caches = [read.cacheDir, target.cacheDir ?? read.cacheDir].map((folder) => outside(target, folder));
  let installedBytesDelta = 0;
  let writtenBytes = 0;
  const fetches: Offer[] = [];
  const local: Offer[] = [];
  for (const { name, from, to } of changes) {
    if (from !== undefined) installedBytesDelta -= installed.get(name) ?? 0;
    if (to === undefined) continue;
    const same = offers.filter((offer) => offer.name === name && offer.version === to);
    // apk takes a package from a folder rather than from the network.
    const offer = same.find(({ network }) => !network) ?? same[0];
    installedBytesDelta += offer?.installedBytes ?? 0;
    writtenBytes += offer?.installedBytes ?? 0;
    if (offer?.network === false) local.push(offer);
    if (offer?.network && !caches.some((folder) => exists(`${folder}/${cacheFile(offer)}`))) fetches.push(offer);
  }
  const downloadBytes = fetches.reduce((sum, { packageBytes }) => sum + packageBytes, 0);
  return { changes, installedBytesDelta, writtenBytes, downloadBytes, fetches, local };
}

/**
 * What `apk ARGS` would do, told by apk itself, with sizes from the signed indexes. Reads the repositories afresh;
 * works on a read-only root and on one that is still empty. Throws as `apk` does.
 */
export function simulate(target: ApkTarget, args: readonly string[]): Simulation {
  const { fetches: _, local: __, ...simulation } = solve(target, args);
  return simulation;
}

/**
 * Checks that the packages which `apk ARGS` would take from folders are there, and are those that the signed indexes
 * name: apk looks only when it comes to them. Throws E_MIRROR_STALE, E_SIGNATURE.
 */
export function checkLocalPackages(target: ApkTarget, args: readonly string[]): void {
  using temporary = temporaryFolder(scratch());
  for (const offer of solve(target, args).local) {
    const file = `${offer.folder}/${packageFile(offer)}`;
    if (!isFile(file)) {
      throw new FirnError(
        "E_MIRROR_STALE",
        `${file}: the repository's index names this package, but it is not there.`,
        "The mirror is being updated, or is incomplete. Try again later, or another mirror.",
      );
    }
    verifyPackage(file, offer, temporary.path);
  }
}

/**
 * Fetches what `apk ARGS` will need into the target's cache folder, each package checked against the signed index; apk
 * then installs from there. Gives the bytes that were fetched; without a cache folder nothing is done. `apk cache
 * download` is of no use for this: it fetches every installed package as well. Throws E_MIRROR, E_MIRROR_STALE,
 * E_SIGNATURE.
 */
export function predownload(target: ApkTarget, args: readonly string[]): number {
  const { cacheDir } = target;
  const read = verifyRepositories(target);
  if (cacheDir === undefined || read.cacheDir !== cacheDir) return 0;
  const { fetches } = solve(target, args);
  if (fetches.length === 0) return 0;
  using folder = temporaryFolder(outside(target, cacheDir));
  const inside = folder.path.slice((target.chroot ?? "").length);
  // apk fetches only the version that it would choose itself; a pinned or held-back one is left for apk to fetch as it
  // installs.
  check(target, invoke(target, ["fetch", "-o", inside, "--", ...fetches.map(({ name }) => name)], read));
  let bytes = 0;
  for (const offer of fetches) {
    const file = `${folder.path}/${packageFile(offer)}`;
    if (!isFile(file)) continue;
    verifyPackage(file, offer, folder.path);
    rename(file, outside(target, `${cacheDir}/${cacheFile(offer)}`));
    bytes += offer.packageBytes;
  }
  return bytes;
}
