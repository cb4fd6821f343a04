import type { GcStep } from "../plan/gc.ts";
import type { Report } from "../report/report.ts";
import type { Executors } from "./run-plan.ts";
import type { VolumeStore } from "./store/volume-store.ts";

/** What can be deleted of a volume, for every plan that deletes something. */
export const gcExecutors: Executors<GcStep, { readonly store: VolumeStore; readonly report: Report }> = {
  delete: ({ name }, { store }, work) => {
    work.stands("default unchanged");
    store.delete(name);
  },
  // A draft is nobody's yet: without it everything is as it was.
  "delete-draft": ({ name }, { store }) => store.delete(name),
  "delete-link-sets": ({ ids }, { store, report }) => {
    const left = ids.filter((id) => !store.deleteLinkSet(id));
    if (left.length > 0) report.note(`No link sets, so they stay: ${left.map((name) => `links/${name}`).join(", ")}.`);
  },
  "hold-reserve": (_, { store }) => store.holdReserve(),
  flush: (_, { store }) => store.flush(),
};
