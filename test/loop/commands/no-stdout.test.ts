import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, readlinkSync, openSync, readSync, closeSync } from "node:fs";
import { describe, it } from "node:test";
import { exitCodes, type ProblemCode } from "../../../src/model/problem.ts";
import { startsByItself } from "../../kit/disk.ts";
import { firnBinary, type Ran } from "../../kit/firn.ts";
import { Matrix, verbs, type Stage } from "../../kit/matrix.ts";
import { requires } from "../../kit/requires.ts";
import { assertWhole, mounted } from "../../kit/volume.ts";

const skip = requires("root", "loop", "mirror", "apt");

/** How things stand, seen without firn. */
interface Standing {
  /** What boots by default; of a new disk or image, whether it boots at all. */
  readonly boots: string;
  readonly all: string;
}

function standing({ kind, file }: Stage): Standing {
  if (kind !== "volume") {
    const boots = existsSync(file) && startsByItself(file) ? "it boots" : "";
    return { boots, all: boots };
  }
  const { slots } = assertWhole(file);
  return mounted(file, (top) => {
    const snapshots = readdirSync(`${top}/snapshots`).sort();
    const records = snapshots.map((id) => `${top}/snapshots/${id}/generation.json`).filter((path) => existsSync(path));
    const texts = [...records, `${top}/fstab`].map((path) => readFileSync(path, "utf8"));
    const all = [readlinkSync(`${top}/current`), slots, snapshots, readdirSync(`${top}/commons`).sort(), texts];
    return { boots: slots[0] ?? "", all: JSON.stringify(all) };
  });
}

/**
 * The GPT and what lies before the first partition, where a write to a descriptor that took stdout's number would land.
 */
function headOf({ kind, file }: Stage): string {
  if (kind !== "volume") return "";
  const head = Buffer.alloc(2 ** 20);
  const fd = openSync(file, "r");
  readSync(fd, head);
  closeSync(fd);
  return head.toString("base64");
}

/** Exit code, code and claims of a run whose answer could not be written. */
function judge({ status, stderr }: Ran, before: Standing, after: Standing): void {
  assert.doesNotMatch(stderr, /E_INTERNAL|^\s+at |undefined|\[object/m);
  assert.doesNotMatch(stderr, /filesystem is full|firn gc/, "it is no filesystem of firn's that takes no more");
  const code = /^(E_[A-Z_]+): /m.exec(stderr)?.[1];
  if (after.all === before.all) {
    assert.notEqual(status, 0, `exit code 0, but nothing was answered or done: ${stderr}`);
    assert.ok(code !== undefined, `exit code ${status} without a code: ${stderr}`);
    assert.doesNotMatch(stderr, /boots next|was committed/);
  } else {
    assert.doesNotMatch(stderr, /Nothing was changed|was removed|unfinished|does not boot/);
    assert.match(stderr, /The change was made\./);
    assert.doesNotMatch(stderr, /What boots was not touched/);
    assert.match(
      stderr,
      /stdout|standard output|answer/i,
      `exit code ${status}, and nothing says that the answer was lost: ${stderr}`,
    );
  }
  if (status !== 0) assert.equal(status, exitCodes[code as ProblemCode], `not the exit code of ${code}`);
}

/** sh that takes stdout away from what it becomes. */
const ways = {
  closed: ["sh", "-c", 'exec "$@" >&-', "sh"],
  full: ["sh", "-c", 'exec "$@" >/dev/full', "sh"],
} as const;

describe("when stdout takes no answer, the exit code says so and no claim is false", { skip }, () => {
  const matrix = new Matrix();

  for (const [name] of verbs())
    for (const [way, wrapper] of Object.entries(ways))
      for (const flags of [[], ["--json"]]) {
        it(`firn ${[name, ...flags].join(" ")}, stdout ${way}`, async () => {
          using stage = await matrix.stage(name);
          const first = { standing: standing(stage), head: headOf(stage) };
          const ran = await matrix.perform(stage, flags, wrapper);
          assert.equal(headOf(stage), first.head, "something was written over the partition table");
          judge(ran, first.standing, standing(stage));
        });
      }

  for (const word of ["--help", "--version"])
    for (const [way, wrapper] of Object.entries(ways))
      it(`firn ${word}, stdout ${way}`, async () => {
        const nothing: Standing = { boots: "", all: "" };
        judge(await matrix.execute([...wrapper, await firnBinary(), word]), nothing, nothing);
      });
});
