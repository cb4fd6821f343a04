import { cleanUp } from "../../host/kernel/failure.ts";
import { createSubvolume, deleteSubvolume, isSubvolume, setReadonly, snapshot } from "../../host/volume/btrfs.ts";
import {
  Fd,
  exists,
  makeDirectories,
  makeDirectory,
  names,
  newName,
  removeDirectory,
  removeFile,
  removeTree,
  rename,
  renameNew,
  replaceText,
  writeText,
  writeTextForCommit,
} from "../../host/kernel/files.ts";
import { lstat, typeOf } from "../../host/kernel/stat.ts";
import { syncFilesystem } from "../../host/kernel/subvolumes.ts";
import { generationRoot } from "../../host/volume/roots.ts";
import { fillReserve } from "../../host/volume/reserve.ts";
import { seedCommons } from "../../host/volume/seed.ts";
import { FirnError } from "../../model/problem.ts";
import { renderRecord, type GenerationRecord } from "../../model/volume/generation.ts";
import { DRAFT, laterThanAll, parseGenerationId, type GenerationId, type LinkSetId } from "../../model/volume/ids.ts";
import { METADATA, RECORD_MODE, ROOT, layout } from "../../model/volume/layout.ts";
import { markTemplate } from "../../model/volume/template.ts";
import { commitSlots } from "./commit.ts";

/**
 * A generation in the making. It has its own name only once it is committed: until then it is a draft to all who look.
 */
export class Draft {
  private committed = false;

  constructor(
    private readonly top: string,
    readonly id: GenerationId,
  ) {}

  /** Its directory. */
  get path(): string {
    return `${this.top}/${this.committed ? layout.generation(this.id) : layout.draft(this.id)}`;
  }

  /** Its root subvolume. */
  get root(): string {
    return `${this.path}/${ROOT}`;
  }

  /** Gives it its own name. It is on disk after the next flush; all that it holds must be before. */
  promote(): void {
    renameNew(this.path, `${this.top}/${layout.generation(this.id)}`);
    this.committed = true;
  }
}

/** What firn puts into a generation's or a draft's directory. */
const OWN: readonly string[] = [ROOT, METADATA, `${METADATA}.new`];

/** The one writer below a volume's top level: drafts, generations, records, link sets, the template, the commons. */
export class VolumeStore implements Disposable {
  /**
   * The top, open from before the first write until the end: a descriptor is told of every write that failed since it
   * was opened, also of one that another program's sync was told of first.
   */
  private readonly fd: Fd;
  private open = true;

  constructor(readonly top: string) {
    this.fd = Fd.directory(top);
  }

  /** Lets go of the top, so that it can be unmounted. */
  [Symbol.dispose](): void {
    if (!this.open) return;
    this.open = false;
    this.fd[Symbol.dispose]();
  }

  root(id: GenerationId): string {
    return generationRoot(this.top, id);
  }

  /** Everything written so far is on disk, super block included, or this throws. */
  flush(): void {
    syncFilesystem(this.fd);
  }

  /** The empty folders of a new volume, and what it holds in reserve. */
  layOut(): void {
    this.holdReserve();
    for (const folder of [layout.next, layout.links, layout.snapshots, layout.commons])
      makeDirectory(`${this.top}/${folder}`);
  }

  /** A name that no generation of the volume has, later than all of them. */
  newId(existing: readonly GenerationId[] = []): GenerationId {
    for (let time = laterThanAll(Date.now(), existing); ; time += 1000) {
      const id = parseGenerationId(newName(time));
      if (id !== undefined && !exists(`${this.top}/${layout.generation(id)}`)) return id;
    }
  }

  /** A copy of a generation, or an empty root when `base` is undefined. Leaves nothing behind when it fails. */
  openDraft(id: GenerationId, base: GenerationId | undefined): Draft {
    makeDirectories(`${this.top}/${layout.snapshots}`);
    const draft = new Draft(this.top, id);
    makeDirectory(draft.path);
    try {
      if (base === undefined) createSubvolume(draft.root);
      else snapshot(this.root(base), draft.root);
    } catch (error) {
      cleanUp(() => this.takeBack(draft));
      throw error;
    }
    return draft;
  }

  /**
   * Replaces the record of a draft that nobody else changes: how far an installation has come, for whoever finds it. It
   * is on disk after the next flush.
   */
  noteRecord(draft: Draft, record: GenerationRecord): void {
    replaceText(`${draft.path}/${METADATA}`, renderRecord(record), RECORD_MODE);
  }

  /**
   * Makes a draft final: with its record, read-only. Setting the flag commits by itself, and the record goes with that
   * commit. The data must have been flushed before: the flag then costs one commit instead of two.
   */
  seal(draft: Draft, record: GenerationRecord): void {
    writeTextForCommit(`${draft.path}/${METADATA}`, renderRecord(record), RECORD_MODE);
    setReadonly(draft.root, true);
  }

