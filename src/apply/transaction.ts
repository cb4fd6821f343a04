import { checkBootFiles, kernelFlavors } from "../host/boot/read-boot-files.ts";
import { alpineRelease } from "../host/packages/apk/installed.ts";
import { flush } from "../host/volume/btrfs.ts";
import { enterRoot, type Chroot } from "../host/kernel/chroot.ts";
import { comparePaths, type PathChange } from "../host/volume/compare-trees.ts";
import { installedDatabase } from "../host/volume/roots.ts";
import { insideRoot, readTextIfAny, rename, writeText } from "../host/kernel/files.ts";
import { checkInterrupt } from "../host/kernel/run.ts";
import { awaitFreed } from "../host/volume/space.ts";
import type { Volume } from "../host/volume/open-volume.ts";
import { packageList, type InstalledPackage } from "../model/packages/database.ts";
import { diffPackages } from "../model/packages/changes.ts";
import { PLACEHOLDER, commonsOf, parseFstab, renderFstab, templateFromFstab } from "../model/volume/fstab.ts";
import type { GenerationRecord } from "../model/volume/generation.ts";
import type { GenerationId } from "../model/volume/ids.ts";
import { ROOT, layout } from "../model/volume/layout.ts";
import { FirnError } from "../model/problem.ts";
import type { VolumeState } from "../model/volume/state.ts";
import { describeStep, type Change, type ChangeStep } from "../plan/change.ts";
import type { Report } from "../report/report.ts";
import { collect } from "./collect.ts";
import { commit } from "./commit.ts";
import { Draft, deleteGeneration } from "./draft.ts";

/** Carries out one change inside the draft. Throws when it fails: the draft then goes. */
export type MakeChange = (change: Change, chroot: Chroot, transaction: Transaction) => void;

export interface TransactionWish {
  volume: Volume;
  state: VolumeState;
  report: Report;
  command: string;
  description: string | undefined;
  make: MakeChange;
  binds: readonly { from: string; to: string }[];
}

export interface Outcome {
  /** The new generation, or undefined when nothing had changed. */
  generation: GenerationId | undefined;
  record: GenerationRecord | undefined;
  files: readonly PathChange[];
}

function installedPackages(root: string): InstalledPackage[] {
  return packageList(installedDatabase(root));
}

/** What the steps of one change work on. Without a commit, its end discards the draft. */
export class Transaction implements Disposable {
  draft: Draft | undefined;
  base: GenerationId | undefined;
  /** The fstab template from this generation on. */
  template: string;
  private newTemplate = false;
  private files: PathChange[] = [];
  private record: GenerationRecord | undefined;
  private done = false;
  private committed = false;
  private readonly undo: (() => void)[] = [];

  constructor(readonly wish: TransactionWish) {
    const { state, volume } = wish;
    const slot0 = state.slots[0];
    const own =
      slot0 === undefined ? undefined : readTextIfAny(`${volume.path}/${layout.generation(slot0)}/${ROOT}/etc/fstab`);
    this.template = state.template ?? (own === undefined ? "" : templateFromFstab(own));
  }

  get top(): string {
    return this.wish.volume.path;
  }

  get commons(): { name: string; path: string }[] {
    return commonsOf(this.template);
  }

  /** A template for this generation and all after it; written with the commit. */
  replaceTemplate(text: string): void {
    this.template = text;
    this.newTemplate = true;
  }

  /** What to take back, beside the draft, when this ends without a commit. */
  onDiscard(undo: () => void): void {
    this.undo.push(undo);
  }

  /** Carries out a plan. Stops between two steps when a signal has come. */
  run(steps: readonly ChangeStep[]): Outcome {
    for (const [index, step] of steps.entries()) {
      checkInterrupt();
      if (this.done) break;
      this.wish.report.step(index + 1, steps.length, describeStep(step));
      (executors[step.kind] as (step: ChangeStep, transaction: Transaction) => void)(step, this);
    }
    return {
      generation: this.record === undefined ? undefined : this.draft?.id,
      record: this.record,
      files: this.files,
    };
  }

  openDraft(id: GenerationId, base: GenerationId): void {
    this.base = base;
    this.draft = Draft.open(this.top, id, base);
  }

  private get opened(): Draft {
    if (this.draft === undefined) throw new Error("no draft is open");
    return this.draft;
  }

  private get baseRoot(): string {
    if (this.base === undefined) throw new Error("no draft is open");
    return `${this.top}/${layout.generation(this.base)}/${ROOT}`;
  }

  change(change: Change): void {
    using chroot = enterRoot({
      top: this.top,
      root: this.opened.root,
      commons: this.commons,
      binds: this.wish.binds,
      // Other changes may be meant for this very file.
      hostResolver: change.kind === "apk",
    });
    this.wish.make(change, chroot, this);
  }

  compare(force: boolean): void {
    const { root, id } = this.opened;
    this.keepFstabEdits();
    requireRootLine(this.template);
    writeText(insideRoot(root, "/etc/fstab"), renderFstab(this.template, id));
    // btrfs shows a change to a tree search only once it is flushed; sealing needs the data on disk anyway.
    flush(this.top);
    this.files = comparePaths(this.baseRoot, root).filter(({ path }) => path !== "etc/fstab");
    if (this.files.some(({ path }) => !isBookkeeping(path)) || force || this.newTemplate) return;
    this.opened[Symbol.dispose]();
    this.draft = undefined;
    this.done = true;
  }

