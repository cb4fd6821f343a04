import { cleanUp } from "../../host/kernel/failure.ts";
import { createSubvolume, deleteSubvolume, isSubvolume, setReadonly, snapshot } from "../../host/volume/btrfs.ts";
import {
  Fd,
  exists,
  link,
  makeDirectories,
  makeDirectory,
  names,
  newName,
  readTextIfAny,
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
import { seedCommons } from "../../host/volume/seed.ts";
import { FirnError } from "../../model/problem.ts";
import { renderRecord, type GenerationRecord } from "../../model/volume/generation.ts";
import {
  draftName,
  laterThanAll,
  parseGenerationId,
  type GenerationId,
  type LinkSetId,
} from "../../model/volume/ids.ts";
import { METADATA, RECORD_MODE, ROOT, layout } from "../../model/volume/layout.ts";
import type { Interrupted } from "../../model/volume/state.ts";
import { commitSlots } from "./commit.ts";

/**
 * A generation in the making. It has its own name only once it is committed: until then it is a draft to all who look.
 */
export class Draft {
  private committed = false;
  /** The name of the commons that is made with it. */
  commons: string | undefined;

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

  /**
   * Gives it, and then the commons that comes with it, its own name. It is on disk after the next flush; all that they
   * hold must be before.
   */
  promote(): void {
    renameNew(this.path, `${this.top}/${layout.generation(this.id)}`);
    this.committed = true;
    if (this.commons !== undefined)
      renameNew(`${this.top}/${layout.draftCommon(this.id)}`, `${this.top}/${layout.common(this.commons)}`);
  }

  /** Its own name as long as it has that, for who takes it back. */
  get promoted(): Interrupted | undefined {
    return this.committed ? { id: this.id, commons: this.commons } : undefined;
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

  /** The empty folders of a new volume. */
  layOut(): void {
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
    if (draft.promoted !== undefined) this.withdraw(draft.promoted);
    this.deleteDraft(draftName(draft.id));
    this.forgetDraft();
    this.flush();
  }

  /**
   * Gives what a commit that was cut short left under its own name a draft's name again, before anything else is
   * committed: by then it could no longer be told from a generation that booted.
   */
  withdraw({ id, commons }: Interrupted): void {
    const [own, draft] = [`${this.top}/${layout.common(commons ?? "")}`, `${this.top}/${layout.draftCommon(id)}`];
    if (commons !== undefined && exists(own) && !exists(draft)) renameNew(own, draft);
    renameNew(`${this.top}/${layout.generation(id)}`, `${this.top}/${layout.draft(id)}`);
    this.forgetDraft();
  }

  /** No draft is being committed any more. */
  private forgetDraft(): void {
    const next = `${this.top}/${layout.nextDraft}`;
    if (exists(next)) removeFile(next);
  }

  /**
   * Deletes a generation or a draft by its directory's name. The change is on disk after the next flush. Throws
   * E_GENERATION_KEPT, and deletes nothing, when there is something in it that firn did not put there.
   */
  delete(name: string): void {
    this.deleteFolder(`${this.top}/${layout.snapshots}/${name}`);
  }

  /** The same of a draft and the commons that was made with it, of which either may be missing. */
  deleteDraft(name: string): void {
    const commons = `${this.top}/${layout.common(name)}`;
    if (exists(commons)) deleteSubvolume(commons);
    if (exists(`${this.top}/${layout.snapshots}/${name}`)) this.delete(name);
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

  /** Replaces the fstab template. It is on disk after the next flush. */
  writeTemplate(text: string): void {
    this.replaceDurably(`${this.top}/${layout.fstab}`, text);
  }

  /** Puts back a template that a failed switch may have replaced. */
  restoreTemplate(text: string): void {
    if (readTextIfAny(`${this.top}/${layout.fstab}`) === text) return;
    this.writeTemplate(text);
    this.flush();
  }

  /**
   * Makes `slots` boot, with the draft that becomes one of them and the template that changes with them: see
   * commitSlots.
   */
  commit(slots: readonly GenerationId[], switched: () => void, draft?: Draft, template?: string): void {
    if (draft !== undefined) {
      makeDirectories(`${this.top}/${layout.next}`);
      link(draft.id, `${this.top}/${layout.nextDraft}`);
      draft.promote();
    }
    const afterwards = (): void => {
      switched();
      if (draft !== undefined) cleanUp(() => this.forgetDraft());
    };
    commitSlots(this, slots, afterwards, () => {
      if (template !== undefined) this.writeTemplate(template);
    });
  }

  hasCommons(name: string): boolean {
    return exists(`${this.top}/${layout.common(name)}`);
  }

  /** Makes a commons and fills it from the folder that it will cover. */
  addCommons(name: string, from: string): void {
    this.fill(layout.common(name), from);
  }

  /**
   * The same with a draft, whose own it is until they are committed: a run that fails or is killed must not leave one
   * to be taken for data from before. The data must be flushed before the commit.
   */
  makeCommons(draft: Draft, name: string, from: string): void {
    this.fill(layout.draftCommon(draft.id), from);
    draft.commons = name;
  }

  private fill(commons: string, from: string): void {
    createSubvolume(`${this.top}/${commons}`);
    seedCommons(from, `${this.top}/${commons}`);
  }

  /** Deletes a commons with all data in it. It is gone from the disk after the next flush. */
  deleteCommons(name: string): void {
    deleteSubvolume(`${this.top}/${layout.common(name)}`);
  }
}