  /** Deletes a draft, also one that has its own name already while nothing names it yet. On disk when it returns. */
  takeBack(draft: Draft): void {
    if (exists(draft.path)) this.deleteFolder(draft.path);
    this.flush();
  }

  /**
   * Deletes a generation or a draft by its directory's name. The change is on disk after the next flush. Throws
   * E_GENERATION_KEPT, and deletes nothing, when there is something in it that firn did not put there.
   */
  delete(name: string): void {
    this.deleteFolder(`${this.top}/${layout.snapshots}/${name}`);
  }

  private deleteFolder(path: string): void {
    const entries = names(path);
    const foreign = entries.filter((name) => !OWN.includes(name));
    if (foreign.length > 0) {
      throw new FirnError(
        "E_GENERATION_KEPT",
        `${path.slice(path.lastIndexOf("/") + 1)} holds ${foreign.join(", ")}, which firn did not put there. It stays.`,
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

  /**
   * Deletes a link set that is not in force. False, and nothing is deleted, for what is none: a file, or a folder with
   * anything in it but symlinks that are called like slots.
   */
  deleteLinkSet(id: LinkSetId): boolean {
    const folder = `${this.top}/${layout.linkSet(id)}`;
    const there = lstat(folder);
    if (there === undefined || typeOf(there) !== "directory") return false;
    const slots = names(folder);
    const isSlot = (name: string): boolean => {
      const found = lstat(`${folder}/${name}`);
      return /^\d+$/.test(name) && found !== undefined && typeOf(found) === "symlink";
    };
    if (!slots.every(isSlot)) return false;
    for (const name of slots) removeFile(`${folder}/${name}`);
    removeDirectory(folder);
    return true;
  }

  /**
   * Replaces a file at a name that is read while it is written: on disk under another name first. Durable after the
   * next flush.
   */
  private replaceDurably(file: string, text: string, mode?: number): void {
    const beside = `${file}.new`;
    writeText(beside, text, mode);
    this.flush();
    rename(beside, file);
  }

  /**
   * Replaces a generation's record: a cut leaves the old one or the new one, never an empty file. On disk when it
   * returns.
   */
  writeRecord(id: GenerationId, record: GenerationRecord): void {
    this.replaceDurably(`${this.top}/${layout.generation(id)}/${METADATA}`, renderRecord(record), RECORD_MODE);
    this.flush();
  }

  /** Replaces the fstab template: see markTemplate. A cut after the next flush leaves the old one or the new one. */
  writeTemplate(text: string, written?: string): void {
    const file = `${this.top}/${layout.fstab}`;
    const beside = `${file}.new`;
    try {
      writeTextForCommit(beside, markTemplate(text, written));
      rename(beside, file);
    } catch (error) {
      cleanUp(() => removeFile(beside));
      throw error;
    }
  }

  /**
   * Holds space in reserve, where none is and there is enough, so that going back needs none. Durable after the next
   * flush.
   */
  holdReserve(): void {
    const file = `${this.top}/${layout.reserve}`;
    // Under another name until it is whole.
    const making = `${file}.new`;
    if (exists(file)) return;
    if (exists(making)) removeFile(making);
    if (fillReserve(this.top, making)) rename(making, file);
    else if (exists(making)) removeFile(making);
  }

  /** Gives it back. On disk, and free, when it returns. */
  releaseReserve(): void {
    const file = `${this.top}/${layout.reserve}`;
    if (exists(file)) removeFile(file);
    this.flush();
  }

  /** Makes `slots` boot, with the draft that becomes one of them: see commitSlots. */
  commit(slots: readonly GenerationId[], switched: () => void, draft?: Draft): void {
    draft?.promote();
    commitSlots(this, slots, switched);
  }

  hasCommons(name: string): boolean {
    return exists(`${this.top}/${layout.common(name)}`);
  }

  /**
   * Makes a commons and fills it from the folder that it will cover; `called` is that folder's name in messages. Under
   * a draft's name until it is whole: a killed run must not leave half of one to be taken for data from before.
   */
  makeCommons(name: string, from: string, called: string): void {
    const folder = `${this.top}/${layout.common(name)}`;
    const draft = folder + DRAFT;
    if (exists(draft)) deleteSubvolume(draft);
    createSubvolume(draft);
    try {
      seedCommons(from, draft, called);
      rename(draft, folder);
    } catch (error) {
      cleanUp(() => deleteSubvolume(draft));
      throw error;
    }
  }

  /** Deletes a commons with all data in it. It is gone from the disk after the next flush. */
  deleteCommons(name: string): void {
    deleteSubvolume(`${this.top}/${layout.common(name)}`);
  }
}
