import { initramfsBytes } from "../../host/boot/read-boot-files.ts";
import { enterRoot, type Chroot } from "../../host/kernel/chroot.ts";
import type { Within } from "../../host/kernel/within.ts";
import { packageManager } from "../../host/packages/package-manager.ts";
import { generationRoot, templateFor, templateIn } from "../../host/volume/roots.ts";
import {
  remakesBootFiles,
  type Forecast,
  type PackageSources,
  type Simulation,
  type SourceWish,
} from "../../model/packages/wish.ts";
import { judgeIndexes } from "../../model/packages/index.ts";
import { orThrow } from "../../model/problem.ts";
import { commonsOf } from "../../model/volume/fstab.ts";
import type { GenerationId } from "../../model/volume/ids.ts";
import { lastIndexes, type VolumeState } from "../../model/volume/state.ts";
import type { Change } from "../../plan/change.ts";

/**
 * What is known of a change before a draft is opened. Sources and simulation are there for a change of packages only.
 */
export interface PreparedChange {
  sources: PackageSources | undefined;
  simulation: Forecast | undefined;
  /** Bytes that it will write. */
  neededBytes: number;
  /** Bytes of them that come over the network. */
  fetchBytes: number;
  /** Puts what must come over the network into the shared cache. */
  fetch: () => void;
}

/** A change that needs no packages, or has nothing to start from. */
export const unprepared: PreparedChange = {
  sources: undefined,
  simulation: undefined,
  neededBytes: 0,
  fetchBytes: 0,
  fetch: () => {},
};

/** Packages, what is fetched of them, and the initramfs where the kernel or its maker changes. */
function bytesToWrite({ changes, writtenBytes, downloadBytes }: Simulation, root: Within): number {
  return writtenBytes + downloadBytes + (remakesBootFiles(changes) ? initramfsBytes(root) : 0);
}

export interface Preparation {
  /** The volume's top level. */
  readonly top: Within;
  readonly state: VolumeState;
  readonly change: Change;
  readonly base: GenerationId;
  readonly from: SourceWish;
  /** Called with what a person should know, whatever comes of it. */
  readonly note: (text: string) => void;
}

/**
 * Lets the package manager plan a change in the base itself, which stays read-only: sizes, missing packages and bad
 * mirrors are known before a draft is opened. Throws as its `simulate` does, E_INDEX_OLD and E_INDEX_RELEASE.
 */
export function prepareChange({ top, state, change, base, from, note }: Preparation): PreparedChange {
  if (change.kind !== "packages") return unprepared;
  const root = generationRoot(top, base);
  const inBase = <T>(binds: PackageSources["binds"], use: (chroot: Chroot) => T): T => {
    const commons = commonsOf(templateFor(templateIn(root), state.templateEdit) ?? "");
    using chroot = enterRoot({ top, root, commons, binds, readonly: true, hostResolver: true });
    return use(chroot);
  };
  // With its commons: what the root names may lie there.
  const sources = inBase([], (chroot) => packageManager.sources(chroot.root, from, change));
  for (const text of sources.notes) note(text);
  // Each time anew: a mirror may answer otherwise.
  const judged = <T>(use: (chroot: Chroot) => T): T =>
    inBase(sources.binds, (chroot) => {
      orThrow(judgeIndexes(packageManager.indexes(chroot, sources), lastIndexes(state), from.allowOlder));
      return use(chroot);
    });
  const simulation = judged((chroot) => packageManager.simulate(chroot, sources, change));
  for (const text of simulation.notes) note(text);
  return {
    sources,
    simulation,
    neededBytes: bytesToWrite(simulation, root),
    fetchBytes: simulation.downloadBytes,
    fetch: () => void judged((chroot) => packageManager.fetch(chroot, sources, change)),
  };
}
