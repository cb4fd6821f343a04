import { isSysError, problemOf } from "../host/kernel/failure.ts";
import { isSubvolume, subvolumeInfo } from "../host/volume/btrfs.ts";
import { awaitDropped, awaitFreed } from "../host/volume/space.ts";
import { filesystemSpace } from "../host/kernel/files.ts";
import { FirnError } from "../model/problem.ts";
import { approximateSize } from "../model/text/size.ts";
import type { GenerationId } from "../model/volume/ids.ts";
import { ROOT, layout } from "../model/volume/layout.ts";
import type { GcStep } from "../plan/gc.ts";
import type { Report } from "../report/report.ts";
import type { Executors } from "./run-plan.ts";
import type { VolumeStore } from "./store/volume-store.ts";

export interface GcContext {
  readonly store: VolumeStore;
  readonly report: Report;
  /** What went while space was short, and the bytes that came back. */
  readonly freed: { id: GenerationId; bytes: number }[];
}

/** Deletes what nobody named: where something is in the way that firn may not touch, it stays, which stops nothing. */
function deleted(name: string, report: Report, work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (!(error instanceof FirnError) && !isSysError(error, "EPERM")) throw error;
    report.note(`${name} could not be deleted: ${error.message}`);
    return false;
  }
}

/** What can be deleted of a volume, for every plan that deletes something. */
export const gcExecutors: Executors<GcStep, GcContext> = {
  delete: ({ name, asked }, { store, report }, work) => {
    work.stands("default unchanged");
    if (asked) store.delete(name);
    else deleted(name, report, () => store.delete(name));
  },
  // The kernel gives space back in the background.
  "await-space": ({ bytes }, { store }) => void awaitFreed(store.top.path, bytes),
  "delete-while-short": ({ name, target }, { store, report, freed }, work) => {
    const before = filesystemSpace(store.top.path).free;
    if (before >= target) return;
    work.stands("default unchanged");
    const root = `${layout.generation(name)}/${ROOT}`;
    const id = isSubvolume(store.top, root) ? subvolumeInfo(store.root(name).path).id : 0;
    if (!deleted(name, report, () => store.delete(name))) return;
    const bytes = Math.max(0, awaitDropped(store.top.path, id) - before);
    freed.push({ id: name, bytes });
    report.note(`${name} gave back ${approximateSize(bytes)}.`);
  },
  // A draft is nobody's yet: without it everything is as it was.
  "delete-draft": ({ name }, { store, report }) => void deleted(name, report, () => store.deleteDraft(name)),
  "delete-link-sets": ({ ids }, { store, report }) => {
    const left = ids.filter((id) => !store.deleteLinkSet(id));
    if (left.length > 0) report.note(`No link sets, so they stay: ${left.map((name) => `links/${name}`).join(", ")}.`);
  },
  "hold-reserve": (_, { store, report }) => {
    try {
      store.holdReserve();
    } catch (error) {
      // It is for a bad day, and stops none.
      report.note(`No space is held in reserve: ${problemOf(error).message}`);
    }
  },
  flush: (_, { store }) => store.flush(),
};
