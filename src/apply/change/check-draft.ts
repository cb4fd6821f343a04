import { newFaults } from "../../host/machine/read-fitness.ts";
import type { Within } from "../../host/kernel/within.ts";
import { fstabIn } from "../../host/volume/roots.ts";
import { concernsFitness } from "../../model/machine/fitness.ts";
import { parseFstab } from "../../model/volume/fstab.ts";
import { FirnError } from "../../model/problem.ts";
import { baseRoot, opened, type ChangeContext } from "./change-context.ts";

function rootAt(files: Within): { files: Within; shared: string[] } {
  const shared = parseFstab(fstabIn(files) ?? "").flatMap((line) =>
    line.path === "/" || line.options.includes("ro") ? [] : [line.path],
  );
  return { files, shared };
}

/** Throws E_UNFIT for a draft that lacks what its base had and a system needs; `force` makes that a word. */
export function checkDraft(context: ChangeContext, force: boolean): void {
  if (!context.files.some(concernsFitness)) return;
  const { refused, said } = newFaults(rootAt(opened(context).root), rootAt(baseRoot(context)));
  for (const fault of force ? [...refused, ...said] : said) context.report.note(fault);
  if (force || refused.length === 0) return;
  throw new FirnError("E_UNFIT", refused.join(" "), "If that is meant: --force.");
}
