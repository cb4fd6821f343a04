import { deleteSubvolume, flush } from "../host/volume/btrfs.ts";
import { mountedSubvolumes } from "../host/volume/inspect-volume.ts";
import { ask, isTerminal } from "../host/machine/terminal.ts";
import { commonsName, validateCommons } from "../model/volume/commons.ts";
import { commonsOf } from "../model/volume/fstab.ts";
import { layout } from "../model/volume/layout.ts";
import { nearest } from "../model/text/nearest.ts";
import { FirnError, isRefusal } from "../model/problem.ts";
import type { VolumeState } from "../model/volume/state.ts";
import { table, type Result } from "../report/result.ts";
import { change, type ChangeFlags } from "./change.ts";
import { reading, writing, type ReadFlags, type WriteFlags } from "./session.ts";

function shared(state: VolumeState): { name: string; path: string }[] {
  return commonsOf(state.template ?? "");
}

/** `firn commons list` */
export function listCommons(flags: ReadFlags): Result {
  return reading(flags, ({ state }) => {
    const mounted = shared(state);
    const rows = state.commons.map((name) => ({ name, path: mounted.find((one) => one.name === name)?.path ?? null }));
    return {
      data: { commons: rows },
      lines: table([
        ["NAME", "PATH"],
        ...rows.map(({ name, path }) => [name, path ?? "no longer shared; `firn commons delete` deletes it"]),
      ]),
    };
  });
}

/** `firn commons add PATH` */
export function addCommons(flags: ChangeFlags, [path = ""]: readonly string[]): Result {
  return change(flags, `firn commons add ${path}`, (state) => {
    const existing = shared(state);
    const checked = validateCommons([path], existing.map((one) => one.path) as never);
    if (isRefusal(checked)) {
      const { message, hint } = checked.problem;
      throw new FirnError("E_COMMONS", `${path}: ${message} Nothing was changed.`, hint);
    }
    if (existing.some((one) => one.path === path))
      throw new FirnError("E_COMMONS", `${path} is shared already. Nothing was changed.`);
    const own = checked.find((one) => one === path);
    if (own === undefined) throw new Error(`${path} was accepted but is not there`);
    return { kind: "add-commons", name: commonsName(own), path };
  });
}

/** `firn commons remove PATH`: the generations from the next one on have their own; the data stays. */
export function removeCommons(flags: ChangeFlags, [path = ""]: readonly string[]): Result {
  return change(flags, `firn commons remove ${path}`, (state) => {
    const existing = shared(state).map((one) => one.path);
    if (existing.includes(path)) return { kind: "remove-commons", path };
    const near = nearest(path, existing);
    throw new FirnError(
      "E_COMMONS",
      `${path} is not shared.${near === undefined ? "" : ` Did you mean ${near}?`}`,
      "`firn commons list` shows what is.",
    );
  });
}

/** `firn commons delete NAME` */
export function deleteCommons(flags: WriteFlags & { yes?: boolean }, [name = ""]: readonly string[]): Result {
  return writing(flags, "firn commons delete", ({ volume, state }) => {
    if (!state.commons.includes(name)) {
      const near = nearest(name, state.commons);
      throw new FirnError(
        "E_COMMONS",
        `There is no commons ${name}.${near === undefined ? "" : ` Did you mean ${near}?`}`,
        "`firn commons list` shows what there is.",
      );
    }
    const used = shared(state).find((one) => one.name === name);
    if (used !== undefined) {
      throw new FirnError(
        "E_COMMONS",
        `${name} is shared as ${used.path}. Nothing was deleted.`,
        `\`firn commons remove ${used.path}\` first.`,
      );
    }
    if (mountedSubvolumes(volume.path).includes(`/${layout.common(name)}`)) {
      throw new FirnError(
        "E_COMMONS",
        `${name} is mounted: what runs uses it, and would find it empty at once. Nothing was deleted.`,
        "Reboot into a generation that no longer shares it first.",
      );
    }
    if (flags.dryRun) return { data: { deleted: null }, lines: [`Would delete ${name} and all data in it.`] };
    if (
      !flags.yes &&
      (!isTerminal() ||
        ask(`Delete ${name} and all data in it? Older generations still mount it. Type its name: `) !== name)
    ) {
      throw new FirnError(
        "E_CONFIRM",
        "Not confirmed. Nothing was deleted.",
        "Type the name when asked, or add --yes.",
      );
    }
    deleteSubvolume(`${volume.path}/${layout.common(name)}`);
    flush(volume.path);
    return { data: { deleted: name }, lines: [`Deleted ${name}.`] };
  });
}
