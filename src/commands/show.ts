import { approximateSize } from "../model/text/size.ts";
import { orThrow } from "../model/problem.ts";
import { select } from "../model/volume/selector.ts";
import { generationOf } from "../model/volume/state.ts";
import { changeText } from "../report/format.ts";
import type { Result } from "../report/result.ts";
import { generationData, marks } from "./list.ts";
import { reading, type ReadFlags } from "./session/session.ts";

/** `firn show [GEN]`: what boots next, or any other, in full. */
export function show(flags: ReadFlags, [word = "current"]: readonly string[]): Result {
  return reading(flags, ({ state }) => {
    const id = orThrow(select(state, word));
    const generation = generationOf(state, id);
    if (generation === undefined) throw new Error(`${id} was selected but is not there`);
    const data = generationData(state, generation);
    const { record } = generation;
    const rows: [string, string | undefined][] = [
      ["Generation", id],
      ["State", marks(state, generation).join(", ") || undefined],
      ["Created", typeof data["created"] === "string" ? data["created"] : undefined],
      ["Parent", record.parent],
      ["Made by", record.command],
      ["Description", record.description],
      ["Alpine", record.release],
      ["Kernel", record.kernel],
      ["Packages", record.installedBytes === undefined ? undefined : approximateSize(record.installedBytes)],
    ];
    return {
      data,
      lines: [
        ...rows.flatMap(([label, value]) => (value === undefined ? [] : [`${`${label}:`.padEnd(13)}${value}`])),
        ...(record.changes ?? []).map((change) => `  ${changeText(change)}`),
        ...(record.conflicts ?? []).map((path) => `  to merge: ${path}`),
      ],
    };
  });
}
