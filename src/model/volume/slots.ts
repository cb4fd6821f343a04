/** The slots of the boot menu. Open to the other doors: machine.toml says how many. */
import type { GenerationId } from "./ids.ts";

/** Where nobody said how many. */
export const DEFAULT_SLOTS = 4;

/** How many slots a commit fills: as many as there were, or the default where `current` is lost and nobody can say. */
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
