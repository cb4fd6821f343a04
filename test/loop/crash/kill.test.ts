import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { assertReleased } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { traced, workersOwn } from "../../kit/trace.ts";
import { commandLine, on } from "../../kit/verbs.ts";
import { assertWhole } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror", "strace");

/** Every call by which firn changes a volume or waits for the disk. */
const names = ["mkdirat", "symlinkat", "unlinkat", "renameat2", "syncfs", "ioctl"];
const calls = `mount,${names.join(",")}`;

/** 1, 2 … count; of many only the first and last few, between which lie the entries of one folder. */
function numbers(count: number, most: number): number[] {
  const all = Array.from({ length: count }, (_, index) => index + 1);
  return count <= most ? all : [...all.slice(0, most / 2), ...all.slice(-most / 2)];
}

describe("firn that dies in the middle of a system call", { skip }, () => {
  const world = ownWorld();
  let image = "";
  before(async () => {
    image = await world.image();
    for (let number = 1; number < 6; number += 1) await on(image, "run", "--", "touch", `/etc/${number}`);
  });

  /** Kills firn at each of its calls, one run after another on one image; `args` gives the words of the n-th run. */
  async function atEachCall(
    verb: string,
    args: (run: number) => string[],
    most: number,
    afresh = false,
  ): Promise<void> {
    const clean = await traced(commandLine(world.copy(image), verb, ...args(0)), calls);
    assert.equal(clean.status, 0, clean.stderr);
    const own = workersOwn(clean);
    let copy = world.copy(image);
    let killed = 0;
    let moved = 0;
    for (const name of names) {
      for (const number of numbers(own.filter((call) => call.name === name).length, most)) {
        const before = assertWhole(copy);
        const fault = `${name}:signal=SIGKILL:when=${number}`;
        const ran = await traced(commandLine(copy, verb, ...args(++killed)), calls, fault);
        // A loop device that another test took first makes a run longer, so the last call of one may not come in the
        // next.
        if (ran.status === 0) continue;
        await assertReleased(copy);
        // The old or the new generation boots, whole, and the old one is at hand.
        const after = assertWhole(copy);
        assert.ok(after.slots.includes(before.slots[0] ?? ""), fault);
        assert.ok(after.drafts.length <= 1, fault);
        if (after.slots[0] !== before.slots[0]) moved += 1;
        // The next run takes away what was left behind.
        await on(copy, "run", "--", "touch", `/etc/next-${killed}`);
        assert.deepEqual(assertWhole(copy).drafts, [], fault);
        if (!afresh) continue;
        world.drop(copy);
        copy = world.copy(image);
      }
    }
    assert.ok(killed >= 6, `only ${killed} kills`);
    // Between the rename and the answer lies only the last flush; gc switches nothing.
    assert.ok(verb === "gc" ? moved === 0 : moved >= 1 && moved < killed / 2, `${moved} of ${killed} moved on`);
  }

  test("at each call of a change: current and every slot stay whole, and the next run works", () =>
    atEachCall("run", (run) => ["--", "touch", `/etc/x-${run}`], 6));

  test("at each call of a rollback", () => atEachCall("rollback", () => [], 4));

  test("at each call of a new commons", () => atEachCall("commons add", (run) => [`/opt/new-${run}`], 4));

  test("at each call of gc", () => atEachCall("gc", () => ["--keep", "0"], 4, true));
});
