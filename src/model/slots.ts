import type { GenerationId } from "./ids.ts";

/** Slots to set up when nothing else is said; rEFInd's menu shows them all. */
export const DEFAULT_SLOTS = 4;

/**
 * The slots after a commit or a rollback: the chosen generation, then the old order without it and without repeats. Always
 * `count` long, because the boot menu is static and every entry must resolve: where there are fewer generations than
 * slots, the last one fills the rest.
 */
export function rotate(slots: readonly GenerationId[], chosen: GenerationId, count: number): GenerationId[] {
  const order = [...new Set([chosen, ...slots])].slice(0, count);
  const last = order.at(-1) ?? chosen;
  return Array.from({ length: count }, (_, slot) => order[slot] ?? last);
}
