import type { GenerationId } from "./ids.ts";
import { nearest } from "../text/nearest.ts";
import { refuse, type Refusal } from "../problem.ts";
import { bootsNext, menu, previous, type VolumeState } from "./state.ts";

/**
 * The generation that a user means by an id, a unique prefix of one, a slot's number, `booted`, `current` (what boots
 * next) or `previous` (the default before it). A number is a slot when there is such a slot, otherwise a prefix.
 */
export function select(state: VolumeState, word: string): GenerationId | Refusal {
  const ids = state.generations.filter(({ complete }) => complete).map(({ id }) => id);
  const missing = (what: string): Refusal => refuse("E_GENERATION_MISSING", what, "`firn list` shows what there is.");
  if (word === "booted") {
    const there = ids.find((id) => id === state.booted);
    return there ?? missing("No generation of this volume is booted.");
  }
  if (word === "current") return bootsNext(state) ?? missing("This volume has no default generation.");
  if (word === "previous") return previous(state) ?? missing("There is no previous generation.");
  const exact = ids.find((id) => id === word);
  if (exact !== undefined) return exact;
  const slot = /^\d{1,2}$/.test(word) ? menu(state)[Number(word)] : undefined;
  if (slot !== undefined) return slot;
  const matches = word === "" ? [] : ids.filter((id) => id.startsWith(word));
  const [only, other] = matches;
  if (only !== undefined && other === undefined) return only;
  if (only !== undefined) {
    return refuse(
      "E_GENERATION_AMBIGUOUS",
      `${word} fits ${matches.length} generations: ${matches.join(", ")}.`,
      "Give more letters.",
    );
  }
  const near = nearest(word, ["booted", "current", "previous", ...ids]);
  return missing(`There is no generation ${word}.${near === undefined ? "" : ` Did you mean ${near}?`}`);
}
