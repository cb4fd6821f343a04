import type { MarkStep } from "../plan/mark.ts";
import type { Executors } from "./run-plan.ts";
import type { VolumeStore } from "./store/volume-store.ts";

export const markExecutors: Executors<MarkStep, { readonly store: VolumeStore }> = {
  "write-record": ({ id, record }, { store }, work) => {
    work.stands("default unchanged");
    store.writeRecord(id, record);
  },
};
