import { bootLoader } from "../../host/boot/loader.ts";
import { packageManager } from "../../host/packages/package-manager.ts";
import { mapPartition, type MappedPartition } from "../../host/disk/map.ts";
import { enterRoot, type Chroot } from "../../host/kernel/chroot.ts";
import type { BootEntryResult } from "../../host/boot/firmware.ts";
import type { Mount } from "../../host/kernel/mounts.ts";
import { MENU_TIMEOUT, bootModules } from "../../model/boot/menu.ts";
import { commonsName } from "../../model/volume/commons.ts";
import type { PackageSources } from "../../model/packages/wish.ts";
import type { MachineConfig } from "../../model/machine/machine.ts";
import { partitionNamed, type DiskLayout } from "../../model/disk/partitions.ts";
import { renderTemplate } from "../../model/volume/fstab.ts";
import type { GenerationRecord } from "../../model/volume/generation.ts";
import type { InstallStep } from "../../plan/install.ts";
import type { Report } from "../../report/report.ts";
import type { Draft, VolumeStore } from "../store/volume-store.ts";
import type { Prepared } from "./prepare.ts";
import { given } from "../../model/given.ts";

export interface InstallTarget {
  /** The disk or the image file. */
  path: string;
  kind: "disk" | "image";
}

/**
 * What the steps of an installation work on. Its end lets go of what is held; the draft stays when it fails, and says
 * where.
 */
export class Installation implements Disposable {
  /** Of an image, from when it is made; a disk is locked by who looked at it. */
  lock: Disposable | undefined;
  esp: MappedPartition | undefined;
  /** Nobody mounts the partition, nor claims its disk, meanwhile; the mount claims the other one. */
  espClaim: Disposable | undefined;
  rootPartition: MappedPartition | undefined;
  mount: Mount | undefined;
  store: VolumeStore | undefined;
  draft: Draft | undefined;
  rootUuid = "";
  swapUuid: string | undefined;
  kernel = "";
  sealed: GenerationRecord | undefined;
  loaderPath = "";
  bootEntry: BootEntryResult = { status: "skipped", reason: "an image" };

  constructor(
    readonly target: InstallTarget,
    readonly config: MachineConfig,
    readonly layout: DiskLayout,
    readonly prepared: Prepared,
    readonly report: Report,
  ) {}

  get volume(): VolumeStore {
    if (this.store === undefined) throw new Error("the volume is not mounted yet");
    return this.store;
  }

  get opened(): Draft {
    if (this.draft === undefined) throw new Error("no draft is open yet");
    return this.draft;
  }

  get shared(): { name: string; path: string }[] {
    return this.config.disk.commons.map((path) => ({ name: commonsName(path), path }));
  }

  get template(): string {
    const { compression } = this.config.disk;
    const { rootUuid, swapUuid, shared: commons } = this;
    return renderTemplate(given({ rootUuid, compression, commons, swapUuid }));
  }

  get menu(): string {
    const { system, disk } = this.config;
    const menu = given({
      slots: disk.slots,
      flavor: system.flavor,
      rootUuid: this.rootUuid,
      partitionGuid: partitionNamed(this.layout, "ROOT").guid,
      cmdline: system.cmdline,
      serial: system.serial,
      timeoutSeconds: MENU_TIMEOUT,
      modules: bootModules,
    });
    return bootLoader.menu(menu);
  }

  map(name: "EFI" | "ROOT"): MappedPartition {
    const { startByte, bytes } = partitionNamed(this.layout, name);
    return mapPartition(this.target.path, startByte, bytes, { readonly: false });
  }

  /** Runs the new system's own programs. */
  inside<T>(use: (chroot: Chroot, sources: PackageSources) => T): T {
    const { root } = this.opened;
    const { keysDir } = this.config.system;
    const sources = packageManager.sources(root, {
      repositories: [],
      keysDir,
      own: { repositories: [] },
      foldersOf: "host",
      save: false,
      allowOlder: false,
      dryRun: false,
    });
    using chroot = enterRoot({
      top: this.volume.top,
      root,
      commons: this.shared,
      binds: sources.binds,
      hostResolver: true,
    });
    return use(chroot, sources);
  }

  /** Says on the volume how far this has come, for whoever finds it unfinished. */
  note(step: InstallStep): void {
    if (this.store === undefined || this.draft === undefined) return;
    this.store.noteRecord(this.draft, { ...this.sealed, installing: step.kind });
  }

  [Symbol.dispose](): void {
    this.store?.[Symbol.dispose]();
    this.mount?.[Symbol.dispose]();
    this.rootPartition?.[Symbol.dispose]();
    this.espClaim?.[Symbol.dispose]();
    this.esp?.[Symbol.dispose]();
    this.lock?.[Symbol.dispose]();
  }
}
