import type { GenerationId } from "../../model/volume/ids.ts";
import { ROOT, layout } from "../../model/volume/layout.ts";
import { insideRoot, readTextIfAny } from "../kernel/files.ts";

/** The root of a generation, seen through the volume's top level. */
export function generationRoot(top: string, id: GenerationId): string {
  return `${top}/${layout.generation(id)}/${ROOT}`;
}

/**
 * The text of apk's database in a root, wherever its release keeps it (/usr-merge moves it); "" where there is none.
 */
export function installedDatabase(root: string): string {
  return (
    readTextIfAny(insideRoot(root, "/lib/apk/db/installed")) ??
    readTextIfAny(insideRoot(root, "/usr/lib/apk/db/installed")) ??
    ""
  );
}

export function installedText(top: string, id: GenerationId): string {
  return installedDatabase(generationRoot(top, id));
}
