import { checkBootFiles } from "../../host/boot/read-boot-files.ts";
import { addBootEntry } from "../../host/boot/firmware.ts";
import { bootLoader } from "../../host/boot/loader.ts";
import { packageManager } from "../../host/packages/package-manager.ts";
import { formatEsp, formatRoot, formatSwap, writePartitionTable } from "../../host/disk/make-filesystems.ts";
import { createImage, removeImage } from "../../host/disk/image.ts";
import { mediaOf } from "../../host/disk/medium.ts";
import { mapPartition, waitForPartitions } from "../../host/disk/map.ts";
import { claim } from "../../host/kernel/devices.ts";
import { cleanUp } from "../../host/kernel/failure.ts";
import { lockMedia } from "../../host/kernel/lock.ts";
import { mountTop } from "../../host/volume/open-volume.ts";
import { installedBytesOf } from "../../model/packages/database.ts";
import { given } from "../../model/given.ts";
import { indexTimes } from "../../model/packages/index.ts";
import { partitionNamed } from "../../model/disk/partitions.ts";
import { orThrow } from "../../model/problem.ts";
import { renderFstab } from "../../model/volume/fstab.ts";
import { rotate } from "../../model/volume/slots.ts";
import type { InstallStep } from "../../plan/install.ts";
import type { Executors } from "../run-plan.ts";
import { VolumeStore } from "../store/volume-store.ts";
import type { Installation } from "./installation.ts";
import { makeReadonlyReady, setIdentity } from "./ready-root.ts";
import { installBase, installKernel, installPackages } from "./packages.ts";

function format({ target, layout }: Installation, swapUuid: (uuid: string) => void): void {
  const swap = partitionNamed(layout, "SWAP");
  if (swap === undefined) return;
  using mapped = mapPartition(target.path, swap.startByte, swap.bytes, { readonly: false });
  swapUuid(formatSwap(mapped.device));
}

function layOut(context: Installation): void {
  const { compression } = context.config.disk;
  // Nothing but firn uses this filesystem now, so the log tree, which the boot loader cannot read, can be done without.
  const options = `,notreelog${compression === "none" ? "" : `,compress=${compression}`}`;
  context.mount = mountTop(context.rootPartition?.device ?? "", "write", options);
  const store = new VolumeStore(context.mount.path);
  context.store = store;
  store.layOut();
  context.draft = store.openDraft(store.newId(), undefined);
  context.note({ kind: "volume" });
  store.flush();
}

function makeCommons(context: Installation): void {
  const { volume, opened, shared, template } = context;
  for (const { name, path } of shared) {
    opened.root.makeDirectories(path);
    using covered = opened.root.point(path);
    if (covered !== undefined) volume.addCommons(name, covered.folder);
  }
  volume.writeTemplate(template);
}

function seal(context: Installation): void {
  const { volume, opened, config, target, kernel, prepared } = context;
  const record = given({
    created: new Date().toISOString(),
    kernel,
    flavor: config.system.flavor,
    release: packageManager.release(opened.root),
    description: "Installed",
    command: target.kind === "disk" ? "firn install" : "firn image",
    indexes: indexTimes(prepared.supply.indexes()),
    installedBytes: installedBytesOf(packageManager.installed(opened.root)),
  });
  volume.seal(opened, { ...record, installing: "seal" });
  context.sealed = record;
}

function enable(context: Installation): void {
  const { target, layout, prepared, menu, loaderPath } = context;
  bootLoader.enable(context.esp?.device ?? "", prepared.loader, menu);
  if (target.kind !== "disk") return;
  const { number, firstSector, lastSector, guid } = partitionNamed(layout, "EFI");
  const partition = { number, firstBlock: firstSector, blocks: lastSector - firstSector + 1, guid };
  context.bootEntry = addBootEntry({ label: "firn", partition, loader: loaderPath });
}

export const installExecutors: Executors<InstallStep, Installation> = {
  "create-image": ({ bytes, neededBytes }, context, work) => {
    const { path } = context.target;
    const refusal = createImage(path, bytes, neededBytes);
    if (refusal !== undefined) orThrow(refusal);
    context.lock = lockMedia(mediaOf(path), "firn image", undefined, (text) => context.report.note(text));
    work.stands("nothing changed", path);
    work.undo(() => removeImage(path), "image removed");
  },
  partition: ({ layout }, { target: { path, kind } }, work) => {
    writePartitionTable(path, layout, () => {
      if (kind === "disk") work.stands("disk unfinished", path);
    });
    if (kind === "disk") waitForPartitions(path, layout);
  },
  format: (_, context) => {
    const { layout } = context;
    context.esp = context.map("EFI");
    context.rootPartition = context.map("ROOT");
    formatEsp(context.esp.device, partitionNamed(layout, "EFI"), layout.sectorBytes);
    context.espClaim = claim(context.esp.device);
    context.rootUuid = formatRoot(context.rootPartition.device);
    format(context, (uuid) => {
      context.swapUuid = uuid;
    });
  },
  volume: (_, context) => layOut(context),
  base: ({ packages }, context) => installBase(context, packages),
  commons: (_, context) => makeCommons(context),
  packages: ({ packages }, context) => installPackages(context, packages),
  kernel: ({ packages }, context) => installKernel(context, packages),
  identity: (_, context) => context.inside((chroot) => setIdentity(chroot, context.config)),
  readiness: (_, context) => context.inside((chroot) => makeReadonlyReady(chroot, context.config)),
  loader: (_, context) => {
    context.loaderPath = bootLoader.install(context.esp?.device ?? "", context.prepared.loader, context.menu);
  },
  fstab: (_, { opened, template }) => opened.root.write("/etc/fstab", renderFstab(template, opened.id)),
  flush: (_, { volume }) => volume.flush(),
  "make-readable": ({ flavor }, { volume, opened }) => {
    if (bootLoader.makeReadable(opened.root, [flavor]).length > 0) volume.flush();
  },
  "boot-files": ({ flavor }, context) => {
    context.kernel = checkBootFiles(context.volume.top, context.opened.root, flavor, undefined);
  },
  seal: (_, context) => seal(context),
  commit: ({ slots }, { volume, opened }) => volume.commit(rotate([], opened.id, slots), () => {}, opened),
  enable: (_, context) => enable(context),
  finish: (_, { volume, opened, sealed = {}, mount }) => {
    volume.flush();
    volume.noteRecord(opened, sealed);
    try {
      volume.flush();
      volume[Symbol.dispose]();
      // Unmounted with the result checked: the last flush of an image happens here.
      mount?.release();
    } catch (error) {
      cleanUp(() => volume.noteRecord(opened, { ...sealed, installing: "finish" }));
      throw error;
    }
  },
};
