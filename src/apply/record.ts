import { flush } from "../host/volume/btrfs.ts";
import { rename, writeText } from "../host/kernel/files.ts";
import { renderRecord, type GenerationRecord } from "../model/volume/generation.ts";
import type { GenerationId } from "../model/volume/ids.ts";
import { METADATA, RECORD_MODE, layout } from "../model/volume/layout.ts";

/** Replaces a generation's generation.json; on disk when it returns. */
export function writeRecord(top: string, id: GenerationId, record: GenerationRecord): void {
  const file = `${top}/${layout.generation(id)}/${METADATA}`;
  writeText(`${file}.new`, renderRecord(record), RECORD_MODE);
  // On disk before it gets the name: a cut leaves the old record or the new one, never an empty file.
  flush(top);
  rename(`${file}.new`, file);
  flush(top);
}
