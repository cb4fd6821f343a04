import { flush } from "../host/btrfs.ts";
import { replaceText } from "../host/files.ts";
import { renderRecord, type GenerationRecord } from "../model/generation.ts";
import type { GenerationId } from "../model/ids.ts";
import { METADATA, layout } from "../model/layout.ts";

/** Replaces a generation's generation.json; on disk when it returns. */
export function writeRecord(top: string, id: GenerationId, record: GenerationRecord): void {
  replaceText(`${top}/${layout.generation(id)}/${METADATA}`, renderRecord(record));
  flush(top);
}
