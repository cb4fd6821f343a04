import type { GcStep } from "../plan/gc.ts";
import type { Executors } from "./run-plan.ts";
import type { VolumeStore } from "./store/volume-store.ts";

/** What can be deleted of a volume, for every plan that deletes something. */
export const gcExecutors: Executors<GcStep, { readonly store: VolumeStore }> = {
  delete: ({ name }, { store }, work) => {
    work.stands("default unchanged");
    store.delete(name);
  },
  // A draft is nobody's yet: without it everything is as it was.
  "delete-draft": ({ name }, { store }) => store.delete(name),
  "delete-link-sets": ({ ids }, { store }) => {
    for (const id of ids) store.deleteLinkSet(id);
  },
  flush: (_, { store }) => store.flush(),
};
