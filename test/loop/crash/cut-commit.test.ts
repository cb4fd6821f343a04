import assert from "node:assert/strict";
import { readFileSync, readdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { before, describe, test } from "node:test";
import { assertReleased } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { traced, workersOwn } from "../../kit/trace.ts";
import { answer, commandLine, list, on, refused } from "../../kit/verbs.ts";
import { assertWhole, has, mounted } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror", "strace");

const calls = "mount,renameat2,ioctl,syncfs";

function namesIn(image: string, folder: string): string[] {
  return mounted(image, (top) => readdirSync(`${top}/${folder}`).sort());
}

describe("a run that is killed between making a generation and making it boot", { skip }, () => {
  const world = ownWorld();
  let image = "";
  before(async () => {
    image = await world.image();
    const data = "mkdir /opt/data; echo one > /opt/data/file; echo more > /opt/data/more";
    await on(image, "run", "--", "sh", "-c", data);
  });

  /** Kills firn at the first call that `what` matches after one that `after` does. */
  async function killed(
    at: string,
    name: string,
    what: RegExp,
    after: RegExp,
    verb: string,
    ...args: string[]
  ): Promise<void> {
    const clean = workersOwn(await traced(commandLine(world.copy(at), verb, ...args), calls));
    const from = clean.findIndex(({ text }) => after.test(text));
    const meant = clean.findIndex((call, index) => index >= from && call.name === name && what.test(call.text));
    assert.ok(from >= 0 && meant >= 0, `${name} ${what.source} is never called after ${after.source}`);
    const number = clean.slice(0, meant + 1).filter((call) => call.name === name).length;
    // Loop devices of other tests make ioctls more or fewer.
    for (let tries = 0; tries < 24; tries++) {
      const copy = world.copy(at);
      const off = name === "ioctl" ? Math.ceil((tries % 12) / 2) * (tries % 2 === 0 ? -1 : 1) : 0;
      const fault = `${name}:signal=SIGKILL:when=${Math.max(1, number + off)}`;
      const own = workersOwn(await traced(commandLine(copy, verb, ...args), calls, fault));
      const last = own.at(-1);
      if (last?.name === name && what.test(last.text) && own.some(({ text }) => after.test(text))) {
        renameSync(copy, at);
        return assertReleased(copy);
      }
      world.drop(copy);
    }
    assert.fail(`${name} ${what.source} was never hit`);
  }

  const moves = /"\/run\/firn\/volume\/current"/;
  /** Begun with the one that names the draft what it will be. */
  const named = /snapshots\/\d{14}[A-Za-z]{8}"/;

  test("leaves a draft, whatever it is called: list says so, no word names it, the next change deletes it", async () => {
    const own = world.copy(image);
    const before = await list(own);
    const kept = namesIn(own, "snapshots");
    await killed(own, "renameat2", moves, named, "run", "--", "touch", "/etc/lost");
    const id = namesIn(own, "snapshots").find((name) => !kept.includes(name)) ?? "";
    assert.match(id, /^\d{14}[A-Za-z]{8}$/);
    const after = await list(own);
    assert.deepEqual(
      [after.generations, after.slots, after.drafts],
      [before.generations, before.slots, [`${id}.draft`]],
    );
    await refused("E_GENERATION_MISSING", own, "switch", id);
    await on(own, "run", "--", "touch", "/etc/next");
    assert.equal(namesIn(own, "snapshots").length, kept.length + 1);
    assert.ok(!has(own, "etc/lost"));
    assert.deepEqual(assertWhole(own).drafts, []);
  });

  test("leaves a draft that a rollback keeps one, and gc deletes", async () => {
    const own = world.copy(image);
    const kept = namesIn(own, "snapshots");
    await killed(own, "renameat2", moves, named, "run", "--", "touch", "/etc/lost");
    await on(own, "gc", "--dry-run");
    await on(own, "rollback");
    const { drafts } = await list(own);
    assert.equal(drafts.length, 1);
    assert.deepEqual(namesIn(own, "snapshots"), [...kept, ...drafts].sort());
    await on(own, "gc");
    assert.deepEqual(namesIn(own, "snapshots"), kept);
    assertWhole(own);
  });

  test("a rollback that is cut short takes no generation's name from it, however old", async () => {
    const own = world.copy(image);
    for (let number = 0; number < 5; number++) await on(own, "run", "--", "touch", `/etc/${number}`);
    const before = await list(own);
    const [oldest = ""] = before.generations.map(({ id }) => id);
    assert.ok(!before.slots.includes(oldest));
    await killed(own, "renameat2", moves, /./, "switch", oldest);
    assert.deepEqual(await list(own), before);
    await on(own, "switch", oldest);
    assert.equal((await list(own)).slots[0], oldest);
  });

  for (const [when, name, what, after] of [
    ["while it fills the new commons", "ioctl", /\/more>, .*CLONE/, /./],
    ["when the commons has its own name", "syncfs", /./, /commons\/@opt@data"/],
  ] as const) {
    test(`${when}: what it copied is no data from before for who tries again, and gc deletes it`, async () => {
      const own = world.copy(image);
      const commons = namesIn(own, "commons");
      await killed(own, name, what, after, "commons add", "/opt/data");
      assert.equal(namesIn(own, "commons").length, commons.length + 1);
      const { drafts } = await list(own);
      assert.equal(drafts.length, 1);
      const listed = await answer<{ commons: { name: string }[] }>(own, "commons list");
      assert.deepEqual(
        listed.commons.map((one) => one.name),
        commons,
      );
      const other = world.copy(own);
      await on(other, "gc");
      assert.deepEqual(namesIn(other, "commons"), commons);
      assert.deepEqual((await list(other)).drafts, []);

      await on(own, "run", "--", "sh", "-c", "echo two > /opt/data/file");
      const again = await on(own, "commons add", "/opt/data");
      assert.doesNotMatch(again.stderr, /from before/);
      mounted(own, (top) => assert.equal(readFileSync(`${top}/commons/@opt@data/file`, "utf8"), "two\n"));
      assert.deepEqual(namesIn(own, "commons"), [...commons, "@opt@data"].sort());
      assert.deepEqual(assertWhole(own).drafts, []);
    });
  }

  for (const [what, commons] of [
    ["older than it", "@var@log"],
    ["that is no commons", "../snapshots"],
  ] as const) {
    test(`its record takes nothing with it ${what}, whoever wrote that there`, async () => {
      const own = world.copy(image);
      const kept = namesIn(own, "snapshots");
      await killed(own, "renameat2", moves, named, "run", "--", "touch", "/etc/lost");
      const id = namesIn(own, "snapshots").find((name) => !kept.includes(name)) ?? "";
      mounted(
        own,
        (top) => {
          const file = `${top}/snapshots/${id}/generation.json`;
          writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, "utf8")) as object), commons }));
        },
        "rw",
      );
      const shared = namesIn(own, "commons");
      await on(own, "gc");
      assert.deepEqual(namesIn(own, "commons"), shared);
      assert.deepEqual(namesIn(own, "snapshots"), kept);
    });
  }

  test("a mark that a kill left after the switch goes with the next command that writes", async () => {
    const own = world.copy(image);
    const [id = ""] = (await list(own)).slots;
    const mark = (top: string): void => symlinkSync(id, `${top}/next/draft`);
    mounted(own, mark, "rw");
    await on(own, "pin", id);
    assert.ok(!namesIn(own, "next").includes("draft"));
    mounted(own, mark, "rw");
    await on(own, "pin", "--dry-run", id);
    assert.ok(namesIn(own, "next").includes("draft"));
  });

  test("a commons of a path that ends like a draft's name is nobody's draft", async () => {
    const own = world.copy(image);
    await on(own, "run", "--", "mkdir", "/opt/x.draft");
    await on(own, "commons add", "/opt/x.draft");
    await on(own, "run", "--", "touch", "/etc/after");
    await on(own, "gc");
    assert.ok(namesIn(own, "commons").includes("@opt@x.draft"));
    const { commons } = await answer<{ commons: { name: string; path: string | null }[] }>(own, "commons list");
    assert.equal(commons.find(({ name }) => name === "@opt@x.draft")?.path, "/opt/x.draft");
  });
});
