import { flush } from "../host/btrfs.ts";
import { rename, writeText } from "../host/kernel/files.ts";
import { renderRecord, type GenerationRecord } from "../model/generation.ts";
import type { GenerationId } from "../model/ids.ts";
import { METADATA, RECORD_MODE, layout } from "../model/layout.ts";

/** Replaces a generation's generation.json; on disk when it returns. */
export function writeRecord(top: string, id: GenerationId, record: GenerationRecord): void {
  const file = `${top}/${layout.generation(id)}/${METADATA}`;
  writeText(`${file}.new`, renderRecord(record), RECORD_MODE);
  // On disk before it gets the name: a cut leaves the old record or the new one, never an empty file.
  flush(top);
  rename(`${file}.new`, file);
  flush(top);
}
