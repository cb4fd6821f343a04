import type { GenerationId } from "./ids.ts";

/** Slots of a volume whose `current` is lost, so that nobody can say how many its boot menu has: the default. */
const DEFAULT_SLOTS = 4;

/** How many slots a commit fills: as many as there were. */
export function slotsToFill(found: number): number {
  return found > 0 ? found : DEFAULT_SLOTS;
}

/**
 * The slots after a commit or a rollback: the chosen generation, then the old order without it and without repeats.
 * Always `count` long, because the boot menu is static and every entry must resolve: where there are fewer generations
 * than slots, the last one fills the rest. `anchor` is never pushed out: it is what runs, or is known to, and takes the
 * last slot rather than none.
 */
export function rotate(
  slots: readonly GenerationId[],
  chosen: GenerationId,
  count: number,
  anchor?: GenerationId,
): GenerationId[] {
  const wanted = [...new Set([chosen, ...slots, ...(anchor === undefined ? [] : [anchor])])];
  const order = wanted.slice(0, count);
  if (anchor !== undefined && count > 1 && !order.includes(anchor)) order[count - 1] = anchor;
  const last = order.at(-1) ?? chosen;
  return Array.from({ length: count }, (_, slot) => order[slot] ?? last);
}
