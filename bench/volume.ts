import { randomFillSync } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { baseImage } from "../test/kit/image.ts";
import { must, type Subject } from "./measure.ts";
import { limit, time, type Timed, type Tools } from "./stopwatch.ts";

/** What every benchmark gets: an empty folder of its own, in a private mount namespace, and the programs. */
export interface Bench {
  folder: string;
  tools: Tools;
  /** A copy of dist/firn that nobody rebuilds meanwhile. */
  firn: string;
  /** Another firn to measure beside it, in the same run: FIRN_BENCH_BEFORE. */
  before: string | undefined;
}

/** The file that every new generation changes, 20 kB. */
export const CHANGED = "usr/share/bench.bin";
const CHANGED_BYTES = 20_480;

/** Overwrites a file in place with 20 kB that cannot be compressed. */
export function overwrite(file: string): string[] {
  return ["dd", "if=/dev/urandom", `of=${file}`, "bs=20480", "count=1", "conv=notrunc"];
}

/** A volume on a loop device, as a booted system sees it: its top level is mounted at `top`, slot 0 at `root`. */
export interface BenchVolume {
  image: string;
  top: string;
  root: string;
  /** Slot 0 when the volume was made. */
  base: string;
}

/** Start and length in bytes of the partition named ROOT. */
function rootPartition(image: string): { offset: number; bytes: number } {
  const line = must(["partx", "--noheadings", "--raw", "--output", "START,SECTORS,NAME", image])
    .split("\n")
    .find((text) => text.trim().endsWith(" ROOT"));
  const [start = 0, sectors = 0] = (line ?? "").trim().split(" ").map(Number);
  if (sectors === 0) throw new Error(`${image} has no partition named ROOT`);
  return { offset: start * 512, bytes: sectors * 512 };
}

/** The slot's generation. */
export function slot(top: string, number: number): string {
  return (
    readlinkSync(join(top, "current", String(number)))
      .split("/")
      .at(-1) ?? ""
  );
}

/**
 * A copy of the tests' base image (real Alpine 3.19.1), its root mounted as the booted system has it: a chroot into
 * `root` sees the subvolume of slot 0 at /, read-only, with /proc, /dev, /run and firn in /run. What it does not have
 * is a kernel of its own. `change` may alter slot 0 before it is "booted".
 */
