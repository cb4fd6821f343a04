import { mergeTemplate, templateBehind, type TemplateEdit } from "../../model/volume/template.ts";
import type { GenerationId } from "../../model/volume/ids.ts";
import { ROOT, layout } from "../../model/volume/layout.ts";
import { insideRoot, readTextIfAny } from "../kernel/files.ts";

/** The root of a generation, seen through the volume's top level. */
export function generationRoot(top: string, id: GenerationId): string {
  return `${top}/${layout.generation(id)}/${ROOT}`;
}

/** The fstab of a root; undefined where it has none. */
export function fstabIn(root: string): string | undefined {
  return readTextIfAny(insideRoot(root, "/etc/fstab"));
}

/** The template that the fstab of a root was made from; undefined where it has none. */
export function templateIn(root: string): string | undefined {
  const fstab = fstabIn(root);
  return fstab === undefined ? undefined : templateBehind(fstab);
}

/** The template of what is made from a root: its own, with what a person did to the volume's. */
export function templateFor(root: string, edit: TemplateEdit | undefined): string | undefined {
  const own = templateIn(root);
  return own === undefined ? edit?.edited : mergeTemplate(edit, own).text;
}
