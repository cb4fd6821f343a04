import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { buildFirn } from "../../../scripts/build.ts";
import type { Disk, DiskState } from "../../../src/model/disk/inspection.ts";
import type { DiskLayout, Partition } from "../../../src/model/disk/partitions.ts";
import type { Problem } from "../../../src/model/problem.ts";
import { behind } from "../../kit/firn.ts";
import { refindFolder, requires } from "../../kit/requires.ts";

const MiB = 2 ** 20;
const skip = requires("root", "loop", "refind");

let work = "";
let program = "";
const loops: string[] = [];

before(async () => {
  if (skip) return;
  work = mkdtempSync(join(tmpdir(), "firn-block-"));
  program = await buildFirn(join(import.meta.dirname, "../../kit/probes/block-probe.ts"), join(work, "probe"));
});

after(() => {
  for (const device of loops) spawnSync("losetup", ["-d", device]);
  if (work !== "") rmSync(work, { recursive: true, force: true });
});

/** What the probe's verbs give when nothing is refused. */
interface Answers {
  prepare: Prepared;
  inspect: Inspected;
  image: null;
  partitions: Partition[];
  refind: { loader: string; version: string };
  entry: { status: string; reason: string };
  mapTwice: [first: string, second: string];
}

function ask(verb: keyof Answers, input: unknown, within: readonly string[]): unknown {
  const [command, ...rest] = [...within, program, verb, JSON.stringify(input)];
  const ran = spawnSync(command ?? program, rest, { encoding: "utf8" });
  assert.equal(ran.stderr, "");
  return JSON.parse(ran.stdout);
}

function probe<V extends keyof Answers>(verb: V, input: unknown, within: readonly string[] = []): Answers[V] {
  return ask(verb, input, within) as Answers[V];
}

function refused(verb: keyof Answers, input: unknown, within: readonly string[] = []): Problem {
  return ask(verb, input, within) as Problem;
}

function sh(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: "utf8", env: { ...process.env, MTOOLS_SKIP_CHECK: "1" } });
}

function blank(name: string, bytes: number): string {
  const path = join(work, name);
  writeFileSync(path, "");
  truncateSync(path, bytes);
  return path;
}

function loop(path: string, ...options: string[]): string {
  const device = sh("losetup", "--find", "--show", ...options, path).trim();
  loops.push(device);
  return device;
}

interface Prepared {
  layout: DiskLayout;
  espId: string;
  rootUuid: string;
  swapUuid?: string;
  conf: string;
  loader: string;
  version?: string;
}

interface Inspected {
  state: DiskState;
  lines: string[];
  data: boolean;
  refusal: Problem | null;
}

function asDisk(state: DiskState): Disk {
  assert.ok(state.kind === "disk");
  return state;
}

const wish = { espBytes: 40 * MiB, swapBytes: 16 * MiB, minimumRootBytes: 256 * MiB };

/** A part of an image as a file of its own, so that checkers need no device. */
function cutOut(image: string, part: Partition): string {
  const path = join(work, `part-${part.name}`);
  const dd = ["bs=1M", `skip=${part.startByte / MiB}`, `count=${part.bytes / MiB}`, "conv=sparse", "status=none"];
  sh("dd", `if=${image}`, `of=${path}`, ...dd);
  return path;
}

