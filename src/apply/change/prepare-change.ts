import { initramfsBytes } from "../../host/boot/read-boot-files.ts";
import { enterRoot } from "../../host/kernel/chroot.ts";
import { packageManager } from "../../host/packages/package-manager.ts";
import { generationRoot, templateFor } from "../../host/volume/roots.ts";
import { remakesBootFiles, type PackageSources, type Simulation, type SourceWish } from "../../model/packages/wish.ts";
import { commonsOf } from "../../model/volume/fstab.ts";
import type { GenerationId } from "../../model/volume/ids.ts";
import type { VolumeState } from "../../model/volume/state.ts";
import type { Change } from "../../plan/change.ts";

/**
 * What is known of a change before a draft is opened. Sources and simulation are there for a change of packages only.
 */
export interface PreparedChange {
  sources: PackageSources | undefined;
  simulation: Simulation | undefined;
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
function bytesToWrite({ changes, writtenBytes, downloadBytes }: Simulation, root: string): number {
  return writtenBytes + downloadBytes + (remakesBootFiles(changes) ? initramfsBytes(root) : 0);
}

/**
 * Lets the package manager plan a change in the base itself, which stays read-only: sizes, missing packages and bad
 * mirrors are known before a draft is opened. Throws as its `simulate` does.
 */
export function prepareChange(
  top: string,
  state: VolumeState,
  change: Change,
  base: GenerationId,
  wish: SourceWish,
): PreparedChange {
  if (change.kind !== "packages") return unprepared;
  const root = generationRoot(top, base);
  const sources = packageManager.sources(root, wish, change.release);
  const inBase = <T>(use: (chroot: string) => T): T => {
    const commons = commonsOf(templateFor(root, state.templateEdit) ?? "");
    using chroot = enterRoot({ top, root, commons, binds: sources.binds, readonly: true, hostResolver: true });
    return use(chroot.path);
  };
  const simulation = inBase((chroot) => packageManager.simulate(chroot, sources, change));
  return {
    sources,
    simulation,
    neededBytes: bytesToWrite(simulation, root),
    fetchBytes: simulation.downloadBytes,
    fetch: () => void inBase((chroot) => packageManager.fetch(chroot, sources, change)),
  };
}
