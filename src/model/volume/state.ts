import type { IndexTimes } from "../packages/index.ts";
import type { GenerationRecord } from "./generation.ts";
import { timeOfId, type GenerationId, type LinkSetId } from "./ids.ts";
import { rotate, slotsToFill } from "./slots.ts";
import type { TemplateEdit } from "./template.ts";

export interface Generation {
  id: GenerationId;
  record: GenerationRecord;
  /** Its subvolume `@` is there. */
  complete: boolean;
  /** Why its record could not be read, when that is so: the record is then empty. */
  fault?: string;
}

/** A generation whose commit was cut short before it could boot, and the commons that was made with it. */
export interface Interrupted {
  id: GenerationId;
  commons?: string | undefined;
}

/** A volume as it was found: plain data, made by host/volume/inspect-volume.ts. */
export interface VolumeState {
  uuid: string;
  /** In force; undefined where `current` is missing or dangles. */
  linkSet: LinkSetId | undefined;
  /** What the slots of `current` name, in order; a slot that does not resolve is left out. */
  slots: readonly GenerationId[];
  /** How many slots the boot menu has. */
  slotCount: number;
  /** Numbers of the slots that are left out. */
  dangling?: readonly number[];
  /** Oldest first. */
  generations: readonly Generation[];
  drafts: readonly string[];
  /** Link sets other than the one in force. */
  oldLinkSets: readonly LinkSetId[];
  /** The generation that runs now, when the volume is the running system's. */
  booted: GenerationId | undefined;
  /** What runs was chosen in the boot menu: slot 0 was another one already when it booted. */
  chosenAtBoot: boolean;
  trial: GenerationId | undefined;
  /** What a cut commit left under its own name. It is none of `generations` and `commons`, and one of `drafts`. */
  interrupted?: Interrupted | undefined;
  /** Names of the subvolumes under commons/, `@var@log` … */
  commons: readonly string[];
  /** What the fstab of the next generation is made from: the default's own, with what a person did to the template. */
  template: string | undefined;
  /** What else of the volume could not be read, by name, and why: it counts as not being there. */
  unread?: readonly { name: string; reason: string }[];
  /** What that is; undefined where there is no template. */
  templateEdit: TemplateEdit | undefined;
  space: { total: number; used: number; free: number };
  /** Space for going back is held in reserve. */
  reserve: boolean;
  /** The step at which an installation stopped, or undefined when none is unfinished. */
  unfinished: string | undefined;
}

/** What somebody who deletes generations must know besides. Every process is asked for it, so only such verbs do. */
export interface DeleterState extends VolumeState {
  /** Mounted somewhere beside /, in any mount namespace: deleting one would blank it under its user. */
  mounted: readonly GenerationId[];
}

/**
 * Milliseconds since the epoch: from the id, else from the record, else 0. The id comes first because ids are minted
 * later than all before them, whatever the clock says; the record of a machine whose clock was wrong is wrong.
 */
export function createdAt({ id, record }: Generation): number {
  return timeOfId(id) ?? (Date.parse(record.created ?? "") || 0);
}

export function generationOf(state: VolumeState, id: GenerationId | undefined): Generation | undefined {
  return state.generations.find((generation) => generation.id === id);
}

/** The slots by their numbers; undefined for one that does not resolve. */
export function menu({ slots, slotCount, dangling = [] }: VolumeState): (GenerationId | undefined)[] {
  const left = [...slots];
  return Array.from({ length: slotCount }, (_, slot) => (dangling.includes(slot) ? undefined : left.shift()));
}

/** What slot 0 names; undefined where it leads nowhere, whatever the others name. */
export function bootsNext(state: VolumeState): GenerationId | undefined {
  return menu(state)[0];
}

/** The default before the one that is default now: slot 1, unless all slots are alike. */
export function previous(state: VolumeState): GenerationId | undefined {
  const next = bootsNext(state);
  return state.slots.find((id) => id !== next);
}

/** The generation that the menu must never lose: what runs or, when that is not known, the last known good one. */
export function anchor(state: VolumeState): GenerationId | undefined {
  return running(state) ?? lastKnownGood(state);
}

/** What runs, when it is a generation of this volume that can boot again. */
export function running(state: VolumeState): GenerationId | undefined {
  const booted = generationOf(state, state.booted);
  return booted?.complete ? booted.id : undefined;
}

/** A generation and those that it was made from, one after the other, as far as their records say. */
function lineage(state: VolumeState, id: GenerationId | undefined): Set<string> {
  const line = new Set<string>();
  for (let at: string | undefined = id; at !== undefined && !line.has(at);) {
    line.add(at);
    at = state.generations.find((one) => one.id === at)?.record.parent;
  }
  return line;
}

/** The generations whose changes slot 0 has and `base` has not, oldest first: what is made from it is without them. */
export function leftOut(state: VolumeState, base: GenerationId): Generation[] {
  const held = lineage(state, base);
  const stacked = lineage(state, state.slots[0]);
  return state.generations.filter(({ id }) => stacked.has(id) && !held.has(id));
}

/** The slots once a generation is the default, or the draft that becomes one. */
export function slotsAfter(state: VolumeState, chosen: GenerationId): GenerationId[] {
  return rotate(state.slots, chosen, slotsToFill(state.slotCount), anchor(state));
}

/** The newest generation with a good verdict. */
export function lastKnownGood(state: VolumeState): GenerationId | undefined {
  return state.generations.findLast(({ record, complete }) => complete && record.verdict === "good")?.id;
}

/** Of when the indexes were that were used last, whatever they were used for: each generation passes them on. */
export function lastIndexes(state: VolumeState): IndexTimes {
  return state.generations.findLast(({ record }) => record.indexes !== undefined)?.record.indexes ?? {};
}