export async function bootedVolume(
  { folder, firn, before, tools }: Bench,
  name: string,
  size: string,
  change: (root: string) => void = () => {},
): Promise<BenchVolume> {
  const image = join(folder, `${name}.img`);
  must(["cp", "--sparse=always", await baseImage(size), image]);
  const { offset, bytes } = rootPartition(image);
  const [top, root] = [join(folder, `${name}-top`), join(folder, `${name}-root`)];
  mkdirSync(top);
  mkdirSync(root);
  must(["mount", "-o", `loop,offset=${offset},sizelimit=${bytes},subvolid=5,noatime`, image, top]);
  const base = slot(top, 0);
  const subvolume = join(top, "snapshots", base, "@");
  must(["btrfs", "property", "set", subvolume, "ro", "false"]);
  mkdirSync(join(subvolume, "usr/share"), { recursive: true });
  writeFileSync(join(subvolume, CHANGED), randomFillSync(Buffer.alloc(CHANGED_BYTES)));
  change(subvolume);
  must(["btrfs", "property", "set", subvolume, "ro", "true"]);
  // Drops the inodes that the change left in memory: a machine that has just booted has not seen them.
  must(["umount", top]);
  must(["mount", "-o", `loop,offset=${offset},sizelimit=${bytes},subvolid=5,noatime`, image, top]);
  const device = must(["findmnt", "-no", "SOURCE", "-M", top]).trim();
  must(["mount", "-o", `subvol=/snapshots/${base}/@,ro,noatime`, device, root]);
  must(["mount", "-t", "proc", "proc", join(root, "proc")]);
  must(["mount", "--rbind", "/dev", join(root, "dev")]);
  must(["mount", "-t", "tmpfs", "-o", "mode=755", "run", join(root, "run")]);
  must(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmp", join(root, "tmp")]);
  must(["cp", firn, ...(before === undefined ? [] : [before]), tools.limit, join(root, "run")]);
  return { image, top, root, base };
}

/** Runs firn on the booted system. */
export function bootedFirn({ tools, firn }: Bench, { root }: BenchVolume, ...args: readonly string[]): Timed {
  return time(tools, [`/run/${basename(firn)}`, ...args], { root });
}

/** firn doing something, and the firn of before beside it where there is one. `run` gives milliseconds. */
export function firnSubjects(bench: Bench, name: string, run: (bench: Bench) => number): Subject[] {
  const { before } = bench;
  return [
    { name, run: () => run(bench) },
    ...(before === undefined ? [] : [{ name: `${name}, before`, run: () => run({ ...bench, firn: before }) }]),
  ];
}

let counter = 0;

/** Fresh generation ids, in order. */
export function newIds(count: number): string[] {
  const letter = (number: number): string => String.fromCharCode(97 + (number % 26));
  return Array.from({ length: count }, () => {
    const number = counter++;
    const letters = [0, 1, 2, 3].map((place) => letter(Math.floor(number / 26 ** place))).join("");
    return `20300101000000${letters.split("").toReversed().join("")}aaaa`;
  });
}

/** Adds `count` generations, copies of slot 0 with its metadata, and gives their ids. */
export function fill({ tools }: Bench, { top, base }: BenchVolume, count: number): string[] {
  const ids = newIds(count);
  for (let at = 0; at < ids.length; at += 250) limit(tools, "fill", top, base, ...ids.slice(at, at + 250));
  return ids;
}

/**
 * Gives the kernel the time to delete what was to be deleted, so that it does not work on during the next measurement:
 * this ioctl, unlike syncfs, wakes its cleaner. (`btrfs subvolume sync` looks once a second only.)
 */
export function settle({ top }: { top: string }): void {
  must(["btrfs", "filesystem", "sync", top]);
  must(["sleep", "0.1"]);
  must(["btrfs", "filesystem", "sync", top]);
}

/** Most generations that a volume has while one more is measured: what firn's retention leaves on a machine in use. */
const USUAL = 20;

/** Deletes what earlier rounds made, but what is in a slot, once there are more than usual. Not measured. */
export function prune({ tools }: Bench, volume: BenchVolume): void {
  const { top, base } = volume;
  const ids = readdirSync(join(top, "snapshots"));
  if (ids.length <= USUAL) return;
  const keep = new Set([base, ...[0, 1, 2, 3].map((number) => slot(top, number))]);
  limit(tools, "gc", top, ...ids.filter((id) => !keep.has(id)));
  settle(volume);
}

/** Files of the large root, and how many a directory holds. */
const FILES = 120_000;
const PER_DIRECTORY = 200;

/** Adds 120,000 files of 1 to 8 KiB, in directories of 200: an installation with many packages. */
export function manyFiles(root: string): void {
  const bytes = randomFillSync(Buffer.alloc(64 * 1024));
  for (let file = 0; file < FILES; file++) {
    const folder = join(root, "usr/share/bench", String(Math.floor(file / PER_DIRECTORY)));
    if (file % PER_DIRECTORY === 0) mkdirSync(folder, { recursive: true });
    const length = 1024 + ((file * 2654435761) % 7168);
    writeFileSync(join(folder, `file-${file}`), bytes.subarray(file % 49_152, (file % 49_152) + length));
  }
}

/** Names below a folder. */
export function countNames(folder: string): number {
  return readdirSync(folder, { recursive: true }).length;
}

/** A filesystem of its own for a peer, with the options of firn's volumes. */
export function plainFilesystem({ folder }: Bench, name: string, bytes: string): string {
  const image = join(folder, `${name}.img`);
  const path = mkdtempSync(join(folder, `${name}-`));
  must(["truncate", "-s", bytes, image]);
  must(["mkfs.btrfs", "-q", image]);
  must(["mount", "-o", "loop,noatime,compress=zstd", image, path]);
  return path;
}
