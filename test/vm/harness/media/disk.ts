import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { dieWithParent, type ProgramOptions, type ProgramResult, runProgram } from "../program.ts";

/** A stretch of a disk image, in bytes. */
export interface Extent {
  readonly start: number;
  readonly size: number;
}

export interface Partition extends Extent {
  /** The GPT partition GUID, as rEFInd's `volume` and the kernel's PARTUUID take it. */
  readonly guid: string;
}

export interface PartitionWish {
  readonly name: string;
  /** sgdisk's type code: ef00, 8300, 8200 */
  readonly type: string;
  /** Mebibytes; 0: all that is left. Only the last may be 0. */
  readonly mebibytes: number;
}

const mebibyte = 1024 * 1024;

/** A folder of its own under the temporary folder, removed when disposed of. */
export async function temporaryFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "firn-disk-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Makes a sparse raw image. Throws when the file exists. */
export async function blankImage(file: string, mebibytes: number): Promise<void> {
  const handle = await open(file, "wx", 0o600);
  try {
    await handle.truncate(mebibytes * mebibyte);
  } finally {
    await handle.close();
  }
}

/** Writes a GPT with the wished partitions, aligned to 1 MiB, and returns where they lie. */
export async function partitionImage(file: string, wishes: readonly PartitionWish[]): Promise<Partition[]> {
  const argv = ["sgdisk", "--clear"];
  wishes.forEach((wish, index) => {
    const number = index + 1;
    argv.push(`--new=${number}:0:${wish.mebibytes === 0 ? "0" : `+${wish.mebibytes}M`}`);
    argv.push(`--typecode=${number}:${wish.type}`, `--change-name=${number}:${wish.name}`);
  });
  await runProgram([...argv, file]);
  return await Promise.all(wishes.map((_, index) => readPartition(file, index + 1)));
}

/** Where partition `number` (from 1) of an image lies, and its GUID. Throws when there is none. */
export async function readPartition(file: string, number: number): Promise<Partition> {
  const { stdout } = await runProgram(["sgdisk", `--info=${number}`, file]);
  const field = (pattern: RegExp): string => {
    const value = pattern.exec(stdout)?.[1];
    if (value === undefined) throw new Error(`${file} has no partition ${number}: sgdisk says ${stdout.trim()}`);
    return value;
  };
  const first = Number(field(/^First sector: (\d+)/m));
  const last = Number(field(/^Last sector: (\d+)/m));
  const guid = field(/^Partition unique GUID: ([0-9A-F-]+)/m).toLowerCase();
  // Images are read with 512-byte sectors, sgdisk's default for files.
  return { start: first * 512, size: (last - first + 1) * 512, guid };
}

/** Makes FAT32 inside an image and copies host files to it: target path on the ESP → file or folder of the host. */
export async function makeEsp(file: string, where: Extent, files: Readonly<Record<string, string>>): Promise<void> {
  const sectors = String(where.start / 512);
  // One sector a cluster: FAT32 needs 65,525 clusters, and mtools refuses an image that has fewer.
  const format = ["mkfs.fat", "-F", "32", "-s", "1", "-n", "EFI", "--offset", sectors];
  await runProgram([...format, file, String(where.size / 1024)]);
  const image = `${file}@@${where.start}`;
  const made = new Set<string>();
  for (const [target, source] of Object.entries(files)) {
    const folders: string[] = [];
    for (let folder = dirname(target); folder !== "/" && folder !== "."; folder = dirname(folder))
      folders.unshift(folder);
    for (const folder of folders.filter((name) => !made.has(name))) {
      await runProgram(["mmd", "-i", image, `::${folder}`]);
      made.add(folder);
    }
    await runProgram(["mcopy", "-i", image, "-s", source, `::${target}`]);
  }
}

