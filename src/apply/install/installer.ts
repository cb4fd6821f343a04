import service from "../../../system/firn.initd";
import { apk, signingKeys, type ApkTarget } from "../../host/packages/apk/apk.ts";
import { mapPartition, waitForPartitions, type MappedPartition } from "../../host/disk/map.ts";
import { alpineRelease, bootFiles, checkBootFiles } from "../../host/boot/read-boot-files.ts";
import { createSubvolume, flush } from "../../host/volume/btrfs.ts";
import { enterRoot } from "../../host/kernel/chroot.ts";
import { addBootEntry, type BootEntryResult } from "../../host/boot/firmware.ts";
import { enableRemovablePath, writeBootLoader } from "../../host/boot/esp.ts";
import {
  copyFile,
  exists,
  insideRoot,
  makeDirectories,
  makeDirectory,
  names,
  replaceText,
  writeText,
} from "../../host/kernel/files.ts";
import { formatEsp, formatRoot, formatSwap, writePartitionTable } from "../../host/disk/format.ts";
import { installedDatabase } from "../../host/volume/roots.ts";
import type { Mount } from "../../host/kernel/mounts.ts";
import { checkInterrupt } from "../../host/kernel/run.ts";
import { seedCommons } from "../../host/volume/seed.ts";
import { mountTop } from "../../host/volume/open-volume.ts";
import { packageList } from "../../model/packages/database.ts";
import { MENU_TIMEOUT, bootModules, renderRefindConf } from "../../model/boot/menu.ts";
import { commonsName } from "../../model/volume/commons.ts";
import type { MachineConfig } from "../../model/machine/machine.ts";
import { exampleOf } from "../../model/config/example.ts";
import { firnToml } from "../../model/machine/firn-toml.ts";
import { partitionNamed } from "../../model/disk/layout.ts";
import { renderFstab, renderTemplate } from "../../model/volume/fstab.ts";
import { renderRecord, type GenerationRecord } from "../../model/volume/generation.ts";
import type { GenerationId } from "../../model/volume/ids.ts";
import { METADATA, RECORD_MODE, layout } from "../../model/volume/layout.ts";
import { renderMkinitfsConf } from "../../model/machine/machine-files.ts";
import { FirnError } from "../../model/problem.ts";
import { rotate } from "../../model/volume/slots.ts";
import { describeInstallStep, type InstallPlan, type InstallStep } from "../../plan/install.ts";
import type { Report } from "../../report/report.ts";
import { commit } from "../commit.ts";
import { Draft, newGenerationId } from "../draft.ts";
import { insideApk, packageSources } from "../packages.ts";
import { makeReadonlyReady, setIdentity } from "./machine.ts";
import type { Prepared } from "./prepare.ts";

export interface InstallWish {
  /** The disk or the image file. */
  path: string;
  kind: "disk" | "image";
  config: MachineConfig;
  plan: InstallPlan;
  prepared: Prepared;
  report: Report;
  command: string;
}

export interface Installed {
  generation: GenerationId;
  kernel: string;
  release: string | undefined;
  bootEntry: BootEntryResult;
}

/** An installation under way. What it holds is released when its scope ends; the draft stays when it fails, and says where. */
export class Installer implements Disposable, Record<InstallStep, () => void> {
  private esp: MappedPartition | undefined;
  private rootPartition: MappedPartition | undefined;
  private mount: Mount | undefined;
  private draft: Draft | undefined;
  private rootUuid = "";
  private swapUuid: string | undefined;
  private kernelRelease = "";
  private sealed: GenerationRecord | undefined;
  private loaderPath = "";
  private bootEntry: BootEntryResult = { status: "skipped", reason: "an image" };

  constructor(private readonly wish: InstallWish) {}

  run(): Installed {
    const { plan, report, config } = this.wish;
    for (const [index, step] of plan.steps.entries()) {
      checkInterrupt();
      report.step(index + 1, plan.steps.length, describeInstallStep(step, config, plan.layout));
      this.note(step);
      this[step]();
    }
    this.note(undefined);
    flush(this.top);
    return {
      generation: this.id,
      kernel: this.kernelRelease,
      release: alpineRelease(`${this.top}/${layout.generation(this.id)}/@`),
      bootEntry: this.bootEntry,
    };
  }

