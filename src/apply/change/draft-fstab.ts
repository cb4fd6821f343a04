/** The fstab of a draft: that of its base with what a person did to the template, then what the change did to it. */
import { split, type Within } from "../../host/kernel/within.ts";
import { templateIn } from "../../host/volume/roots.ts";
import { FirnError } from "../../model/problem.ts";
import { PLACEHOLDER, commonsOf, mountPoints, parseFstab, renderFstab } from "../../model/volume/fstab.ts";
import { layout } from "../../model/volume/layout.ts";
import { dropSubvolumeNumbers, mergeTemplate, mountsOwnRoot } from "../../model/volume/template.ts";
import type { Work } from "../run-plan.ts";
import { opened, type ChangeContext } from "./change-context.ts";

function noteUnread(own: string | undefined, root: Within, { report }: ChangeContext): void {
  if (own === undefined && root.exists("/etc/fstab"))
    report.note("/etc/fstab cannot be read, or is larger than 64 KiB: the template takes its place.");
}

/** Takes up what a person did to the template, before the change looks at it. */
export function mergeFstab(context: ChangeContext): void {
  const { state, report, base = "" } = context;
  const { root } = opened(context);
  const own = templateIn(root);
  const { text, contested } = mergeTemplate(state.templateEdit, own ?? state.templateEdit?.edited ?? "");
  for (const line of contested)
    report.note(`The template's line is left out, since ${base} has another for the same place: ${line}`);
  noteUnread(own, root, context);
  if (text !== own) root.write("/etc/fstab", renderFstab(text, base));
}

/** Throws E_FILE for a template that would make a generation without its own root. */
function requireRootLine(template: string): void {
  if (mountsOwnRoot(template)) return;
  throw new FirnError(
    "E_FILE",
    `The fstab of the next generation has no line that mounts / from ${PLACEHOLDER}/@.`,
    "Leave the line of / as it is; on a volume made by hand, write it into /fstab at its top level.",
  );
}

/** Throws E_FILE for a mount over something that is no directory, unless it is bound there, as a file may be. */
function requireDirectory(path: string, template: string): void {
  const lines = template.split("\n").map((line) => parseFstab(line)[0]);
  const at = lines.findIndex((entry) => entry?.path === path);
  if (lines[at]?.options.some((option) => /^r?bind$/.test(option))) return;
  throw new FirnError(
    "E_FILE",
    `${path}, where line ${at + 1} of fstab mounts something, is no directory.`,
    "Mount it elsewhere, or put a directory there.",
  );
}

/** Makes the folders that it mounts over: a mount without one fails at boot, when it is too late. */
function makeMountPoints(template: string, context: ChangeContext, work: Work): void {
  const { store, report } = context;
  const draft = opened(context);
  const real = (path: string): string => draft.root.leads(path);
  for (const { name, path } of commonsOf(template))
    if (name !== draft.commons && !store.hasCommons(name))
      report.note(`There is no commons ${name}: nothing will be mounted on ${path}.`);
  for (const { path, commons, inside } of mountPoints(template, real)) {
    const fresh = commons !== undefined && commons === draft.commons;
    if (commons !== undefined && !fresh && !store.hasCommons(commons)) continue;
    const within =
      commons === undefined
        ? draft.root
        : store.top.root(fresh ? layout.draftCommon(draft.id) : layout.common(commons));
    if (within.exists(inside)) {
      if (!within.isDirectory(inside)) requireDirectory(path, template);
      continue;
    }
    const made: string[] = [];
    for (let at = inside; !within.exists(at); at = split(at)[0]) made.push(at);
    within.makeDirectories(inside);
    if (commons !== undefined && !fresh)
      work.undo(() => made.forEach((name) => within.removeDirectory(name)), "draft discarded");
    report.note(`${path}, where fstab mounts something, was missing: it was made.`);
  }
}

/** Writes the draft's own fstab, once the change is made. */
export function writeFstab(context: ChangeContext, work: Work): void {
  const { state, report } = context;
  const { root, id } = opened(context);
  const own = templateIn(root);
  noteUnread(own, root, context);
  const { text, dropped } = dropSubvolumeNumbers(own ?? state.template ?? "");
  for (const what of dropped) report.note(`fstab: ${what} is left out, since the subvolume is named beside it.`);
  requireRootLine(text);
  root.write("/etc/fstab", renderFstab(text, id));
  makeMountPoints(text, context, work);
}