/** Makes btrfs inside an image; further arguments go to mkfs.btrfs. Returns the filesystem's UUID. */
export async function makeBtrfs(file: string, where: Extent, argv: readonly string[] = []): Promise<string> {
  // mkfs.btrfs knows no offset: it gets a loop device, which is let go at once.
  const loop = await runProgram([
    "losetup",
    "--find",
    "--show",
    "--offset",
    String(where.start),
    "--sizelimit",
    String(where.size),
    file,
  ]);
  const device = loop.stdout.trim();
  try {
    const { stdout } = await runProgram(["mkfs.btrfs", "--force", ...argv, device]);
    const uuid = /^UUID:\s+(\S+)/m.exec(stdout)?.[1];
    if (uuid === undefined) throw new Error(`mkfs.btrfs names no UUID:\n${stdout}`);
    return uuid;
  } finally {
    await runProgram(["losetup", "--detach", device]);
  }
}

/** A filesystem of an image, mounted where only `run` and `path` reach it. Unmounts when disposed of. */
export interface MountedImage extends AsyncDisposable {
  /** The root of the filesystem, seen from this process. */
  readonly path: string;
  /** Where it is mounted for the programs that `run` starts. */
  readonly inside: string;
  /** Runs a program that sees the mount at `inside`, which is also its working directory. */
  run(argv: readonly string[], options?: ProgramOptions): Promise<ProgramResult>;
}

export interface MountImageOptions {
  readonly where?: Extent;
  readonly type?: string;
  /** mount -o options besides the loop's own. */
  readonly options?: readonly string[];
}

/**
 * Mounts a filesystem inside a raw image in a mount namespace of its own: it ends with this process, its loop device
 * with it. Throws with mount's message.
 */
export async function mountImage(file: string, options: MountImageOptions = {}): Promise<MountedImage> {
  const inside = await mkdtemp(join(tmpdir(), "firn-mount-"));
  const argv = [...dieWithParent(), "unshare", "--mount", "--propagation", "private", "cat"];
  // cat ends when our end of its input closes, also when this process is killed and setpriv is not there to tell.
  const holder = spawn(argv[0] ?? "unshare", argv.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
  await ready(holder);
  const path = `/proc/${holder.pid}/root${inside}`;
  const enter = ["nsenter", "--mount", `--target=${holder.pid}`];
  const release = async (): Promise<void> => {
    const gone = new Promise((resolve) => holder.once("close", resolve));
    holder.stdin?.end();
    await gone;
    await rm(inside, { recursive: true, force: true });
  };
  const { where } = options;
  const loop = where === undefined ? ["loop"] : ["loop", `offset=${where.start}`, `sizelimit=${where.size}`];
  try {
    const flags = [...loop, ...(options.options ?? [])].join(",");
    await runProgram([...enter, "mount", "-t", options.type ?? "btrfs", "-o", flags, file, inside]);
  } catch (error) {
    await release();
    throw error;
  }
  return {
    path,
    inside,
    // nsenter opens the working directory before it enters: it must be named as this process sees it.
    run: (command, programOptions) => runProgram([...enter, `--wd=${path}`, ...command], programOptions),
    async [Symbol.asyncDispose]() {
      try {
        // Not lazily: what was written must be in the image before a machine opens it.
        await runProgram([...enter, "umount", inside]);
      } finally {
        await release();
      }
    },
  };
}

/** Waits until the holder runs cat: by then the namespace exists. */
async function ready(holder: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    holder.once("error", reject);
    holder.once("close", (code) => reject(new Error(`unshare --mount ended with status ${code}`)));
    holder.stdout?.once("data", () => resolve());
    holder.stdin?.write("\n");
  });
}

/** A qcow2 file in `folder` that holds what is written on top of `base`, which stays as it is. */
export async function overlay(
  base: string,
  folder: string,
  format: "raw" | "qcow2" = "raw",
): Promise<{ readonly file: string; readonly format: "qcow2" }> {
  const file = join(await mkdtemp(join(folder, "overlay-")), "disk.qcow2");
  await runProgram(["qemu-img", "create", "-q", "-f", "qcow2", "-F", format, "-b", base, file]);
  return { file, format: "qcow2" };
}

/** Copies what an overlay shows into a sparse raw image, so that mountImage can look inside. */
export async function flatten(overlayFile: string, rawFile: string): Promise<void> {
  await runProgram(["qemu-img", "convert", "-q", "-f", "qcow2", "-O", "raw", overlayFile, rawFile]);
}
