import { exists, makeDirectories, newName, removeFile, rename, symlink } from "../../host/kernel/files.ts";
import { cleanUp, problemOf } from "../../host/kernel/failure.ts";
import { FirnError } from "../../model/problem.ts";
import { parseLinkSetId, type GenerationId, type LinkSetId } from "../../model/volume/ids.ts";
import { currentTarget, layout, slotTarget } from "../../model/volume/layout.ts";
import type { VolumeStore } from "./volume-store.ts";

function newLinkSet(top: string): LinkSetId {
  for (;;) {
    const id = parseLinkSetId(newName());
    if (id !== undefined && !exists(`${top}/${layout.linkSet(id)}`)) return id;
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
  const folder = `${top}/${layout.linkSet(id)}`;
  const next = `${top}/${layout.nextCurrent}`;
  try {
    makeDirectories(`${top}/${layout.next}`);
    makeDirectories(folder);
    slots.forEach((generation, slot) => symlink(slotTarget(generation), `${folder}/${slot}`));
    if (exists(next)) removeFile(next);
    symlink(currentTarget(id), next);
    store.flush();
    rename(next, `${top}/${layout.current}`);
  } catch (error) {
    cleanUp(() => {
      if (exists(next)) removeFile(next);
      if (exists(folder)) store.deleteLinkSet(id);
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