  /** Says on the volume how far this has come, for whoever finds it unfinished. */
  private note(step: InstallStep | undefined): void {
    if (this.mount === undefined || this.draft === undefined) return;
    const progress = step === undefined ? {} : { installing: step };
    if (this.sealed !== undefined) {
      const file = `${this.top}/${layout.generation(this.id)}/${METADATA}`;
      replaceText(file, renderRecord({ ...this.sealed, ...progress }), RECORD_MODE);
    } else if (step !== undefined) {
      this.draft.note({ installing: step });
    }
  }

  private get top(): string {
    if (this.mount === undefined) throw new Error("the volume is not mounted yet");
    return this.mount.path;
  }

  private get opened(): Draft {
    if (this.draft === undefined) throw new Error("no draft is open yet");
    return this.draft;
  }

  private get id(): GenerationId {
    return this.opened.id;
  }

  private get shared(): { name: string; path: string }[] {
    return this.wish.config.disk.commons.map((path) => ({ name: commonsName(path), path }));
  }

  private map(name: "EFI" | "ROOT"): MappedPartition {
    const { startByte, bytes } = partitionNamed(this.wish.plan.layout, name);
    return mapPartition(this.wish.path, startByte, bytes, { readonly: false });
  }

  partition(): void {
    const { path, kind, plan } = this.wish;
    writePartitionTable(path, plan.layout);
    if (kind === "disk") waitForPartitions(path, plan.layout);
  }

  format(): void {
    const { plan, path } = this.wish;
    this.esp = this.map("EFI");
    this.rootPartition = this.map("ROOT");
    formatEsp(this.esp.device, partitionNamed(plan.layout, "EFI"), plan.layout.sectorBytes);
    this.rootUuid = formatRoot(this.rootPartition.device);
    const swap = partitionNamed(plan.layout, "SWAP");
    if (swap === undefined) return;
    using mapped = mapPartition(path, swap.startByte, swap.bytes, { readonly: false });
    this.swapUuid = formatSwap(mapped.device);
  }

  volume(): void {
    const { compression } = this.wish.config.disk;
    // Nothing but firn uses this filesystem now, so the log tree, which rEFInd cannot read, can be done without.
    const options = `,notreelog${compression === "none" ? "" : `,compress=${compression}`}`;
    this.mount = mountTop(this.rootPartition?.device ?? "", "write", options);
    for (const folder of [layout.next, layout.links, layout.snapshots, layout.commons])
      makeDirectory(`${this.top}/${folder}`);
    this.draft = Draft.open(this.top, newGenerationId(this.top), undefined);
    this.draft.keep();
    this.draft.note({ installing: "volume" });
    flush(this.top);
  }

  base(): void {
    const { prepared, report } = this.wish;
    const target: ApkTarget = { ...prepared.target, root: this.opened.root };
    install(target, ["--initdb", "add", ...prepared.sets.base], report);
    const root = this.opened.root;
    writeText(insideRoot(root, "/etc/apk/repositories"), prepared.repositories.map((line) => `${line}\n`).join(""));
    const keys = insideRoot(root, "/etc/apk/keys");
    makeDirectories(keys);
    // Beside Alpine's own (alpine-keys): those that the user gave, and those that its repositories are signed with. What else the
    // installing host trusts is no business of this system.
    const { keysDir } = this.wish.config.system;
    const wanted = new Set([...(keysDir === undefined ? [] : names(keysDir)), ...signingKeys(prepared.target)]);
    for (const name of names(prepared.target.keysDir).filter((key) => wanted.has(key))) {
      if (!exists(`${keys}/${name}`)) copyFile(`${prepared.target.keysDir}/${name}`, `${keys}/${name}`, 0o644);
    }
  }

  commons(): void {
    for (const { name, path } of this.shared) {
      const folder = `${this.top}/${layout.common(name)}`;
      const covered = insideRoot(this.opened.root, path);
      makeDirectories(covered);
      createSubvolume(folder);
      seedCommons(covered, folder, path);
    }
    writeText(`${this.top}/${layout.fstab}`, this.template);
  }

  private inside(use: (target: ApkTarget, root: string) => void): void {
    const { root } = this.opened;
    const text = this.wish.prepared.repositories.map((line) => `${line}\n`).join("");
    const sources = packageSources(root, text, {
      repositories: [],
      keysDir: this.wish.config.system.keysDir,
      save: false,
    });
    using chroot = enterRoot({ top: this.top, root, commons: this.shared, binds: sources.binds, hostResolver: true });
    use(insideApk(chroot.path, sources), chroot.path);
  }