test("an image gets partitions, filesystems and a boot loader that other programs agree with", { skip }, () => {
  const image = join(work, "whole.img");
  assert.equal(probe("image", { path: image, bytes: 512 * MiB, needed: MiB }), null);
  assert.equal(statSync(image).mode & 0o777, 0o600, "it will hold password hashes");
  assert.ok(statSync(image).blocks * 512 < MiB, "it is sparse");
  // Noise where an old table and an old file system would be.
  sh("dd", "if=/dev/urandom", `of=${image}`, "bs=1M", "count=3", "conv=notrunc", "status=none");
  const made = probe("prepare", { target: image, kind: "image", bytes: 512 * MiB, sectorBytes: 512, wish });
  assert.equal(made.version, sh("dpkg-query", "-W", "-f", "${Version}", "refind").replace(/-.*/, ""));
  assert.equal(made.loader, "\\EFI\\firn\\refind_x64.efi");

  assert.match(sh("sgdisk", "--verify", image), /No problems found/);
  const [efi, root, swap] = made.layout.partitions as [Partition, Partition, Partition];
  for (const part of [efi, root, swap]) {
    const info = sh("sgdisk", `--info=${part.number}`, image);
    assert.match(info, new RegExp(`Partition unique GUID: ${part.guid}`, "i"));
    assert.match(info, new RegExp(`First sector: ${part.firstSector} `));
    assert.match(info, new RegExp(`Last sector: ${part.lastSector} `));
    assert.match(info, new RegExp(`Partition name: '${part.name}'`));
  }
  const parsed = probe("partitions", { path: image });
  assert.deepEqual(
    parsed.map(({ name, guid, startByte, bytes }) => ({ name, guid, startByte, bytes })),
    made.layout.partitions.map(({ name, guid, startByte, bytes }) => ({ name, guid, startByte, bytes })),
  );

  const esp = cutOut(image, efi);
  sh("fsck.fat", "-n", esp);
  assert.match(sh("fsck.fat", "-nv", esp), /32 bit entries/);
  assert.equal(sh("blkid", "-p", "-o", "value", "-s", "UUID", esp).trim(), made.espId);
  const binary = readFileSync(`${refindFolder}/refind_x64.efi`);
  const driver = readFileSync(`${refindFolder}/drivers_x64/btrfs_x64.efi`);
  const read = (path: string): Buffer => execFileSync("mcopy", ["-i", esp, `::${path}`, "-"]);
  assert.ok(read("/EFI/BOOT/BOOTX64.EFI").equals(binary));
  assert.ok(read("/EFI/BOOT/drivers_x64/btrfs_x64.efi").equals(driver));
  assert.equal(read("/EFI/BOOT/refind.conf").toString(), made.conf);
  assert.ok(read("/EFI/firn/refind_x64.efi").equals(binary));
  assert.ok(read("/EFI/firn/drivers_x64/btrfs_x64.efi").equals(driver));
  assert.equal(read("/EFI/firn/refind.conf").toString(), made.conf);
  assert.doesNotMatch(sh("mdir", "-i", esp, "::/EFI/BOOT"), /NEW/);

  const rootFile = cutOut(image, root);
  sh("btrfs", "check", "--readonly", rootFile);
  assert.equal(sh("blkid", "-p", "-o", "value", "-s", "UUID", rootFile).trim(), made.rootUuid);
  assert.equal(sh("blkid", "-p", "-o", "value", "-s", "LABEL", rootFile).trim(), "ROOT");
  const swapFile = cutOut(image, swap);
  assert.equal(sh("blkid", "-p", "-o", "value", "-s", "UUID", swapFile).trim(), made.swapUuid);
  assert.equal(sh("losetup", "-j", image), "", "no loop device is left");
});

test("an installation that stops before its last step leaves nothing that firmware would start", { skip }, () => {
  const image = blank("stopped.img", 512 * MiB);
  const input = { target: image, kind: "image", bytes: 512 * MiB, sectorBytes: 512, wish, stopBeforeEnd: true };
  const made = probe("prepare", input);
  const esp = cutOut(image, made.layout.partitions[0] as Partition);
  assert.match(sh("mdir", "-b", "-i", esp, "::/EFI/firn"), /refind_x64\.efi/);
  assert.notEqual(spawnSync("mdir", ["-b", "-i", esp, "::/EFI/BOOT"]).status, 0);
});

test("a disk that somebody mounted since it was looked at gets no table: the first write is refused", { skip }, () => {
  const file = blank("mounted-late", 512 * MiB);
  const disk = loop(file);
  sh("mkfs.ext4", "-q", disk);
  const folder = mkdtempSync(join(work, "at-"));
  sh("mount", "-o", "ro,noload", disk, folder);
  const head = (): string => sh("sha256sum", disk);
  const before = head();
  const refusal = refused("prepare", { target: disk, kind: "disk", bytes: 512 * MiB, sectorBytes: 512, wish });
  sh("umount", folder);
  assert.equal(refusal.code, "E_DISK_BUSY");
  assert.match(refusal.message, /is in use now\.$/);
  assert.equal(head(), before);
});

test("a disk with sectors of 4096 bytes gets a table and a FAT in its own sectors", { skip }, () => {
  const file = blank("large-sectors", 768 * MiB);
  const disk = loop(file, "--sector-size", "4096");
  const found = asDisk(probe("inspect", { path: disk }).state);
  assert.equal(found.sectorBytes, 4096);
  const wanted = { espBytes: "auto", swapBytes: 0, minimumRootBytes: 256 * MiB };
  const made = probe("prepare", {
    target: disk,
    kind: "disk",
    bytes: found.bytes,
    sectorBytes: 4096,
    wish: wanted,
  });
  assert.match(sh("sgdisk", "--verify", disk), /No problems found/);
  const [efi] = made.layout.partitions as [Partition];
  assert.equal(efi.firstSector, 256);
  assert.ok(efi.bytes >= 257 * MiB);
  const parsed = probe("partitions", { path: disk });
  assert.deepEqual(
    parsed.map(({ startByte, bytes }) => [startByte, bytes]),
    made.layout.partitions.map(({ startByte, bytes }) => [startByte, bytes]),
  );
  // The same bytes as a file, whose sector size nobody tells.
  assert.deepEqual(probe("partitions", { path: file }), parsed);
  const esp = cutOut(disk, efi);
  assert.equal(readFileSync(esp).readUInt16LE(11), 4096, "bytes a sector in the FAT");
  assert.match(sh("fsck.fat", "-nv", esp), /32 bit entries/);
  assert.doesNotMatch(sh("fsck.fat", "-nv", esp), /less than/i);
  const state = probe("inspect", { path: disk });
  assert.equal(state.refusal, null);
  assert.equal(state.data, true);
  assert.match(state.lines.join("\n"), /"EFI".*FAT32 "EFI"\n.*"ROOT".*btrfs "ROOT"/);
});

