import type { GenerationId } from "../../model/volume/ids.ts";
import { ROOT, layout } from "../../model/volume/layout.ts";

/** The root of a generation, seen through the volume's top level. */
export function generationRoot(top: string, id: GenerationId): string {
  return `${top}/${layout.generation(id)}/${ROOT}`;
}