  /** What the change did to /etc/fstab goes into the template, or the next generation would lose it. */
  private keepFstabEdits(): void {
    const edited = readTextIfAny(insideRoot(this.opened.root, "/etc/fstab"));
    const before = readTextIfAny(insideRoot(this.baseRoot, "/etc/fstab"));
    if (edited !== undefined && edited !== before) this.replaceTemplate(templateFromFstab(edited));
  }

  seal(): void {
    const { root } = this.opened;
    const { state, command, description } = this.wish;
    const parent = state.generations.find((generation) => generation.id === this.base)?.record ?? {};
    const release = alpineRelease(root);
    const conflicts = this.files
      .filter(({ path, kind }) => kind !== "removed" && path.endsWith(".apk-new"))
      .map(({ path }) => `/${path}`);
    this.record = {
      ...(this.base === undefined ? {} : { parent: this.base }),
      created: new Date().toISOString(),
      ...withKernel(this.checkKernels(parent)),
      ...(parent.flavor === undefined ? {} : { flavor: parent.flavor }),
      ...(release === undefined ? {} : { release }),
      ...(description === undefined ? {} : { description }),
      command,
      ...this.packages(parent.installedBytes),
      ...(conflicts.length === 0 ? {} : { conflicts }),
    };
    this.opened.seal(this.record);
  }

  private touched(...folders: string[]): boolean {
    return this.files.some(({ path }) => folders.some((folder) => path === folder || path.startsWith(`${folder}/`)));
  }

  /** Every kernel that the boot menu may name; `uname -r` of the first. */
  private checkKernels({ flavor, kernel }: GenerationRecord): string | undefined {
    const flavors = flavor === undefined ? kernelFlavors(this.baseRoot) : [flavor];
    // Only a base that firn sealed was checked before.
    const checked = kernel === undefined ? undefined : this.baseRoot;
    return flavors.map((name) => checkBootFiles(this.top, this.opened.root, name, checked))[0];
  }

  private packages(before: number | undefined): Pick<GenerationRecord, "changes" | "installedBytes"> {
    if (before !== undefined && !this.touched("lib/apk/db", "usr/lib/apk/db"))
      return { changes: [], installedBytes: before };
    const after = installedPackages(this.opened.root);
    return {
      changes: diffPackages(installedPackages(this.baseRoot), after),
      installedBytes: after.reduce((sum, { installedBytes }) => sum + installedBytes, 0),
    };
  }

  commit(slots: readonly GenerationId[]): void {
    try {
      commit(this.top, slots, () => {
        if (this.newTemplate) replaceTemplate(this.top, this.template);
      });
      this.committed = true;
    } catch (error) {
      this.committed = error instanceof FirnError && error.problem.code === "E_NOT_DURABLE";
      throw error;
    }
  }

  /** Without a commit everything goes: the draft, or the generation that was sealed but that nothing names. */
  [Symbol.dispose](): void {
    this.draft?.[Symbol.dispose]();
    if (this.committed) return;
    const sealed = this.record === undefined ? undefined : this.draft?.id;
    if (sealed !== undefined) {
      const { template } = this.wish.state;
      if (this.newTemplate && template !== undefined) replaceTemplate(this.top, template);
      deleteGeneration(`${this.top}/${layout.generation(sealed)}`);
    }
    for (const undo of this.undo) undo();
    if (sealed !== undefined || this.undo.length > 0) flush(this.top);
  }
}

/** Files that apk writes anew in every run, changed or not; a real change shows in its `installed` too. */
function isBookkeeping(path: string): boolean {
  return (
    /^(usr\/)?lib\/apk\/db\/(scripts\.tar(\.gz)?|triggers|lock)$/.test(path) || /^(usr\/)?lib\/apk\/db$/.test(path)
  );
}

/** Replaces the template so that a crash leaves the old or the new one: the text is on disk before it gets the name. */
export function replaceTemplate(top: string, text: string): void {
  const beside = `${top}/${layout.fstab}.new`;
  writeText(beside, text);
  flush(top);
  rename(beside, `${top}/${layout.fstab}`);
}

/** Throws E_FILE for a template that would make a generation without its own root. */
function requireRootLine(template: string): void {
  const root = parseFstab(template).find(({ path }) => path === "/");
  if (root?.options.some((option) => option.startsWith("subvol=") && option.includes(PLACEHOLDER))) return;
  throw new FirnError(
    "E_FILE",
    `The fstab of the next generation has no line that mounts / from ${PLACEHOLDER}/@. What boots was not touched.`,
    "Leave the line of / as it is; on a volume made by hand, write it into /fstab at its top level.",
  );
}

function withKernel(kernel: string | undefined): { kernel?: string } {
  return kernel === undefined ? {} : { kernel };
}

type Executors = {
  [Kind in ChangeStep["kind"]]: (step: Extract<ChangeStep, { kind: Kind }>, transaction: Transaction) => void;
};

const executors: Executors = {
  "discard-drafts": ({ names }, { top }) => {
    for (const name of names) deleteGeneration(`${top}/${layout.snapshots}/${name}`);
  },
  collect: ({ generations, linkSets }, { top }) => {
    collect(top, { generations, drafts: [], linkSets });
    // The room is what they were deleted for, and the kernel makes it in the background.
    awaitFreed(top, Number.MAX_SAFE_INTEGER);
  },
  "open-draft": ({ id, base }, transaction) => transaction.openDraft(id, base),
  change: ({ change }, transaction) => transaction.change(change),
  compare: ({ force }, transaction) => transaction.compare(force),
  seal: (_, transaction) => transaction.seal(),
  commit: ({ slots }, transaction) => transaction.commit(slots),
};
