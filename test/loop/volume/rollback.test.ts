import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assertReleased } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { answer, list, on, refused } from "../../kit/verbs.ts";
import { assertWhole, fileIn, treeOf } from "../../kit/volume.ts";
import { ownWorld, type World } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

/** An image with generations 0 (as installed), 1, 2 … whose /etc/motd says their number; their ids by number. */
async function history(world: World, count: number): Promise<{ image: string; ids: string[] }> {
  const image = await world.image();
  const ids = [(await list(image)).slots[0] ?? ""];
  for (let number = 1; number < count; number += 1) {
    const line = `echo ${number} > /etc/motd`;
    ids.push((await answer(image, "run", "--description", `number ${number}`, "--", "sh", "-c", line)).generation);
  }
  return { image, ids };
}

describe("going back and forth", { skip }, () => {
  const world = ownWorld();

  test("rollback makes the previous default slot 0, and again goes forward; the others keep their order", async () => {
    const { image, ids } = await history(world, 5);
    const [g0, g1, g2, g3, g4] = ids;
    assert.deepEqual(assertWhole(image).slots, [g4, g3, g2, g1]);
    const back = await answer(image, "rollback");
    assert.deepEqual([back.changed, back.default], [true, g3]);
    assert.deepEqual(assertWhole(image).slots, [g3, g4, g2, g1]);
    assert.equal(fileIn(image, "etc/motd"), "3\n");
    await on(image, "rollback");
    assert.deepEqual(assertWhole(image).slots, [g4, g3, g2, g1]);
    // One that has no slot any more comes back by its name.
    await on(image, "rollback", g0 ?? "");
    assert.deepEqual(assertWhole(image).slots, [g0, g4, g3, g2]);
    // What is in slot 0 is the base of the next change: nothing of what was rolled back comes along.
    const next = await answer(image, "run", "--", "touch", "/etc/next");
    assert.equal(next.parent, g0);
    assert.notEqual(fileIn(image, "etc/motd"), "4\n");
    assert.deepEqual(assertWhole(image).slots, [next.generation, g0, g4, g3]);
    assert.equal(assertWhole(image).generations.length, 6);
    await assertReleased(image);
  });

  test("switch takes an id, a unique prefix, a slot, current and previous; what fits none or several is refused", async () => {
    const { image, ids } = await history(world, 3);
    const [g0 = "", g1 = "", g2 = ""] = ids;
    const slot0 = async (): Promise<string> => assertWhole(image).slots[0] ?? "";
    await on(image, "switch", g0);
    assert.equal(await slot0(), g0);
    await on(image, "switch", g1.slice(0, 17));
    assert.equal(await slot0(), g1);
    await on(image, "switch", "1");
    assert.equal(await slot0(), g0);
    await on(image, "switch", "previous");
    assert.equal(await slot0(), g1);
    const same = await on(image, "switch", "current");
    assert.match(same.stdout, /slot 0 already/);
    assert.equal((await answer(image, "switch", "0")).changed, false);
    await refused("E_GENERATION_AMBIGUOUS", image, "switch", g2.slice(0, 6));
    const error = await refused("E_GENERATION_MISSING", image, "switch", `${g2.slice(0, -1)}_`);
    assert.match(error.message, new RegExp(`Did you mean ${g2}`));
    await refused("E_GENERATION_MISSING", image, "switch", "booted");
    await refused("E_GENERATION_MISSING", image, "switch", "9");
    assert.equal(await slot0(), g1);
    assert.equal((await answer(image, "show", "2")).slots.includes(2 as never), true);
  });

  test("a volume with one generation has nothing to go back to", async () => {
    const image = await world.image();
    const before = treeOf(image);
    await refused("E_GENERATION_MISSING", image, "rollback");
    await refused("E_GENERATION_MISSING", image, "diff");
    assert.equal(treeOf(image), before);
  });

  test("confirm is refused where nothing of the volume is booted", async () => {
    const image = await world.image();
    const error = await refused("E_GENERATION_MISSING", image, "confirm");
    assert.match(error.message, /No generation of this volume is booted/);
  });

  test("list, status and show say ids, slots, kernels, releases, descriptions, pins and commands", async () => {
    const { image, ids } = await history(world, 3);
    const [g0 = "", g1 = "", g2 = ""] = ids;
    await on(image, "pin", g1);
    const lines = (await on(image, "list")).stdout.split("\n");
    assert.match(lines[0] ?? "", /^GENERATION +AGE +KERNEL +SIZE +STATE +DESCRIPTION$/);
    assert.match(lines[1] ?? "", new RegExp(`^${g2} .*6\\.1\\..* slot 0 +number 2$`));
    assert.match(lines[2] ?? "", new RegExp(`^${g1} .*slot 1, pinned +number 1$`));
    assert.match(lines[3] ?? "", new RegExp(`^${g0} .*slot 2`));
    const status = (await on(image, "status")).stdout;
    assert.match(status, /^Booted: not this volume$/m);
    assert.match(status, new RegExp(`^Next: +${g2} .*Alpine 3\\.19\\.1.*number 2`, "m"));
    assert.match(status, /^Slots: +4, 3 generations, .* free$/m);
    const shown = (await on(image, "show", g1)).stdout;
    assert.match(shown, new RegExp(`^Parent: +${g0}$`, "m"));
    assert.match(shown, /^Made by: +firn run -- sh \.\.\.$/m);
    assert.match(shown, /^Description: +number 1$/m);
    await on(image, "describe", g1, "the good one");
    assert.equal((await answer(image, "show", g1)).description, "the good one");
    await on(image, "unpin", g1);
    assert.match((await on(image, "unpin", g1)).stdout, /already/);
    assert.deepEqual(
      (await list(image)).generations.map(({ pinned }) => pinned),
      [false, false, false],
    );
  });

  test("the objects of --json have the keys that scripts rely on", async () => {
    const { image } = await history(world, 2);
    const keys = async (verb: string, ...args: string[]): Promise<string[]> =>
      Object.keys(await answer<object>(image, verb, ...args)).sort();
    const generation = ["booted", "changes", "command", "created", "default", "description", "flavor", "id"];
    generation.push("indexes", "installedBytes", "kernel", "parent", "pinned", "release", "slots", "trial");
    assert.deepEqual(await keys("list"), ["booted", "drafts", "generations", "slots", "unfinished", "volume"]);
    assert.deepEqual(Object.keys((await list(image)).generations[1] ?? {}).sort(), generation);
    assert.deepEqual(await keys("show"), generation);
    assert.deepEqual(await keys("status"), [
      "booted",
      "default",
      "device",
      "drafts",
      "generations",
      "next",
      "pending",
      "slots",
      "space",
      "unfinished",
      "volume",
    ]);
    assert.deepEqual(await keys("diff"), ["files", "from", "hidden", "packages", "texts", "to"]);
    assert.deepEqual(await keys("gc", "--dry-run"), [
      "deleted",
      "drafts",
      "dryRun",
      "generations",
      "linkSets",
      "steps",
    ]);
    assert.deepEqual(await keys("rollback"), ["changed", "default", "slots"]);
    assert.deepEqual(await keys("switch", "--dry-run", "0"), ["changed", "default", "dryRun", "steps"]);
    assert.deepEqual(await keys("switch", "0"), ["changed", "default"]);
    assert.deepEqual(await keys("run", "--", "true"), ["changed", "default"]);
    const made = ["changed", "changes", "command", "created", "flavor", "generation", "indexes", "installedBytes"];
    assert.deepEqual(await keys("add", "jq"), [...made, "kernel", "parent", "release"]);
    assert.deepEqual(await keys("add", "--dry-run", "zstd"), [
      "changes",
      "dryRun",
      "fetchedBytes",
      "generation",
      "neededBytes",
      "steps",
    ]);
    assert.deepEqual(await keys("commons list"), ["commons"]);
  });
});