test("what is on a disk is shown by its kind and label", { skip }, () => {
  const makers: [string, string, string[]][] = [
    ["ext4", "mkfs.ext4", ["-q", "-F", "-L", "HOMES"]],
    ["btrfs", "mkfs.btrfs", ["-q", "-f", "-L", "HOMES"]],
    ["swap", "mkswap", ["-q", "-L", "HOMES"]],
    ["FAT32", "mkfs.fat", ["-F", "32", "-n", "HOMES"]],
  ];
  const disk = loop(blank("contents", 300 * MiB));
  assert.deepEqual(probe("inspect", { path: disk }).lines.slice(1), ["  empty"]);
  sh("dd", "if=/dev/urandom", `of=${disk}`, "bs=1M", "count=300", "status=none", "conv=fsync");
  const random = probe("inspect", { path: disk });
  assert.deepEqual([random.lines[1], random.data], ["  whole disk: data of an unknown kind", true]);
  for (const [kind, command, args] of makers) {
    sh("dd", "if=/dev/zero", `of=${disk}`, "bs=1M", "count=1", "status=none", "conv=fsync");
    sh(command, ...args, disk);
    const { lines, data, refusal } = probe("inspect", { path: disk });
    assert.equal(lines[1], `  whole disk: ${kind} "HOMES"`);
    assert.equal(data, true);
    assert.equal(refusal, null);
  }
});

test("a disk in use is refused with what uses it, and where", { skip }, () => {
  const file = blank("busy", 512 * MiB);
  const disk = loop(file);
  probe("prepare", { target: disk, kind: "disk", bytes: 512 * MiB, sectorBytes: 512, wish });
  const parts = probe("partitions", { path: disk });
  const root = parts[1] as Partition;

  const inner = loop(disk, "--offset", String(root.startByte), "--sizelimit", String(root.bytes));
  const stacked = probe("inspect", { path: disk }).refusal;
  assert.equal(stacked?.code, "E_DISK_BUSY");
  assert.ok(stacked?.message.includes(`${disk} is in use by the loop device ${inner}`), stacked?.message);

  const place = join(work, "mounted here");
  mkdirSync(place);
  sh("mount", inner, place);
  try {
    const mounted = probe("inspect", { path: inner }).refusal;
    assert.equal(mounted?.code, "E_DISK_BUSY");
    assert.ok(mounted?.message.startsWith(`${inner} is mounted on ${place}`), mounted?.message);
    assert.match(mounted?.hint ?? "", /Unmount it/);
    // In a namespace that does not see the mount, the kernel still knows that the device is taken.
    const hidden = probe("inspect", { path: inner }, behind(`umount '${place}'`));
    assert.equal(hidden.refusal?.code, "E_DISK_BUSY");
  } finally {
    sh("umount", place);
  }
  // A mount namespace that someone else made meanwhile holds a copy of the mount until it goes.
  const deadline = Date.now() + 30_000;
  while (probe("inspect", { path: inner }).refusal !== null && Date.now() < deadline) sh("sleep", "0.1");
  assert.equal(probe("inspect", { path: inner }).refusal, null);
});

test("the disk of the running system is refused, and what is no disk is named for what it is", { skip }, () => {
  const missing = probe("inspect", { path: "/dev/no-such-disk" }).refusal;
  assert.equal(missing?.code, "E_DISK_MISSING");
  const file = probe("inspect", { path: blank("plain", MiB) }).refusal;
  assert.equal(file?.code, "E_DISK_MISSING");
  assert.match(file?.message ?? "", /is a regular file, not a disk/);
  const folder = probe("inspect", { path: work }).refusal;
  assert.match(folder?.message ?? "", /is a directory/);

  // Mounted over / in a namespace of its own: to what runs there, it is where / comes from.
  const disk = loop(blank("root", 16 * MiB));
  sh("mkfs.ext4", "-q", disk);
  const refusal = probe("inspect", { path: disk }, behind(`mount ${disk} /`)).refusal;
  assert.equal(refusal?.code, "E_DISK_BUSY");
  assert.match(refusal?.message ?? "", /holds the running system\.$/);
});

