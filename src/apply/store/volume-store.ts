import { cleanUp } from "../../host/kernel/failure.ts";
import { createSubvolume, deleteSubvolume, isSubvolume, setReadonly, snapshot } from "../../host/volume/btrfs.ts";
import { newName, typeOf, type Fd } from "../../host/kernel/files.ts";
import { syncFilesystem } from "../../host/kernel/subvolumes.ts";
import { Within } from "../../host/kernel/within.ts";
import { fillReserve } from "../../host/volume/reserve.ts";
import { generationRoot, requireOwnFolder } from "../../host/volume/roots.ts";
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
import { markTemplate } from "../../model/volume/template.ts";
import { commitSlots } from "./commit.ts";

/**
 * A generation in the making. It has its own name only once it is committed: until then it is a draft to all who look.
 */
export class Draft {
  private committed = false;
  /** The name of the commons that is made with it. */
  commons: string | undefined;

  constructor(
    private readonly top: Within,
    readonly id: GenerationId,
  ) {}

  /** Its directory, below the top. */
  get name(): string {
    return this.committed ? layout.generation(this.id) : layout.draft(this.id);
  }

  get rootName(): string {
    return `${this.name}/${ROOT}`;
  }

  /** Its root subvolume. */
  get root(): Within {
    return this.top.root(this.rootName);
  }

