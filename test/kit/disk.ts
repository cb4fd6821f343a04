/** How the tests look at what firn made: partitions, the volume, the EFI partition. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";

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
