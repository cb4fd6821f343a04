import { flush } from "../host/volume/btrfs.ts";
import { checkInterrupt } from "../host/kernel/run.ts";
import type { GenerationId, LinkSetId } from "../model/volume/ids.ts";
import { layout } from "../model/volume/layout.ts";
import { deleteLinkSet } from "./commit.ts";
import { deleteGeneration } from "./draft.ts";

export interface Garbage {
  generations: readonly GenerationId[];
  /** Directory names. */
  drafts: readonly string[];
  linkSets: readonly LinkSetId[];
}

/** Deletes generations, drafts and link sets; `each` is told before one of the first two goes. On disk when it returns. */
export function collect(top: string, garbage: Garbage, each: (name: string) => void = () => {}): void {
  for (const name of [...garbage.generations, ...garbage.drafts]) {
    checkInterrupt();
    each(name);
    deleteGeneration(`${top}/${layout.snapshots}/${name}`);
  }
  for (const id of garbage.linkSets) deleteLinkSet(top, id);
  flush(top);
}