  packages(): void {
    const { prepared, report } = this.wish;
    this.inside((target, root) => {
      install(target, ["add", ...prepared.sets.packages], report);
      if (prepared.packaged) return;
      makeDirectories(insideRoot(root, "/usr/sbin"));
      copyFile("/proc/self/exe", `${insideRoot(root, "/usr/sbin")}/firn`, 0o755);
      makeDirectories(insideRoot(root, "/etc/firn"));
      writeText(`${insideRoot(root, "/etc/firn")}/firn.toml`, exampleOf(firnToml));
      writeText(`${insideRoot(root, "/etc/init.d")}/firn`, service, 0o755);
    });
  }

  kernel(): void {
    const { prepared, report, config } = this.wish;
    this.inside((target, root) => {
      // Before the kernel: its trigger makes the initramfs from this.
      makeDirectories(insideRoot(root, "/etc/mkinitfs"));
      writeText(
        `${insideRoot(root, "/etc/mkinitfs")}/mkinitfs.conf`,
        renderMkinitfsConf(config.identity.keymap !== undefined),
      );
      install(target, ["add", ...prepared.sets.kernel], report);
    });
    const { flavor } = config.system;
    for (const path of Object.values(bootFiles(this.opened.root, flavor))) {
      if (exists(path)) continue;
      throw new FirnError(
        "E_BOOT_FILES",
        `linux-${flavor} was installed, but there is no ${path.slice(this.opened.root.length)}: this system would not boot.`,
        "Choose another kernel: --flavor lts or virt.",
      );
    }
  }

  identity(): void {
    this.inside((_, root) => setIdentity(root, this.wish.config));
  }

  readiness(): void {
    this.inside((_, root) => makeReadonlyReady(root, this.wish.config));
  }

  private get menu(): string {
    const { config, plan } = this.wish;
    const { system, disk } = config;
    return renderRefindConf({
      slots: disk.slots,
      flavor: system.flavor,
      rootUuid: this.rootUuid,
      partitionGuid: partitionNamed(plan.layout, "ROOT").guid,
      cmdline: system.cmdline,
      ...(system.serial === undefined ? {} : { serial: system.serial }),
      timeoutSeconds: MENU_TIMEOUT,
      modules: bootModules,
    });
  }

  loader(): void {
    this.loaderPath = writeBootLoader(this.esp?.device ?? "", this.wish.prepared.refind, this.menu);
  }

  seal(): void {
    const { root } = this.opened;
    const { config, command } = this.wish;
    writeText(insideRoot(root, "/etc/fstab"), renderFstab(this.template, this.id));
    flush(this.top);
    this.kernelRelease = checkBootFiles(this.top, root, config.system.flavor, undefined);
    const release = alpineRelease(root);
    const record: GenerationRecord = {
      created: new Date().toISOString(),
      kernel: this.kernelRelease,
      flavor: config.system.flavor,
      ...(release === undefined ? {} : { release }),
      description: "Installed",
      command,
      installedBytes: packageList(installedDatabase(root)).reduce((sum, { installedBytes }) => sum + installedBytes, 0),
    };
    this.opened.seal({ ...record, installing: "seal" });
    this.sealed = record;
  }

  private get template(): string {
    const { compression } = this.wish.config.disk;
    const swap = this.swapUuid === undefined ? {} : { swapUuid: this.swapUuid };
    return renderTemplate({ rootUuid: this.rootUuid, compression, commons: this.shared, ...swap });
  }

  commit(): void {
    commit(this.top, rotate([], this.id, this.wish.config.disk.slots));
  }

  enable(): void {
    const { kind, path, plan, prepared } = this.wish;
    enableRemovablePath(this.esp?.device ?? "", prepared.refind, this.menu);
    if (kind !== "disk") return;
    const { number, guid } = partitionNamed(plan.layout, "EFI");
    this.bootEntry = addBootEntry({
      disk: path,
      partitionNumber: number,
      partitionGuid: guid,
      label: "firn",
      loaderPath: this.loaderPath,
    });
  }

  /** Unmounts with the result checked: the last flush of an image happens here. */
  finish(): void {
    this.mount?.release();
  }

  [Symbol.dispose](): void {
    this.mount?.[Symbol.dispose]();
    this.rootPartition?.[Symbol.dispose]();
    this.esp?.[Symbol.dispose]();
  }
}

function install(target: ApkTarget, args: readonly string[], report: Report): void {
  const { notes } = apk(target, args, { onProgress: (n, of, text) => report.detail(`(${n}/${of}) ${text}`) });
  for (const note of notes) report.detail(note);
}
