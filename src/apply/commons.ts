import type { CommonsStep } from "../plan/commons.ts";
import type { Executors } from "./run-plan.ts";
import type { VolumeStore } from "./store/volume-store.ts";

export const commonsExecutors: Executors<CommonsStep, { readonly store: VolumeStore }> = {
  "delete-commons": ({ name }, { store }, work) => {
    work.stands("default unchanged");
    store.deleteCommons(name);
  },
  flush: (_, { store }) => store.flush(),
};
