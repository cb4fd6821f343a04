import { FirnError } from "../../model/problem.ts";
import { mergeTemplate, templateBehind, type TemplateEdit } from "../../model/volume/template.ts";
import type { GenerationId } from "../../model/volume/ids.ts";
import { ROOT, layout } from "../../model/volume/layout.ts";
import { commonsPath } from "../../model/volume/commons.ts";
import { isSysError } from "../kernel/failure.ts";
import { infoOf } from "../kernel/subvolumes.ts";
import type { Within } from "../kernel/within.ts";
import { isSubvolume } from "./btrfs.ts";

/** Throws E_NOT_A_VOLUME where a folder of the top level is a symlink or a mount: it leads out of the volume. */
export function requireOwnFolder(top: Within, name: string): void {
  try {
    using _ = top.folder(name);
  } catch (error) {
    if (isSysError(error, "ENOENT")) return;
    if (!isSysError(error, "ELOOP", "ENOTDIR", "EXDEV")) throw error;
    throw new FirnError(
      "E_NOT_A_VOLUME",
      `/${name} of this volume is no folder in it, but a link, a mount or a file.`,
      "Look at what it leads to, and put a folder in its place.",
    );
  }
}

/** The root of a generation, below the volume's top level. */
export function generationRoot(top: Within, id: GenerationId): Within {
  return top.root(`${layout.generation(id)}/${ROOT}`);
}

/**
 * The commons that was made with a generation, as its record names it. Only what is no older than the generation is
 * believed to be: a record is a file, which a foreign image or a hand may have filled.
 */
export function commonsMadeWith(top: Within, id: GenerationId, name: string | undefined): string | undefined {
  if (name === undefined || commonsPath(name) === undefined || !isSubvolume(top, layout.common(name))) return undefined;
  using commons = top.folder(layout.common(name));
  return infoOf(commons.directory).created < infoOf(generationRoot(top, id).directory).created ? undefined : name;
}

/** Bytes, of a template too. One with a hundred commons has a sixth of this. */
export const LARGEST_FSTAB = 1 << 16;

/** The fstab of a root; undefined where it has none that can be read. */
export function fstabIn(root: Within): string | undefined {
  try {
    return root.text("/etc/fstab", LARGEST_FSTAB);
  } catch (error) {
    if (isSysError(error)) return undefined;
    throw error;
  }
}

/** The template that the fstab of a root was made from; undefined where it has none. */
export function templateIn(root: Within): string | undefined {
  const fstab = fstabIn(root);
  return fstab === undefined ? undefined : templateBehind(fstab);
}

/** The same of a generation; undefined also where its root cannot be opened. */
export function templateOf(top: Within, id: GenerationId): string | undefined {
  try {
    return templateIn(generationRoot(top, id));
  } catch (error) {
    if (isSysError(error)) return undefined;
    throw error;
  }
}

/** The template of what is made from one, with what a person did to the volume's. */
export function templateFor(own: string | undefined, edit: TemplateEdit | undefined): string | undefined {
  return own === undefined ? edit?.edited : mergeTemplate(edit, own).text;
}
