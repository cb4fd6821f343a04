/** What gc keeps. Open to the other doors: firn.toml sets it. */
import { isMinted, type GenerationId } from "./ids.ts";
import { layout } from "./layout.ts";
import { createdAt, lastKnownGood, type DeleterState } from "./state.ts";

/** What gc keeps beside what it must keep. */
export interface Retention {
  /** Generations to keep in all, counting those that must be kept. */
  keepCount: number;
  /** Milliseconds. Younger ones are kept; 0 keeps none for their age. */
  keepAge: number;
  /** Bytes. While less is free, those that only count or age keeps go too, the oldest first. */
  minimumFree: number;
}

/**
 * `unreadable`: its record may say that it is pinned. `unknown`: a link that could not be read may name it. `foreign`:
 * a folder without a root under a name that firn does not give.
 */
export type MustKeep =
  | "unreadable"
  | "slot"
  | "booted"
  | "mounted"
  | "trial"
  | "pinned"
  | "last known good"
  | "foreign"
  | "unknown";
export type KeepReason = MustKeep | "count" | "age";

export interface Verdict {
  id: GenerationId;
  keep: KeepReason | undefined;
}

/** The generations that must never be deleted, whoever asks, and why: the strongest reason of each. */
export function mustKeep(state: DeleterState): ReadonlyMap<GenerationId, MustKeep> {
  const reasons = new Map<GenerationId, MustKeep>();
  const keep = (id: GenerationId | undefined, reason: MustKeep): void => {
    if (id !== undefined && !reasons.has(id)) reasons.set(id, reason);
  };
  for (const id of state.slots) keep(id, "slot");
  keep(state.booted, "booted");
  for (const id of state.mounted) keep(id, "mounted");
  keep(state.trial, "trial");
  for (const { id, record } of state.generations) if (record.pinned) keep(id, "pinned");
  keep(lastKnownGood(state), "last known good");
  for (const { id, complete } of state.generations) if (!complete && !isMinted(id)) keep(id, "foreign");
  for (const { id, complete, fault } of state.generations) if (complete && fault !== undefined) keep(id, "unreadable");
  if (state.unread?.some(({ name }) => namesGenerations(name)))
    for (const { id } of state.generations) keep(id, "unknown");
  return reasons;
}

/** Whether something of the volume says what boots, or may boot. */
function namesGenerations(name: string): boolean {
  return name === layout.current || name === layout.trial || name.startsWith(layout.links);
}

/** A verdict on every generation, oldest first. `now` in milliseconds since the epoch. */
export function retain(state: DeleterState, wish: Retention, now: number): Verdict[] {
  const forced = mustKeep(state);
  let room = wish.keepCount - state.generations.filter(({ id, complete }) => complete && forced.has(id)).length;
  return state.generations
    .toReversed()
    .map((generation): Verdict => {
      const reason = forced.get(generation.id);
      if (reason !== undefined) return { id: generation.id, keep: reason };
      if (!generation.complete) return { id: generation.id, keep: undefined };
      if (room-- > 0) return { id: generation.id, keep: "count" };
      // One from the future, made while the clock was wrong or with others in one second, is as young as can be: of age
      // 0.
      const age = Math.max(0, now - createdAt(generation));
      return { id: generation.id, keep: age < wish.keepAge ? "age" : undefined };
    })
    .toReversed();
}
