/** What the tests of changes stand on: a copy of an installed image for each test, the real firn on it, and the volume seen by others. */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { PackageChange } from "../../src/model/packages/changes.ts";
import { exitCodes, type Problem, type ProblemCode } from "../../src/model/problem.ts";
import { firn, firnBinary, type Ran } from "./firn.ts";
import { alpineMirror } from "../fixtures/fixtures.ts";
import { baseImage } from "./image.ts";

/** Why these tests cannot run here, or false. */
export const skip: string | false =
  (process.getuid?.() === 0 ? false : "needs root") ||
  (existsSync("/dev/loop-control") ? false : "needs loop devices") ||
  (existsSync(alpineMirror) ? false : "needs the real packages in ../shared/alpine");

/** A folder for images, removed by `[Symbol.dispose]`. */
export class World implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "firn-loop-"));
  private made = 0;

  /** A copy of the installed image, for one test. */
  async image(size?: string): Promise<string> {
    return this.copy(await baseImage(size));
  }

  /** A copy of any image: the state that several tests start from is made once. */
  copy(from: string): string {
    const file = join(this.folder, `${++this.made}.img`);
    execFileSync("cp", ["--sparse=always", "--reflink=auto", from, file]);
    return file;
  }

  drop(file: string): void {
    rmSync(file);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The command line of `firn VERB … --volume IMAGE`; what follows `--` stays at the end. */
export function commandLine(image: string, verb: string, ...args: readonly string[]): string[] {
  return [...verb.split(" "), "--volume", image, ...args];
}

/** Runs firn on an image, whatever comes out. */
export function attempt(image: string, verb: string, ...args: readonly string[]): Promise<Ran> {
  return firn(commandLine(image, verb, ...args));
}

/** The same beside the test, which goes on meanwhile and may serve, signal or look at it. */
export async function run(image: string, verb: string, ...args: readonly string[]): Promise<Ran> {
  return start(commandLine(image, verb, ...args)).then(({ ended }) => ended);
}

export interface Running {
  child: ChildProcess;
  /** What it has said so far, on stderr. */
  said: () => string;
  ended: Promise<Ran>;
}

/** Starts firn, or `wrapper` with firn behind it, in a process group of its own, without waiting for its end. */
export async function start(args: readonly string[], wrapper: readonly string[] = []): Promise<Running> {
  const [program = "", ...rest] = [...wrapper, await firnBinary(), ...args];
  const child = spawn(program, rest, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = once(child, "close").then(([code]): Ran => ({
    status: (code as number | null) ?? 128,
    stdout,
    stderr,
  }));
  return { child, said: () => stderr, ended };
}

/** Runs firn on an image; anything but success fails the test. */
export async function on(image: string, verb: string, ...args: readonly string[]): Promise<Ran> {
  return succeeded(await attempt(image, verb, ...args));
}

export function succeeded(ran: Ran): Ran {
  assert.equal(ran.status, 0, `${ran.stdout}${ran.stderr}`);
  return ran;
}

/** What a command answers with --json. */
export async function answer<T = Answer>(image: string, verb: string, ...args: readonly string[]): Promise<T> {
  return JSON.parse((await on(image, verb, "--json", ...args)).stdout) as T;
}

/** The refusal of a command: its code must be `code`, and its exit code the code's own. */
export async function refused(code: ProblemCode, image: string, verb: string, ...args: string[]): Promise<Problem> {
  const ran = await attempt(image, verb, "--json", ...args);
  const said = `${ran.stdout}${ran.stderr}`;
  assert.notEqual(ran.status, 0, said);
  const { error } = JSON.parse(ran.stdout) as { error: Problem };
  assert.equal(error.code, code, said);
  assert.equal(ran.status, exitCodes[code]);
  return error;
}

export interface Answer {
  changed: boolean;
  generation: string;
  default: string;
  slots: string[];
  changes: PackageChange[];
  conflicts?: string[];
  command: string;
  parent: string;
  kernel: string;
  release: string;
  description?: string;
}

export interface ListedGeneration {
  id: string;
  slots: number[];
  default: boolean;
  pinned: boolean;
  release: string;
  kernel: string;
  description?: string;
  changes?: PackageChange[];
  conflicts?: string[];
}

export interface Listed {
  slots: string[];
  generations: ListedGeneration[];
  drafts: string[];
}

export function list(image: string): Promise<Listed> {
  return answer<Listed>(image, "list");
}

/** Id of the generation in slot 0. */
export async function current(image: string): Promise<string> {
  return (await list(image)).slots[0] ?? "";
}

/** Bytes from the start of the image to its partition named ROOT, from the GPT's entries (UEFI 2.10, 5.3.3). */
export function rootOffset(image: string): number {
  const entries = Buffer.alloc(128 * 128);
  const fd = openSync(image, "r");
  readSync(fd, entries, 0, entries.length, 1024);
  closeSync(fd);
  for (let at = 0; at < entries.length; at += 128) {
    const name = entries.toString("utf16le", at + 56, at + 128).replace(/\0.*$/s, "");
    if (name === "ROOT") return Number(entries.readBigUInt64LE(at + 32)) * 512;
  }
  throw new Error(`${image} has no partition ROOT`);
}

/** Mounts the volume's top level as any other program would, and takes it away again. */
export function mounted<T>(image: string, use: (top: string) => T, options = "ro"): T {
  const top = mkdtempSync(join(tmpdir(), "firn-top-"));
  execFileSync("mount", ["-t", "btrfs", "-o", `loop,offset=${rootOffset(image)},subvolid=5,${options}`, image, top]);
  try {
    return use(top);
  } finally {
    execFileSync("umount", [top]);
    rmSync(top, { recursive: true });
  }
}

/** The text of a file in a generation (slot 0 unless named). */
export function fileIn(image: string, path: string, generation = "current/0"): string {
  const folder = generation.includes("/") ? generation : `snapshots/${generation}`;
  return mounted(image, (top) => readFileSync(`${top}/${folder}/@/${path}`, "utf8"));
}

/** Whether a generation has a path (not followed when it is a symlink). */
export function has(image: string, path: string, generation = "current/0"): boolean {
  const folder = generation.includes("/") ? generation : `snapshots/${generation}`;
  return mounted(image, (top) => lstatSync(`${top}/${folder}/@/${path}`, { throwIfNoEntry: false }) !== undefined);
}

/** A volume's state, read without firn: what must survive anything. */
export interface Whole {
  slots: string[];
  generations: string[];
  drafts: string[];
}

/** Asserts that `current` names a link set, every slot of it a generation whose `@` is a read-only subvolume with a kernel. */
export function assertWhole(image: string): Whole {
  return mounted(image, (top) => {
    const links = join(top, readlinkSync(`${top}/current`));
    const slots = readdirSync(links).sort();
    assert.deepEqual(slots, ["0", "1", "2", "3"]);
    const targets = slots.map((slot) => {
      const root = `${links}/${slot}/@`;
      assert.equal(statSync(root).ino, 256, `slot ${slot} resolves to no subvolume`);
      assert.match(execFileSync("btrfs", ["property", "get", root, "ro"], { encoding: "utf8" }), /ro=true/);
      assert.ok(statSync(`${root}/boot/vmlinuz-virt`).size > 1_000_000);
      assert.ok(statSync(`${root}/boot/initramfs-virt`).size > 100_000);
      assert.ok(readFileSync(`${root}/etc/fstab`, "utf8").includes(basename(readlinkSync(`${links}/${slot}`))));
      return basename(readlinkSync(`${links}/${slot}`));
    });
    const names = readdirSync(`${top}/snapshots`).sort();
    return {
      slots: targets,
      generations: names.filter((name) => !name.endsWith(".draft")),
      drafts: names.filter((name) => name.endsWith(".draft")),
    };
  });
}

/** Asserts that no loop device of an image is left: one that a mount or a process in any namespace holds would be. */
export async function assertReleased(image: string): Promise<void> {
  for (let left = 50; ; left -= 1) {
    const { stdout } = spawnSync("losetup", ["-j", image], { encoding: "utf8" });
    if (stdout === "") return;
    if (left === 0) assert.fail(`still held: ${stdout}`);
    await sleep(100);
  }
}

/** Everything on the volume but times: paths, modes, owners, sizes and link targets, of the top level or below a folder of it. */
export function treeOf(image: string, folder = "."): string {
  return mounted(image, (top) =>
    execFileSync("find", [folder, "-printf", "%P %y %m %U:%G %s %l\n"], {
      cwd: top,
      encoding: "utf8",
      maxBuffer: 1 << 28,
    })
      .split("\n")
      .sort()
      .join("\n"),
  );
}
