import type { GenerationId } from "./ids.ts";
import { createdAt, lastKnownGood, type VolumeState } from "./state.ts";

/** What gc keeps beside what it must keep. */
export interface Retention {
  /** Generations to keep in all, counting those that must be kept. */
  keepCount: number;
  /** Milliseconds. Younger ones are kept; 0 keeps none for their age. */
  keepAge: number;
  /** Bytes. While less is free, age and count do not protect. */
  minimumFree: number;
}

export type KeepReason = "slot" | "booted" | "mounted" | "trial" | "pinned" | "last known good" | "count" | "age";

export interface Verdict {
  id: GenerationId;
  keep: KeepReason | undefined;
}

/** Why a generation must never be deleted, whoever asks; undefined when it may go. */
export function mustKeep(state: VolumeState, id: GenerationId): KeepReason | undefined {
  if (state.slots.includes(id)) return "slot";
  if (state.booted === id) return "booted";
  if (state.mounted.includes(id)) return "mounted";
  if (state.trial === id) return "trial";
  if (state.generations.find((generation) => generation.id === id)?.record.pinned) return "pinned";
  return lastKnownGood(state) === id ? "last known good" : undefined;
}

/** A verdict on every generation, oldest first. `now` in milliseconds since the epoch. */
export function retain(state: VolumeState, wish: Retention, now: number): Verdict[] {
  const forced = new Map(state.generations.map(({ id }) => [id, mustKeep(state, id)]));
  const short = state.space.free < wish.minimumFree;
  let room = wish.keepCount - [...forced.values()].filter((reason) => reason !== undefined).length;
  return state.generations
    .toReversed()
    .map((generation): Verdict => {
      const reason = forced.get(generation.id);
      if (reason !== undefined) return { id: generation.id, keep: reason };
      if (!generation.complete || short) return { id: generation.id, keep: undefined };
      if (room-- > 0) return { id: generation.id, keep: "count" };
      return { id: generation.id, keep: now - createdAt(generation) < wish.keepAge ? "age" : undefined };
    })
    .toReversed();
}