  /**
   * Gives it, and then the commons that comes with it, its own name. It is on disk after the next flush; all that they
   * hold must be before.
   */
  promote(): void {
    this.top.letGo(this.rootName);
    this.top.renameNew(this.name, layout.generation(this.id));
    this.committed = true;
    if (this.commons !== undefined) this.top.renameNew(layout.draftCommon(this.id), layout.common(this.commons));
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
  readonly top: Within;
  private open = true;

  /** Throws E_NOT_A_VOLUME. */
  constructor(path: string) {
    this.top = Within.volume(path);
    // What is made and deleted behind a link would be somebody else's.
    for (const name of [layout.snapshots, layout.links, layout.next, layout.commons]) requireOwnFolder(this.top, name);
  }

  /** Lets go of the top, so that it can be unmounted. */
  [Symbol.dispose](): void {
    if (!this.open) return;
    this.open = false;
    this.top[Symbol.dispose]();
  }

  root(id: GenerationId): Within {
    return generationRoot(this.top, id);
  }

  /** Everything written so far is on disk, super block included, or this throws. */
  flush(): void {
    syncFilesystem(this.top.directory);
  }

  /** The empty folders of a new volume, and what it holds in reserve. */
  layOut(): void {
    this.holdReserve();
    for (const folder of [layout.next, layout.links, layout.snapshots, layout.commons]) this.top.makeDirectory(folder);
  }

  /** A name that no generation of the volume has, later than all of them. */
  newId(existing: readonly GenerationId[] = []): GenerationId {
    for (let time = laterThanAll(Date.now(), existing); ; time += 1000) {
      const id = parseGenerationId(newName(time));
      if (id !== undefined && !this.top.exists(layout.generation(id))) return id;
    }
  }

  /** A copy of a generation, or an empty root when `base` is undefined. Leaves nothing behind when it fails. */
  openDraft(id: GenerationId, base: GenerationId | undefined): Draft {
    this.top.makeDirectories(layout.snapshots);
    const draft = new Draft(this.top, id);
    this.top.makeDirectory(draft.name);
    try {
      if (base === undefined) createSubvolume(this.top, draft.rootName);
      else snapshot(this.root(base), this.top, draft.rootName);
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
    this.replace(`${draft.name}/${METADATA}`, renderRecord(record), RECORD_MODE);
  }

  /**
   * Makes a draft final: with its record, read-only. Setting the flag commits by itself, and the record goes with that
   * commit. The data must have been flushed before: the flag then costs one commit instead of two.
   */
  seal(draft: Draft, record: GenerationRecord): void {
    using file = this.top.makeFile(`${draft.name}/${METADATA}`, RECORD_MODE);
    file.write(renderRecord(record));
    file.pushOut();
    setReadonly(draft.root, true);
  }

  /** Deletes a draft, also one that has its own name already while nothing names it yet. On disk when it returns. */
  takeBack(draft: Draft): void {
    if (draft.promoted !== undefined) this.withdraw(draft.promoted);
    this.deleteDraft(draftName(draft.id));
    this.forgetDraft();
    this.flush();
  }

  /** Leaves a draft that did not become a generation. On disk when it returns. */
  keep(draft: Draft): void {
    if (draft.promoted !== undefined) this.withdraw(draft.promoted);
    this.flush();
  }

  /**
   * Ends what an earlier run began to commit. A mark without an interrupted commit is of one that was made: left, it
   * would make a draft of that generation as soon as somebody sets an older `current` by hand.
   */
  settle(interrupted: Interrupted | undefined): void {
    if (interrupted === undefined) this.forgetDraft();
    else this.withdraw(interrupted);
  }

  /**
   * Gives what a commit that was cut short left under its own name a draft's name again, before anything else is
   * committed: by then it could no longer be told from a generation that booted.
   */
  withdraw({ id, commons }: Interrupted): void {
    const [own, draft] = [layout.common(commons ?? ""), layout.draftCommon(id)];
    if (commons !== undefined && this.top.exists(own) && !this.top.exists(draft)) this.top.renameNew(own, draft);
    this.top.letGo(`${layout.generation(id)}/${ROOT}`);
    this.top.renameNew(layout.generation(id), layout.draft(id));
    this.forgetDraft();
  }

  /** No draft is being committed any more. */
  private forgetDraft(): void {
    if (this.top.exists(layout.nextDraft)) this.top.removeFile(layout.nextDraft);
  }

  /**
   * Deletes a generation or a draft by its directory's name. The change is on disk after the next flush. Throws
   * E_GENERATION_KEPT, and deletes nothing, when there is something in it that firn did not put there.
   */
  delete(name: string): void {
    this.deleteFolder(`${layout.snapshots}/${name}`);
  }

  /** The same of a draft and the commons that was made with it, of which either may be missing. */
  deleteDraft(name: string): void {
    this.top.letGo(layout.common(name));
    if (this.top.exists(layout.common(name))) deleteSubvolume(this.top, layout.common(name));
    if (this.top.exists(`${layout.snapshots}/${name}`)) this.delete(name);
  }

  private deleteFolder(name: string): void {
    const found = this.top.lstat(name);
    // A link in the place of a generation leads to nothing that is firn's.
    if (found !== undefined && typeOf(found) !== "directory") return this.top.removeFile(name);
    this.top.letGo(`${name}/${ROOT}`);
    using folder = this.top.folder(name);
    const entries = folder.names();
    const foreign = entries.filter((entry) => !OWN.includes(entry));
    if (foreign.length > 0) {
      throw new FirnError(
        "E_GENERATION_KEPT",
        `${name.slice(name.lastIndexOf("/") + 1)} holds ${foreign.join(", ")}, which firn did not put there. It stays.`,
        "Move that elsewhere, or delete it, and try again.",
      );
    }
    for (const entry of entries) {
      if (isSubvolume(folder, entry)) deleteSubvolume(folder, entry);
      else folder.removeTree(entry);
    }
    this.top.removeDirectory(name);
  }

  /**
   * Deletes a link set that is not in force. False, and nothing is deleted, for what is none: a file, or a folder with
   * anything in it but symlinks that are called like slots.
   */
  deleteLinkSet(id: LinkSetId): boolean {
    const there = this.top.lstat(layout.linkSet(id));
    if (there === undefined || typeOf(there) !== "directory") return false;
    using folder = this.top.folder(layout.linkSet(id));
    const slots = folder.names();
    const isSlot = (name: string): boolean => {
      const found = folder.lstat(name);
      return /^\d+$/.test(name) && found !== undefined && typeOf(found) === "symlink";
    };
    if (!slots.every(isSlot)) return false;
    for (const name of slots) folder.removeFile(name);
    this.top.removeDirectory(layout.linkSet(id));
    return true;
  }

  /** Replaces a file by renaming another one over it; `before` sees to that one first. */
  private replace(name: string, text: string, mode?: number, before: (file: Fd) => void = () => {}): void {
    const beside = `${name}.new`;
    using file = this.top.makeFile(beside, mode);
    file.write(text);
    before(file);
    this.top.rename(beside, name);
  }

  /**
   * Replaces a file at a name that is read while it is written: on disk under another name first. Durable after the
   * next flush.
   */
  private replaceDurably(name: string, text: string, mode?: number): void {
    this.replace(name, text, mode, () => this.flush());
  }

  /**
   * Replaces a generation's record: a cut leaves the old one or the new one, never an empty file. On disk when it
   * returns.
   */
  writeRecord(id: GenerationId, record: GenerationRecord): void {
    this.replaceDurably(`${layout.generation(id)}/${METADATA}`, renderRecord(record), RECORD_MODE);
    this.flush();
  }

  /** Replaces the fstab template: see markTemplate. A cut after the next flush leaves the old one or the new one. */
  writeTemplate(text: string, written?: string): void {
    try {
      this.replace(layout.fstab, markTemplate(text, written), undefined, (file) => file.pushOut());
    } catch (error) {
      cleanUp(() => this.top.removeFile(`${layout.fstab}.new`));
      throw error;
    }
  }

  /**
   * Holds space in reserve, where none is and there is enough, so that going back needs none. Durable after the next
   * flush.
   */
  holdReserve(): void {
    if (this.top.exists(layout.reserve)) return;
    // Under another name until it is whole.
    const making = `${layout.reserve}.new`;
    using file = this.top.makeFile(making, 0o600);
    if (fillReserve(this.top.path, file)) this.top.rename(making, layout.reserve);
    else this.top.removeFile(making);
  }

  /** Gives it back. On disk, and free, when it returns. */
  releaseReserve(): void {
    if (this.top.exists(layout.reserve)) this.top.removeFile(layout.reserve);
    this.flush();
  }

  /** Makes `slots` boot, with the draft that becomes one of them: see commitSlots. */
  commit(slots: readonly GenerationId[], switched: () => void, draft?: Draft): void {
    if (draft !== undefined) {
      this.top.makeDirectories(layout.next);
      this.top.link(draft.id, layout.nextDraft);
      draft.promote();
    }
    const afterwards = (): void => {
      switched();
      if (draft !== undefined) cleanUp(() => this.forgetDraft());
    };
    commitSlots(this, slots, afterwards);
  }

  hasCommons(name: string): boolean {
    return isSubvolume(this.top, layout.common(name));
  }

  /** Makes a commons and fills it from the folder that it will cover. */
  addCommons(name: string, from: string): void {
    this.fill(layout.common(name), from);
  }

  /**
   * The same with a draft, whose own it is until they are committed: a run that fails or is killed must not leave one
   * to be taken for data from before. Empty without a folder. The data must be flushed before the commit.
   */
  makeCommons(draft: Draft, name: string, from: string | undefined): void {
    this.fill(layout.draftCommon(draft.id), from);
    draft.commons = name;
  }

  private fill(commons: string, from: string | undefined): void {
    createSubvolume(this.top, commons);
    if (from === undefined) return;
    using folder = this.top.folder(commons);
    seedCommons(from, folder.path);
  }

  /** Deletes a commons with all data in it. It is gone from the disk after the next flush. */
  deleteCommons(name: string): void {
    deleteSubvolume(this.top, layout.common(name));
  }
}
