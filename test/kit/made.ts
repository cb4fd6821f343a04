/** How the tests look at what firn made: partitions, the volume, the EFI partition, and what a run left behind. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { alpineMirror } from "../fixtures/fixtures.ts";

/** Why these tests cannot run here, or false. */
export const skip: string | false =
  process.getuid?.() !== 0
    ? "needs root"
    : existsSync(alpineMirror)
      ? false
      : "needs the mirror of Alpine packages at ../shared/alpine";

/** A folder for this test file, removed at its end. */
export function workFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `firn-${name}-`));
  after(() => execFileSync("rm", ["-rf", "--one-file-system", folder]));
  return folder;
}

/** A program that must end well; what it printed. */
export function sh(program: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  assert.equal(status, 0, `${program} ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

/** SHA-256 of a file or device, read whole. */
export function hashOf(path: string): string {
  const hash = createHash("sha256");
  const chunk = Buffer.alloc(1 << 20);
  const fd = openSync(path, "r");
  for (let read = readSync(fd, chunk); read > 0; read = readSync(fd, chunk)) hash.update(chunk.subarray(0, read));
  closeSync(fd);
  return hash.digest("hex");
}

export interface Part {
  name: string;
  /** sgdisk's code: EF00. */
  code: string;
  /** PARTUUID, upper case. */
  guid: string;
  startByte: number;
  bytes: number;
}

/** The partitions in the GPT of a disk or image with 512-byte sectors, as sgdisk reads them. */
export function partitions(target: string): Part[] {
  const rows = sh("sgdisk", "--print", target).split("\n").slice(-20);
  return rows.flatMap((row) => {
    const match = /^\s+(\d+)\s+(\d+)\s+(\d+)\s.*\s([0-9A-F]{4})\s+(\S+)$/.exec(row);
    if (match === null) return [];
    const [, number = "", first = "", last = "", code = "", name = ""] = match;
    const guid = /unique GUID: (\S+)/.exec(sh("sgdisk", `--info=${number}`, target))?.[1] ?? "";
    return [{ name, code, guid, startByte: Number(first) * 512, bytes: (Number(last) - Number(first) + 1) * 512 }];
  });
}

export function part(target: string, name: string): Part {
  const found = partitions(target).find((one) => one.name === name);
  assert.ok(found, `${target} has no partition ${name}`);
  return found;
}

/** A file as a loop device, detached when the scope ends. */
export function attached(file: string, options: readonly string[] = []): Disposable & { device: string } {
  const device = sh("losetup", "--find", "--show", ...options, file).trim();
  return { device, [Symbol.dispose]: () => void spawnSync("losetup", ["--detach", device]) };
}

function attachedPart(target: string, name: string, readonly: boolean): Disposable & { device: string } {
  const { startByte, bytes } = part(target, name);
  const bounds = [`--offset=${startByte}`, `--sizelimit=${bytes}`];
  return attached(target, [...bounds, ...(readonly ? ["--read-only"] : [])]);
}

/** The top level of a filesystem on a device, mounted in `work` until the scope ends. */
export function mounted(device: string, work: string, options = "ro"): Disposable & { top: string } {
  const top = mkdtempSync(join(work, "top-"));
  sh("mount", "-t", "btrfs", "-o", `${options},subvolid=5`, device, top);
  return {
    top,
    [Symbol.dispose]: () => {
      sh("umount", top);
      rmSync(top, { recursive: true });
    },
  };
}

/** Uses the top level of the volume in an image or on a disk. */
export function withVolume<T>(target: string, work: string, use: (top: string) => T, access: "ro" | "rw" = "ro"): T {
  using root = attachedPart(target, "ROOT", access === "ro");
  using mount = mounted(root.device, work, access);
  return use(mount.top);
}

/** `btrfs check` of the volume; throws when it complains. */
export function checkVolume(target: string): void {
  using root = attachedPart(target, "ROOT", true);
  sh("btrfs", "check", "--readonly", root.device);
}

/** The EFI partition of an image or disk, copied into a file of `work`. */
export function espOf(target: string, work: string): string {
  const { startByte, bytes } = part(target, "EFI");
  const file = join(mkdtempSync(join(work, "esp-")), "esp.img");
  const MiB = 2 ** 20;
  sh("dd", `if=${target}`, `of=${file}`, "bs=1M", `skip=${startByte / MiB}`, `count=${bytes / MiB}`, "conv=sparse");
  return file;
}

const mtools = { ...process.env, MTOOLSRC: "/dev/null", MTOOLS_SKIP_CHECK: "1" };

/** The EFI partition of an image or disk for mtools, in place. */
export function espIn(target: string): string {
  return `${target}@@${part(target, "EFI").startByte}`;
}

/** Paths of the files on a FAT, with capitals as they are: `EFI/BOOT/BOOTX64.EFI`. */
export function fatFiles(fat: string): string[] {
  const listed = execFileSync("mdir", ["-/", "-b", "-i", fat, "::"], { encoding: "utf8", env: mtools, stdio: "pipe" });
  return listed
    .split("\n")
    .filter((line) => line !== "" && !line.endsWith("/"))
    .map((line) => line.replace("::/", ""))
    .sort();
}

export function fatFile(fat: string, path: string): Buffer {
  return execFileSync("mtype", ["-i", fat, `::/${path}`], { env: mtools, maxBuffer: 1 << 26 });
}

/** Whether firmware would start this disk by itself. False for one without an EFI partition that can be read. */
export function startsByItself(target: string): boolean {
  try {
    return fatFiles(espIn(target)).includes("EFI/BOOT/BOOTX64.EFI");
  } catch {
    return false;
  }
}

function processText(pid: string, file: string): string {
  try {
    return readFileSync(join("/proc", pid, file), "utf8")
      .replaceAll("\0", " ")
      .trim();
  } catch {
    return "";
  }
}

/** Command lines of the processes that name `path`, those of this test excepted. */
function processesAt(path: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .map((pid) => processText(pid, "cmdline"))
    .filter((line) => line.includes(path));
}

/** What a run on a file below `path` left: loop devices (a mount would hold one), mounts in any namespace, processes. */
export function leftovers(path: string): string[] {
  const loops = readdirSync("/sys/block").filter((name) => name.startsWith("loop"));
  const held = loops.filter((name) => {
    const file = join("/sys/block", name, "loop/backing_file");
    try {
      return readFileSync(file, "utf8").includes(path);
    } catch {
      return false;
    }
  });
  const names = held.map((name) => `/dev/${name} `);
  const mounts = readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) =>
      processText(pid, "mountinfo")
        .split("\n")
        .filter((line) => line.includes(path) || names.some((name) => line.includes(name))),
    );
  return [...held.map((name) => `/dev/${name}`), ...new Set(mounts), ...processesAt(path)];
}

export const pause = (milliseconds: number): Promise<void> => new Promise((go) => setTimeout(go, milliseconds));

/** Waits for the kernel to clear away what a killed firn held: at most two seconds. */
export async function nothingLeft(path: string): Promise<void> {
  for (let waited = 0; ; waited += 50) {
    const left = leftovers(path);
    if (left.length === 0) return;
    assert.ok(waited < 2000, `left behind: ${left.join("\n")}`);
    await pause(50);
  }
}
