import { predownload, simulate, type ApkTarget, type Simulation } from "../../host/packages/apk/apk.ts";
import { initramfsBytes } from "../../host/boot/read-boot-files.ts";
import { enterRoot } from "../../host/kernel/chroot.ts";
import { generationRoot } from "../../host/volume/roots.ts";
import { switchRelease } from "../../model/packages/conf.ts";
import { commonsOf } from "../../model/volume/fstab.ts";
import type { GenerationId } from "../../model/volume/ids.ts";
import { FirnError } from "../../model/problem.ts";
import type { VolumeState } from "../../model/volume/state.ts";
import { apkArguments, type Change } from "../../plan/change.ts";
import { insideApk, packageSources, repositoriesFile, type PackageSources, type PackageWish } from "../packages.ts";

/** What is known of a change before a draft is opened. Both are there for a change of packages only. */
export interface PreparedChange {
  wish: PackageWish;
  sources: PackageSources | undefined;
  simulation: Simulation | undefined;
  /** Bytes that it will write. */
  neededBytes: number;
  /** Bytes of them that come over the network. */
  fetchBytes: number;
  /** Puts what must come over the network into the shared cache. */
  fetch: () => void;
}

/** The release of another Alpine in the generation's own words, refused early when no repository names one. */
function repositoriesFor(root: string, release: string | undefined, wish: PackageWish): string {
  const text = repositoriesFile(root);
  if (release === undefined) return text;
  const { text: switched, switched: urls } = switchRelease(text, release);
  if (urls.length > 0 || wish.repositories.length > 0) return switched;
  throw new FirnError(
    "E_MIRROR",
    "No line of /etc/apk/repositories names a release, so there is none to switch.",
    "Name the new release's repositories: -X URL|DIR.",
  );
}

/** Packages, what is fetched of them, and the initramfs where the kernel or its maker changes. */
function bytesToWrite({ changes, writtenBytes, downloadBytes }: Simulation, root: string): number {
  const boot = changes.some(({ name }) => name === "mkinitfs" || name.startsWith("linux-"));
  return writtenBytes + downloadBytes + (boot ? initramfsBytes(root) : 0);
}

/** A change that needs no packages, or has nothing to start from. */
export function unprepared(wish: PackageWish): PreparedChange {
  return { wish, sources: undefined, simulation: undefined, neededBytes: 0, fetchBytes: 0, fetch: () => {} };
}

/**
 * Lets apk plan a change of packages in the base itself, which stays read-only: sizes, missing packages and bad mirrors
 * are known before a draft is opened. Throws as apk() does.
 */
export function prepareChange(
  top: string,
  state: VolumeState,
  change: Change,
  base: GenerationId,
  wish: PackageWish,
): PreparedChange {
  if (change.kind !== "apk") return unprepared(wish);
  const root = generationRoot(top, base);
  const sources = packageSources(root, repositoriesFor(root, change.release, wish), wish);
  const args = apkArguments(change);
  const inBase = <T>(use: (target: ApkTarget) => T): T => {
    const commons = commonsOf(state.template ?? "");
    using chroot = enterRoot({ top, root, commons, binds: sources.binds, readonly: true, hostResolver: true });
    return use(insideApk(chroot.path, sources));
  };
  const simulation = inBase((target) => simulate(target, args));
  return {
    wish,
    sources,
    simulation,
    neededBytes: bytesToWrite(simulation, root),
    fetchBytes: simulation.downloadBytes,
    fetch: () => inBase((target) => predownload(target, args)),
  };
}
