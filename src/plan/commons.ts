import { commonsName, validateCommons, type CommonsPath, type CommonsUse } from "../model/volume/commons.ts";
import { commonsOf } from "../model/volume/fstab.ts";
import { nearest } from "../model/text/nearest.ts";
import { isRefusal, refuse, type Refusal } from "../model/problem.ts";
import type { VolumeState } from "../model/volume/state.ts";
import type { Change } from "./change.ts";
import { commonWords } from "./step.ts";

export type CommonsStep = { kind: "delete-commons"; name: string } | { kind: "flush" };

const didYouMean = (near: string | undefined): string => (near === undefined ? "" : ` Did you mean ${near}?`);

/** What the template mounts from the commons. */
export function sharedPaths(state: VolumeState): { name: string; path: string }[] {
  return commonsOf(state.template ?? "");
}

/** The change that shares a path from the next generation on. `leads`: where links in the generation lead. */
export function planAddCommons(state: VolumeState, path: string, leads: string = path): Change | Refusal {
  const existing = sharedPaths(state).map((one) => one.path);
  // What an fstab mounts was checked when it was shared, or was written by somebody who knew.
  const checked = validateCommons([path], existing as CommonsPath[]);
  if (isRefusal(checked)) return refuse("E_COMMONS", `${path}: ${checked.problem.message}`, checked.problem.hint);
  if (existing.includes(path)) return refuse("E_COMMONS", `${path} is shared already.`);
  const own = checked.find((one) => one === path);
  if (leads !== path) return refuse("E_COMMONS", `${path} leads to ${leads}: name that.`);
  if (own === undefined) throw new Error(`${path} was accepted but is not there`);
  return { kind: "add-commons", name: commonsName(own), path };
}

/** The change after which the generations have a path of their own again; the data stays. */
export function planRemoveCommons(state: VolumeState, path: string): Change | Refusal {
  const existing = sharedPaths(state).map((one) => one.path);
  if (existing.includes(path)) return { kind: "remove-commons", path };
  return refuse(
    "E_COMMONS",
    `${path} is not shared.${didYouMean(nearest(path, existing))}`,
    "`firn commons list` shows what is.",
  );
}

/** Deletes a commons and its data. */
export function planDeleteCommons(
  state: VolumeState,
  name: string,
  use: (name: string) => CommonsUse,
): CommonsStep[] | Refusal {
  if (!state.commons.includes(name)) {
    return refuse(
      "E_COMMONS",
      `There is no commons ${name}.${didYouMean(nearest(name, state.commons))}`,
      "`firn commons list` shows what there is.",
    );
  }
  const used = sharedPaths(state).find((one) => one.name === name);
  if (used !== undefined) {
    return refuse("E_COMMONS", `${name} is shared as ${used.path}.`, `\`firn commons remove ${used.path}\` first.`);
  }
  const { mounted, nested, path } = use(name);
  if (path !== undefined) {
    return refuse(
      "E_COMMONS",
      `${name} is mounted at ${path} by fstab.`,
      "Take that line out: `firn edit /etc/fstab`.",
    );
  }
  if (mounted) {
    return refuse(
      "E_COMMONS",
      `${name}, or something in it, is mounted: what runs uses it, and would find it empty at once.`,
      "Reboot into a generation that no longer shares it first.",
    );
  }
  if (nested.length > 0) {
    return refuse(
      "E_COMMONS",
      `${name} holds subvolumes of their own: ${nested.join(", ")}.`,
      "Move them elsewhere, or delete them with `btrfs subvolume delete`, first.",
    );
  }
  return [{ kind: "delete-commons", name }, { kind: "flush" }];
}

/** One line for a person. */
export function describeCommonsStep(step: CommonsStep): string {
  switch (step.kind) {
    case "delete-commons":
      return `Delete ${step.name} and all data in it`;
    case "flush":
      return commonWords[step.kind];
    default:
      return step satisfies never;
  }
}