test(
  "the same bytes are never mapped through two devices, and a killed firn leaves no loop device",
  { skip },
  async () => {
    const image = blank("twice.img", 64 * MiB);
    const input = { target: image, start: 8 * MiB, bytes: 16 * MiB };
    const [first, second] = probe("mapTwice", input);
    assert.equal(first, second);
    assert.match(first, /^\/dev\/loop\d+$/);
    assert.equal(sh("losetup", "-j", image), "");

    const holder = spawn(program, ["hold", JSON.stringify(input)], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(holder.stdout, "data")) as [Buffer];
    const device = line.toString().trim();
    assert.match(sh("losetup", "-j", image), new RegExp(`^${device}:`));
    const [other] = probe("mapTwice", input);
    assert.equal(other, device, "a second firn joins the first one's device");
    const bounds = refused("mapTwice", { ...input, bytes: 8 * MiB });
    assert.equal(bounds.code, "E_LOOP");
    holder.kill("SIGKILL");
    await once(holder, "exit");
    assert.equal(sh("losetup", "-j", image), "");
  },
);

test("without loop devices the refusal says what to load", { skip }, () => {
  const image = blank("noloop.img", MiB);
  const hidden = behind("mount --bind /dev/null /dev/loop-control");
  const problem = refused("mapTwice", { target: image, start: 0, bytes: MiB }, hidden);
  assert.equal(problem.code, "E_LOOP");
  assert.match(problem.hint ?? "", /modprobe loop/);
});

test("an image is not made over a file, without its folder, or without the space", { skip }, () => {
  const there = blank("there.img", 5);
  assert.equal(refused("image", { path: there, bytes: MiB, needed: 0 }).code, "E_IMAGE_EXISTS");
  assert.equal(statSync(there).size, 5);
  assert.equal(refused("image", { path: `${work}/none/x.img`, bytes: MiB, needed: 0 }).code, "E_FILE");
  const path = join(work, "huge.img");
  const huge = refused("image", { path, bytes: 2 ** 50, needed: 2 ** 50 });
  assert.equal(huge.code, "E_IMAGE_SPACE");
  assert.match(huge.message, /1048576\.0 GiB/);
  assert.ok(!existsSync(path));
});

test("rEFInd is found in every layout it is packed in, and not without its driver", { skip }, () => {
  const lay = (name: string, loader: string, drivers: string, driver = true): string => {
    const base = join(work, name);
    mkdirSync(join(base, dirname(loader)), { recursive: true });
    cpSync(`${refindFolder}/refind_x64.efi`, join(base, loader));
    mkdirSync(join(base, drivers), { recursive: true });
    if (driver) cpSync(`${refindFolder}/drivers_x64/btrfs_x64.efi`, join(base, drivers, "btrfs_x64.efi"));
    return base;
  };
  const layouts = [
    lay("zip", "refind/refind_x64.efi", "refind/drivers_x64"),
    lay("alpine", "usr/share/refind/refind_x64.efi", "usr/share/refind/drivers_x86_64"),
    lay("debian", "usr/share/refind/refind/refind_x64.efi", "usr/share/refind/refind/drivers_x64"),
    refindFolder,
  ];
  for (const dir of layouts) {
    const found = probe("refind", { dir, arch: "x86_64" });
    assert.ok(found.loader.endsWith("/refind_x64.efi"), JSON.stringify(found));
    assert.match(found.version, /^\d+\.\d+/);
  }
  const without = refused("refind", {
    dir: lay("bare", "refind_x64.efi", "drivers_x64", false),
    arch: "x86_64",
  });
  assert.equal(without.code, "E_BOOT_LOADER");
  assert.match(without.message, /no btrfs driver \(drivers_x64\/btrfs_x64\.efi\)\.$/);
  const broken = lay("broken", "refind_x64.efi", "drivers_x64");
  writeFileSync(join(broken, "drivers_x64/btrfs_x64.efi"), "not a program");
  assert.match(refused("refind", { dir: broken, arch: "x86_64" }).message, /is no EFI program/);
  const other = refused("refind", { dir: refindFolder, arch: "aarch64" });
  assert.equal(other.code, "E_BOOT_LOADER");
  assert.match(other.message, /refind_aa64\.efi/);
});

test("without EFI variables the boot entry is skipped with the reason", { skip }, () => {
  // A machine that has them lends an empty /sys/firmware: a test must not touch them.
  const without = behind("mount -t tmpfs none /sys/firmware");
  const result = probe("entry", { guid: "x" }, without);
  assert.equal(result.status, "skipped");
  assert.match(result.reason, /not started by EFI firmware/);
});
