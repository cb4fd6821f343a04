import { activeRepositories, isLocalRepository, repositoryPlace, switchRelease } from "../../../model/packages/conf.ts";
import type { PackageSources, SourceWish } from "../../../model/packages/wish.ts";
import { FirnError } from "../../../model/problem.ts";
import { INSIDE } from "../../kernel/chroot.ts";
import { Fd, isDirectory, names } from "../../kernel/files.ts";
import { scratch } from "../../kernel/mounts.ts";
import type { Within } from "../../kernel/within.ts";
import { assembleKeys } from "./trusted-keys.ts";
import type { ApkTarget } from "./target.ts";

const REPOSITORIES = "/etc/apk/repositories";
const KEYS = "/etc/apk/keys";

function repositoriesText(root: Within): string {
  return root.text(REPOSITORIES) ?? "";
}

/** The repositories file for another release, refused early when nothing in it, and nobody else, names one. */
function textFor(root: Within, release: string | undefined, given: readonly string[]): string {
  const text = repositoriesText(root);
  if (release === undefined) return text;
  const { text: switched, switched: urls } = switchRelease(text, release);
  if (urls.length > 0 || given.length > 0) return switched;
  throw new FirnError(
    "E_MIRROR",
    "No line of /etc/apk/repositories names a release, so there is none to switch.",
    "Name the new release's repositories: -X URL|DIR.",
  );
}

/**
 * What the apk inside a root needs of the host: folders that serve as repositories, and keys, each to be bound below
 * /run/firn, so that nothing of them stays. Throws E_MIRROR for a folder that is not there, E_SIGNATURE for one without
 * keys.
 */
export function packageSources(root: Within, wish: SourceWish, release?: string): PackageSources {
  const binds: { from: string; to: string }[] = [];
  const shown: Record<string, string> = {};
  const all = [...activeRepositories(textFor(root, release, wish.repositories)), ...wish.repositories];
  const repositories = all.map((repository) => {
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
  assembleKeys({ into: keys, root, from: [KEYS], keysDir: wish.keysDir });
  const keysDir = `${INSIDE}/keys`;
  return { wish, repositories, shown, keysDir, binds: [...binds, { from: keys, to: keysDir }] };
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
  const text = repositoriesText(root);
  const switched = release === undefined ? text : switchRelease(text, release).text;
  if (!wish.save) {
    if (switched !== text) root.write(REPOSITORIES, switched);
    return;
  }
  const known = new Set(activeRepositories(switched));
  const added = wish.repositories.filter((repository) => !known.has(repository));
  const start = switched.replace(/\n*$/, "\n").replace(/^\n$/, "");
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
