import { newName } from "../../host/kernel/files.ts";
import type { Within } from "../../host/kernel/within.ts";
import { cleanUp, problemOf } from "../../host/kernel/failure.ts";
import { FirnError } from "../../model/problem.ts";
import { parseLinkSetId, type GenerationId, type LinkSetId } from "../../model/volume/ids.ts";
import { currentTarget, layout, slotTarget } from "../../model/volume/layout.ts";
import type { VolumeStore } from "./volume-store.ts";

function newLinkSet(top: Within): LinkSetId {
  for (;;) {
    const id = parseLinkSetId(newName());
    if (id !== undefined && !top.exists(layout.linkSet(id))) return id;
  }
}

/**
 * The one place that makes something boot: a new link set, flushed together with all that it names, then one rename,
 * flushed. The boot loader does not replay btrfs's log tree, so only a full flush counts, and the first must be on disk
 * before the rename. `switched` runs right after the rename. What fails before it leaves the old link set in force;
 * when the last flush fails, E_NOT_DURABLE says that either may boot.
 */
export function commitSlots(store: VolumeStore, slots: readonly GenerationId[], switched: () => void): void {
  const { top } = store;
  const id = newLinkSet(top);
  const folder = layout.linkSet(id);
  const next = layout.nextCurrent;
  try {
    top.makeDirectories(layout.next);
    top.makeDirectories(folder);
    slots.forEach((generation, slot) => top.link(slotTarget(generation), `${folder}/${slot}`));
    top.link(currentTarget(id), next);
    store.flush();
    top.rename(next, layout.current);
  } catch (error) {
    cleanUp(() => {
      if (top.exists(next)) top.removeFile(next);
      if (top.exists(folder)) store.deleteLinkSet(id);
    });
    throw error;
  }
  switched();
  try {
    store.flush();
  } catch (error) {
    throw new FirnError(
      "E_NOT_DURABLE",
      `The disk did not confirm the last flush: ${problemOf(error).message}`,
      "On a volume in use: if the power fails now, the old or the new generation boots. Look at the disk's health (dmesg, btrfs device stats).",
    );
  }
}
