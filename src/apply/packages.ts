import { assembleKeys } from "../host/packages/apk/keys.ts";
import type { ApkTarget } from "../host/packages/apk/apk.ts";
import { INSIDE } from "../host/kernel/chroot.ts";
import {
  copyFile,
  insideRoot,
  isDirectory,
  makeDirectories,
  names,
  readTextIfAny,
  writeText,
} from "../host/kernel/files.ts";
import { scratch } from "../host/kernel/mounts.ts";
import { activeRepositories, isLocalRepository, repositoryPlace } from "../model/packages/conf.ts";
import { FirnError } from "../model/problem.ts";

export interface PackageWish {
  /** Beside those of the generation's own /etc/apk/repositories; absolute. */
  repositories: readonly string[];
  keysDir: string | undefined;
  /** Keep both in the generation. */
  save: boolean;
}

export interface PackageSources {
  /** As the generation's own apk sees them. */
  repositories: readonly string[];
  binds: readonly { from: string; to: string }[];
  /** How the user knows a folder, by what it is called inside. */
  shown: Readonly<Record<string, string>>;
}

const REPOSITORIES = "/etc/apk/repositories";
const KEYS = "/etc/apk/keys";

/** apk's settings in a generation, as text. */
export function repositoriesFile(root: string): string {
  return readTextIfAny(insideRoot(root, REPOSITORIES)) ?? "";
}

/**
 * What the apk inside a generation needs of the host: folders that serve as repositories, and keys, each bound below
 * /run/firn, so that nothing of them stays. `text` is the generation's repositories file. Throws E_MIRROR for a folder
 * that is not there.
 */
export function packageSources(root: string, text: string, wish: PackageWish): PackageSources {
  const binds: { from: string; to: string }[] = [];
  const shown: Record<string, string> = {};
  const repositories = [...activeRepositories(text), ...wish.repositories].map((repository) => {
    if (!isLocalRepository(repository)) return repository;
    const place = repositoryPlace(repository);
    if (!isDirectory(place)) {
      throw new FirnError(
        "E_MIRROR",
        `The repository ${place} is not there.`,
        "Mount it, or take it out of /etc/apk/repositories with `firn edit`.",
      );
    }
    const to = `${INSIDE}/repositories/${binds.length}`;
    binds.push({ from: place, to });
    shown[to] = place;
    return repository.replace(place, to);
  });
  const keys = `${scratch()}/keys`;
  assembleKeys({ into: keys, from: [insideRoot(root, KEYS)], keysDir: wish.keysDir });
  return { repositories, shown, binds: [...binds, { from: keys, to: `${INSIDE}/keys` }] };
}

/** The generation's own apk, in its chroot. */
export function insideApk(chroot: string, sources: PackageSources): ApkTarget {
  return {
    chroot,
    repositories: sources.repositories,
    shown: sources.shown,
    keysDir: `${INSIDE}/keys`,
    cacheDir: "/var/cache/apk",
  };
}

/** Keeps the repositories and keys of this run in the generation. */
export function savePackageSources(root: string, text: string, wish: PackageWish): void {
  const known = new Set(activeRepositories(text));
  const added = wish.repositories.filter((repository) => !known.has(repository));
  writeText(
    insideRoot(root, REPOSITORIES),
    text.replace(/\n*$/, "\n").replace(/^\n$/, "") + added.map((line) => `${line}\n`).join(""),
  );
  if (wish.keysDir === undefined) return;
  const folder = insideRoot(root, KEYS);
  makeDirectories(folder);
  for (const name of names(wish.keysDir))
    if (name.endsWith(".pub")) copyFile(`${wish.keysDir}/${name}`, `${folder}/${name}`, 0o644);
}
