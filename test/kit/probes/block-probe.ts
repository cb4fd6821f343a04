/**
 * Not a test: the code of src/host for disks, called by block.test.ts in firn's own engine. `probe VERB JSON` prints
 * JSON, as main.ts prints an error: with its code.
 */
import { bootModules } from "../../../src/model/boot/menu.ts";
import { partitionNamed } from "../../../src/model/disk/partitions.ts";
import { planDisk, type DiskWish } from "../../../src/plan/disk.ts";
import { describeDisk, holdsData, refuseDisk } from "../../../src/model/disk/inspection.ts";
import { FirnError, isRefusal, orThrow } from "../../../src/model/problem.ts";
import { findPartitions, mapPartition, waitForPartitions } from "../../../src/host/disk/map.ts";
import { inspectDisk } from "../../../src/host/disk/inspect-disk.ts";
import { addBootEntry } from "../../../src/host/boot/firmware.ts";
import { bootLoader } from "../../../src/host/boot/loader.ts";
import {
  formatEsp,
  formatRoot,
  formatSwap,
  newGuids,
  writePartitionTable,
} from "../../../src/host/disk/make-filesystems.ts";
import { createImage } from "../../../src/host/disk/image.ts";
import { runningProcesses } from "../../../src/host/machine/processes.ts";
import { privateMounts } from "../../../src/host/kernel/process.ts";
import { sys } from "../../../src/host/kernel/sys.ts";

interface Prepare {
  target: string;
  kind: "disk" | "image";
  bytes: number;
  sectorBytes: number;
  wish: DiskWish;
  /** Leave the removable path unwritten, as an installation that stops before its last step does. */
  stopBeforeEnd?: boolean;
}

function prepare({ target, kind, bytes, sectorBytes, wish, stopBeforeEnd }: Prepare): unknown {
  privateMounts();
  const refind = orThrow(bootLoader.find({ arch: "x86_64" }));
  const layout = orThrow(planDisk({ kind, bytes, sectorBytes, memoryBytes: 2 ** 28 }, wish, newGuids()));
  writePartitionTable(target, layout);
  const shown = kind === "disk" && waitForPartitions(target, layout);
  const mapped = (name: "EFI" | "ROOT" | "SWAP") => {
    const part = layout.partitions.find((partition) => partition.name === name);
    return part && mapPartition(target, part.startByte, part.bytes, { readonly: false });
  };
  using esp = mapped("EFI");
  using root = mapped("ROOT");
  using swap = mapped("SWAP");
  if (esp === undefined || root === undefined) throw new Error("a layout without EFI or ROOT");
  const espId = formatEsp(esp.device, partitionNamed(layout, "EFI"), sectorBytes);
  const rootUuid = formatRoot(root.device);
  const swapUuid = swap && formatSwap(swap.device);
  const conf = bootLoader.menu({
    ...{ slots: 4, flavor: "virt", rootUuid, partitionGuid: partitionNamed(layout, "ROOT").guid, cmdline: "quiet" },
    ...{ serial: { port: "ttyS0", speed: 115200 }, timeoutSeconds: 5, modules: bootModules },
  });
  const loader = bootLoader.install(esp.device, refind, conf);
  if (!stopBeforeEnd) {
    bootLoader.enable(esp.device, refind, conf);
    bootLoader.enable(esp.device, refind, conf); // a second time, over the first
  }
  for (const each of [esp, root, swap]) each?.flush();
  return { layout, shown, espId, rootUuid, swapUuid, conf, loader, version: refind.version };
}

const verbs: Record<string, (input: never) => unknown> = {
  prepare,
  inspect: ({ path }: { path: string }) => {
    const state = inspectDisk(path);
    const lines = state.kind === "disk" ? describeDisk(state) : [];
    return {
      state,
      lines,
      data: state.kind === "disk" && holdsData(state),
      refusal: refuseDisk(state)?.problem ?? null,
    };
  },
  image: ({ path, bytes, needed }: { path: string; bytes: number; needed: number }) =>
    createImage(path, bytes, needed)?.problem ?? null,
  partitions: ({ path }: { path: string }) => findPartitions(path),
  refind: ({ dir, arch }: { dir: string; arch: "x86_64" | "aarch64" }) => {
    const found = bootLoader.find({ dir, arch });
    return isRefusal(found) ? found.problem : found;
  },
  entry: ({ guid, folder }: { guid: string; folder?: string }) => {
    const machine = folder === undefined ? undefined : { folder, guids: new Set<string>() };
    const partition = { number: 1, firstBlock: 2048, blocks: 409_600, guid };
    return addBootEntry({ label: "firn", partition, loader: "\\EFI\\firn\\refind_x64.efi" }, machine);
  },
  mapTwice: ({ target, start, bytes }: { target: string; start: number; bytes: number }) => {
    using first = mapPartition(target, start, bytes, { readonly: false });
    using second = mapPartition(target, start, bytes, { readonly: true });
    return [first.device, second.device];
  },
  processes: () => runningProcesses(),
  hold: ({ target, start, bytes }: { target: string; start: number; bytes: number }) => {
    using held = mapPartition(target, start, bytes, { readonly: false });
    sys.write(1, `${held.device}\n`);
    for (;;) sys.poll([], 60_000);
  },
};

const [, verb = "", input = "{}"] = sys.args;
try {
  sys.write(1, `${JSON.stringify(verbs[verb]?.(JSON.parse(input) as never) ?? null)}\n`);
  sys.exit(0);
} catch (error) {
  const problem = error instanceof FirnError ? error.problem : { code: "E_INTERNAL", message: String(error) };
  sys.write(1, `${JSON.stringify(problem)}\n`);
  sys.exit(1);
}
