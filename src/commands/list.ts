import { given } from "../model/given.ts";
import type { GenerationId } from "../model/volume/ids.ts";
import { bootsNext, createdAt, menu, type Generation, type VolumeState } from "../model/volume/state.ts";
import { age } from "../report/format.ts";
import { approximateSize } from "../model/text/size.ts";
import { layout } from "../model/volume/layout.ts";
import { table, type Result } from "../report/result.ts";
import { reading, type ReadFlags } from "./session/session.ts";

/** What a generation is to the volume: its slots, and whether it is booted, pinned, on trial. */
export function marks(state: VolumeState, { id, record, complete }: Generation): string[] {
  // Pushed one by one: a list asks a thousand times, mostly for nothing.
  const words: string[] = [];
  if (state.slots.includes(id)) words.push(`slot ${slotNumbers(menu(state), id)}`);
  if (state.booted === id) words.push("booted");
  if (state.trial === id) words.push("trial");
  if (record.pinned) words.push("pinned");
  if (record.verdict !== undefined) words.push(record.verdict);
  if (!complete) words.push("no root");
  return words;
}

/**
 * The slots of a generation. Slots that only repeat the last one, since there are fewer generations than slots, are
 * left out.
 */
function slotNumbers(slots: ReturnType<typeof menu>, id: GenerationId): string {
  const distinct = [...new Set(slots)];
  const numbers = slots.flatMap((slot, number) =>
    slot === id && (number === 0 || slots[number - 1] !== id || distinct.length === 1) ? [number] : [],
  );
  return numbers.length === slots.length && numbers.length > 1 ? "0" : numbers.join(",");
}

/** Plain data about one generation, the same for `list`, `status` and `show`. */
export function generationData(state: VolumeState, generation: Generation): Record<string, unknown> {
  const { id, record, fault } = generation;
  return {
    id,
    ...given({ fault }),
    slots: menu(state).flatMap((slot, number) => (slot === id ? [number] : [])),
    booted: state.booted === id,
    default: bootsNext(state) === id,
    trial: state.trial === id,
    pinned: record.pinned === true,
    ...record,
    created: createdAt(generation) === 0 ? null : new Date(createdAt(generation)).toISOString(),
  };
}

/** A line for each generation of which nothing is known beside its name, and for all else that could not be read. */
export function faults({ generations, unread = [] }: VolumeState): string[] {
  const lines = unread.map(({ name, reason }) => `/${name} cannot be read: ${reason}.`);
  return generations
    .flatMap(({ id, fault }) =>
      fault === undefined ? [] : [`What ${id} says of itself cannot be read: ${fault}. It is kept.`],
    )
    .concat(lines);
}

function isUnread({ unread = [] }: VolumeState, name: string): boolean {
  return unread.some((one) => one.name === name);
}

/** A line when slots of the menu lead nowhere: rEFInd would wait for a key there. */
export function danglingSlots(state: VolumeState): string[] {
  const missing = state.slotCount - state.slots.length;
  if (missing === 0) return [];
  return [`${missing} of ${state.slotCount} boot slots lead to no generation: \`firn switch GEN\` fills them again.`];
}

/** A line when what runs is not what boots next: because that was chosen in the boot menu, or has been made since. */
export function waiting(state: VolumeState): string[] {
  const { booted, chosenAtBoot } = state;
  const slots = menu(state);
  const [next] = slots;
  if (booted === undefined || next === undefined || booted === next) return [];
  if (!chosenAtBoot) return [`${next} waits for the next boot; ${booted} runs.`];
  const at = slots.indexOf(booted);
  const where = at < 0 ? booted : `slot ${at} (${booted})`;
  return [`The boot menu chose ${where}; slot 0 (${next}) boots next. \`firn rollback\` makes what runs the default.`];
}

function ageOf(generation: Generation, now: number): string {
  const created = createdAt(generation);
  return age(now - created, created);
}

/** `firn list` */
export function list(flags: ReadFlags): Result {
  return reading(flags, ({ state }) => {
    const now = Date.now();
    const rows = state.generations
      .toReversed()
      .map((generation) => [
        generation.id,
        ageOf(generation, now),
        generation.record.kernel ?? "-",
        generation.record.installedBytes === undefined ? "-" : approximateSize(generation.record.installedBytes),
        marks(state, generation).join(", ") || "-",
        generation.record.description ?? generation.record.command ?? "",
      ]);
    const notes = [
      ...state.drafts.map(
        (name) => `Draft ${name}: being made, kept by --keep-draft, or left by a run that ended early.`,
      ),
      ...(state.unfinished === undefined
        ? []
        : [`The installation stopped at step "${state.unfinished}": this volume does not boot.`]),
      ...(state.chosenAtBoot ? waiting(state) : []),
      ...danglingSlots(state),
      ...faults(state),
      ...(state.linkSet === undefined && state.unfinished === undefined && !isUnread(state, layout.current)
        ? ["`current` leads to no link set: nothing boots."]
        : []),
    ];
    return {
      get data() {
        return {
          volume: state.uuid,
          slots: state.slots,
          booted: state.booted ?? null,
          generations: state.generations.map((generation) => generationData(state, generation)),
          drafts: state.drafts,
          unfinished: state.unfinished ?? null,
        };
      },
      lines: [...table([["GENERATION", "AGE", "KERNEL", "SIZE", "STATE", "DESCRIPTION"], ...rows]), ...notes],
    };
  });
}
