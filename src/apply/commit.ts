import { flush } from "../host/volume/btrfs.ts";
import { problemOf } from "../host/kernel/failure.ts";
import {
  exists,
  makeDirectories,
  names,
  newName,
  removeDirectory,
  removeFile,
  rename,
  symlink,
} from "../host/kernel/files.ts";
import { FirnError } from "../model/problem.ts";
import { parseLinkSetId, type GenerationId, type LinkSetId } from "../model/volume/ids.ts";
import { currentTarget, layout, slotTarget } from "../model/volume/layout.ts";

function newLinkSet(top: string): LinkSetId {
  for (;;) {
    const id = parseLinkSetId(newName());
    if (id !== undefined && !exists(`${top}/${layout.linkSet(id)}`)) return id;
  }
}

/**
 * Makes `slots` boot: a new link set, flushed together with all that it names, then one rename, flushed. The order is
 * that of docs/facts.md: rEFInd does not replay the log tree, so only a full flush counts, and the first must
 * be on disk before the rename. `before` runs ahead of the first flush. A failure before the rename leaves the old link set in
 * force; when the last flush fails, E_NOT_DURABLE says that either may boot.
 */
export function commit(top: string, slots: readonly GenerationId[], before: () => void = () => {}): LinkSetId {
  const id = newLinkSet(top);
  const folder = `${top}/${layout.linkSet(id)}`;
  const next = `${top}/${layout.nextCurrent}`;
  try {
    makeDirectories(`${top}/${layout.next}`);
    makeDirectories(folder);
    slots.forEach((generation, slot) => symlink(slotTarget(generation), `${folder}/${slot}`));
    if (exists(next)) removeFile(next);
    symlink(currentTarget(id), next);
    before();
    flush(top);
    rename(next, `${top}/${layout.current}`);
  } catch (error) {
    discard(top, id, next);
    throw error;
  }
  try {
    flush(top);
  } catch (error) {
    throw new FirnError(
      "E_NOT_DURABLE",
      `The switch was made, but the disk did not confirm it: ${error instanceof Error ? error.message : ""}. After a power cut the old or the new generation boots.`,
      "Look at the disk's health (dmesg, btrfs device stats).",
    );
  }
  return id;
}

/** Takes back what never came into force. On a filesystem that failed this fails too, and the failure itself is what counts. */
function discard(top: string, id: LinkSetId, next: string): void {
  try {
    if (exists(next)) removeFile(next);
    if (exists(`${top}/${layout.linkSet(id)}`)) deleteLinkSet(top, id);
  } catch (error) {
    if (problemOf(error).code === "E_INTERNAL") throw error;
  }
}

/** Deletes a link set that is not in force. */
export function deleteLinkSet(top: string, id: LinkSetId): void {
  const folder = `${top}/${layout.linkSet(id)}`;
  for (const name of names(folder)) removeFile(`${folder}/${name}`);
  removeDirectory(folder);
}
