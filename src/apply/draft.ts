import { createSubvolume, deleteSubvolume, flush, isSubvolume, setReadonly, snapshot } from "../host/volume/btrfs.ts";
import {
  exists,
  makeDirectories,
  makeDirectory,
  names,
  newName,
  removeDirectory,
  removeTree,
  renameNew,
  replaceText,
  writeText,
} from "../host/kernel/files.ts";
import { renderRecord, type GenerationRecord, type InstallProgress } from "../model/volume/generation.ts";
import { laterThanAll, parseGenerationId, type GenerationId } from "../model/volume/ids.ts";
import { METADATA, RECORD_MODE, ROOT, layout } from "../model/volume/layout.ts";
import { FirnError } from "../model/problem.ts";

/** A name that no generation of the volume has, later than all of them. */
export function newGenerationId(top: string, existing: readonly GenerationId[] = []): GenerationId {
  for (let time = laterThanAll(Date.now(), existing); ; time += 1000) {
    const id = parseGenerationId(newName(time));
    if (id !== undefined && !exists(`${top}/${layout.generation(id)}`)) return id;
  }
}

/** What firn puts into a generation's or a draft's directory. */
const OWN: readonly string[] = [ROOT, METADATA, `${METADATA}.new`];

/**
 * Deletes a generation's or a draft's directory with its subvolume. The change is on disk after the next flush. Throws
 * E_GENERATION_KEPT, and deletes nothing, when there is something in it that firn did not put there.
 */
export function deleteGeneration(path: string): void {
  const entries = names(path);
  const foreign = entries.filter((name) => !OWN.includes(name));
  if (foreign.length > 0) {
    throw new FirnError(
      "E_GENERATION_KEPT",
      `${path.slice(path.lastIndexOf("/") + 1)} holds ${foreign.join(", ")}, which firn did not put there. It was not deleted.`,
      "Move that elsewhere, or delete it, and try again.",
    );
  }
  for (const name of entries) {
    const inner = `${path}/${name}`;
    if (isSubvolume(inner)) deleteSubvolume(inner);
    else removeTree(inner);
  }
  removeDirectory(path);
}

/** A generation in the making. What is not sealed when its scope ends is deleted. */
export class Draft implements Disposable {
  private sealed = false;
  private constructor(
    private readonly top: string,
    readonly id: GenerationId,
  ) {}

  /** A copy of a generation, or an empty root when `base` is undefined. */
  static open(top: string, id: GenerationId, base: GenerationId | undefined): Draft {
    makeDirectories(`${top}/${layout.snapshots}`);
    const draft = new Draft(top, id);
    makeDirectory(draft.path);
    try {
      if (base === undefined) createSubvolume(draft.root);
      else snapshot(`${top}/${layout.generation(base)}/${ROOT}`, draft.root);
    } catch (error) {
      draft[Symbol.dispose]();
      throw error;
    }
    return draft;
  }

  get path(): string {
    return `${this.top}/${layout.draft(this.id)}`;
  }

  get root(): string {
    return `${this.path}/${ROOT}`;
  }

  /** Writes down how far an installation has come, for whoever finds the draft. */
  note(progress: InstallProgress): void {
    replaceText(`${this.path}/${METADATA}`, renderRecord(progress), RECORD_MODE);
  }

  /**
   * Makes it final: read-only, with its metadata, under its own name. The data must have been flushed before: setting the
   * flag then costs one commit instead of two. It is on disk after the next flush.
   */
  seal(record: GenerationRecord): void {
    setReadonly(this.root, true);
    writeText(`${this.path}/${METADATA}`, renderRecord(record), RECORD_MODE);
    renameNew(this.path, `${this.top}/${layout.generation(this.id)}`);
    this.sealed = true;
  }

  /** Leaves the draft where it is when its scope ends: a failed installation, which tells how far it came. */
  keep(): void {
    this.sealed = true;
  }

  [Symbol.dispose](): void {
    if (this.sealed) return;
    deleteGeneration(this.path);
    flush(this.top);
  }
}
