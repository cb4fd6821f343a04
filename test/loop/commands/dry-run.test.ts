import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { exitCodes, type ProblemCode } from "../../../src/model/problem.ts";
import { SUPERBLOCK } from "../../../src/model/volume/superblock.ts";
import type { Ran } from "../../kit/firn.ts";
import { assertReleased } from "../../kit/left.ts";
import { has, Matrix, verbs, type Stage } from "../../kit/matrix.ts";
import { requires } from "../../kit/requires.ts";
import { callsIn, strace, type Call } from "../../kit/trace.ts";
import { mounted, rootOffset } from "../../kit/volume.ts";

const skip = requires("root", "loop", "mirror", "apt", "strace");

/** What a dry run must leave as it was. */
interface Seen {
  /** The image, disk or file: its size, and when it was written to last. A loop device's writes are its file's. */
  readonly medium: string;
  /** btrfs counts each transaction in the superblock. */
  readonly generation: bigint;
  /** Of each name on the volume: type, inode, mode, owner, size, ctime and mtime. */
  readonly volume: readonly string[];
  readonly cache: readonly string[];
  readonly run: readonly string[];
}

/** Bytes into the superblock, struct btrfs_super_block (btrfs_tree.h). */
const GENERATION = 0x48;

function generationOf(image: string): bigint {
  const bytes = Buffer.alloc(8);
  const fd = openSync(image, "r");
  readSync(fd, bytes, 0, bytes.length, rootOffset(image) + SUPERBLOCK.offset + GENERATION);
  closeSync(fd);
  return bytes.readBigUInt64LE();
}

function namesBelow(folder: string): string[] {
  const format = "%P %y %i %m %U:%G %s %C@ %T@ %l\\n";
  const listed = execFileSync("find", [".", "-printf", format], { cwd: folder, encoding: "utf8", maxBuffer: 1 << 28 });
  return listed.split("\n").sort();
}

/** Names and contents. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const content = entry.isFile() ? createHash("sha256").update(readFileSync(path)).digest("hex") : "";
      return `${path.slice(folder.length + 1)} ${content}`;
    })
    .sort();
}

function look({ kind, file }: Stage, matrix: Matrix): Seen {
  const stat = existsSync(file) ? statSync(file, { bigint: true }) : undefined;
  return {
    medium: stat === undefined ? "none" : `${stat.size} bytes, written to at ${stat.mtimeNs}`,
    generation: kind === "volume" ? generationOf(file) : 0n,
    volume: kind === "volume" ? mounted(file, namesBelow) : [],
    cache: filesBelow(matrix.cache),
    run: filesBelow(matrix.run),
  };
}

/** What is in one and not in the other, a line each. */
function difference(before: readonly string[], after: readonly string[]): string[] {
  const [old, now] = [new Set(before), new Set(after)];
  return [
    ...before.filter((line) => !now.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !old.has(line)).map((line) => `+ ${line}`),
  ];
}

interface DryRun {
  readonly ran: Ran;
  readonly before: Seen;
  readonly after: Seen;
  /** Mounts in the namespace that firn was started in. */
  readonly mounts: { readonly before: string; readonly after: string };
  readonly calls: readonly Call[];
}

/** Runs `$@` and keeps what is mounted before and after it in the folder $0. */
const BETWEEN =
  'cat /proc/self/mountinfo >"$0/before"; "$@"; code=$?; cat /proc/self/mountinfo >"$0/after"; exit $code';

async function dryRun(matrix: Matrix, stage: Stage): Promise<DryRun> {
  // Folders to mount things in are made once; files of runs before would hide that this one makes the same.
  using listed = await matrix.stage("list");
  assert.equal((await matrix.perform(listed)).status, 0);
  execFileSync("find", [matrix.run, matrix.cache, "-mindepth", "1", "-type", "f", "-delete"]);
  execFileSync("find", [matrix.cache, "-mindepth", "1", "-delete"]);
  const trace = join(matrix.folder, "trace");
  const first = look(stage, matrix);
  const wrapper = ["sh", "-c", BETWEEN, matrix.folder, ...strace(trace, "mount,flock")];
  const ran = await matrix.perform(stage, ["--dry-run"], wrapper);
  // The disk of an installation is a loop device of the stage.
  if (stage.kind !== "disk") await assertReleased(stage.file);
  const text = (name: string): string => readFileSync(join(matrix.folder, name), "utf8");
  return {
    ran,
    before: first,
    after: look(stage, matrix),
    mounts: { before: text("before"), after: text("after") },
    calls: callsIn(trace),
  };
}

/** A mount or remount of a volume's top, or of any btrfs, that may write. */
function mayWrite({ name, text }: Call): boolean {
  if (name !== "mount" || /\bMS_(RDONLY|BIND)\b/.test(text) || !text.endsWith("= 0")) return false;
  return text.includes('"btrfs"') || (text.includes("MS_REMOUNT") && text.includes('"/run/firn/volume'));
}

describe("--dry-run", { skip }, () => {
  const matrix = new Matrix();

  it("is a flag of every verb that does not only read", () => {
    const reading = ["list", "status", "show", "diff", "commons list", "config"];
    const without = [...verbs()].filter(([, verb]) => !has(verb, "--dry-run")).map(([name]) => name);
    assert.deepEqual(without.sort(), reading.sort());
  });

  for (const [name, verb] of verbs()) {
    if (!has(verb, "--dry-run")) continue;
    describe(`firn ${name} --dry-run`, () => {
      let seen: DryRun;
      before(async () => {
        using stage = await matrix.stage(name);
        seen = await dryRun(matrix, stage);
      });

      it("says what would happen, or why nothing can", () => {
        const { status, stdout, stderr } = seen.ran;
        // No generation of an image is booted.
        const code: ProblemCode | undefined = name === "confirm" ? "E_GENERATION_MISSING" : undefined;
        assert.equal(status, code === undefined ? 0 : exitCodes[code], stderr);
        assert.notEqual(code === undefined ? stdout : stderr, "");
      });

      it("leaves every name on the volume as it was", () =>
        assert.deepEqual(difference(seen.before.volume, seen.after.volume), []));

      it("makes no transaction on the volume, and writes nothing to the medium", () => {
        assert.equal(seen.after.generation, seen.before.generation);
        assert.equal(seen.after.medium, seen.before.medium);
      });

      it("leaves the machine's caches as they were", () =>
        assert.deepEqual(difference(seen.before.cache, seen.after.cache), []));

      it("leaves /run as it was, but for folders to mount things in", () => {
        const found = difference(seen.before.run, seen.after.run);
        assert.deepEqual(
          found.filter((line) => !/^\+ firn\/\w+ $/.test(line)),
          [],
        );
      });

      // Others' mounts may go meanwhile: a folder that is removed takes them with it in every namespace.
      it("leaves nothing mounted", () => {
        const mounts = (text: string): string[] => text.split("\n").filter((line) => line !== "");
        const found = difference(mounts(seen.mounts.before), mounts(seen.mounts.after));
        assert.deepEqual(
          found.filter((line) => line.startsWith("+")),
          [],
        );
      });

      it("mounts no volume for writing", () =>
        assert.deepEqual(
          seen.calls.filter(mayWrite).map(({ text }) => text),
          [],
        ));

      it("takes no lock of the volume", () => {
        const locks = seen.calls.filter(({ name, text }) => name === "flock" && text.includes("/run/firn/lock."));
        assert.deepEqual(
          locks.map(({ text }) => text),
          [],
        );
      });
    });
  }
});
