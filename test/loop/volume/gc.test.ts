import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { assertReleased } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { answer, attempt, list, on, refused } from "../../kit/verbs.ts";
import { assertWhole, mounted, rootOffset, treeOf } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

interface Plan {
  dryRun?: boolean;
  steps?: string[];
  deleted: boolean;
  generations: string[];
  drafts: string[];
  linkSets: string[];
}

describe("gc", { skip }, () => {
  const world = ownWorld();
  let seven = "";
  let ids: string[] = [];
  before(async () => {
    seven = await world.image();
    for (let number = 1; number < 7; number += 1) await on(seven, "run", "--", "touch", `/etc/number-${number}`);
    ids = (await list(seven)).generations.map(({ id }) => id);
  });

  test("deletes the oldest beyond --keep, and no slot, whatever is asked for", async () => {
    const image = world.copy(seven);
    assert.deepEqual((await answer<Plan>(image, "gc")).generations, [], "ten are kept unless told otherwise");
    const six = await answer<Plan>(image, "gc", "--keep", "6");
    assert.deepEqual(six.generations, [ids[0]]);
    const none = await answer<Plan>(image, "gc", "--keep", "0");
    assert.deepEqual(none.generations, [ids[1], ids[2]]);
    const whole = assertWhole(image);
    assert.deepEqual(whole.generations, ids.slice(3));
    assert.deepEqual(whole.slots, ids.slice(3).toReversed());
    assert.match((await on(image, "gc", "--keep", "0")).stdout, /Nothing to delete/);
    await assertReleased(image);
  });

  test("--dry-run names exactly what a real run then deletes", async () => {
    const image = world.copy(seven);
    const before = treeOf(image);
    const plan = await answer<Plan>(image, "gc", "--keep", "4", "--dry-run");
    assert.equal(plan.deleted, false);
    assert.equal(treeOf(image), before);
    const done = await answer<Plan>(image, "gc", "--keep", "4");
    const { dryRun, steps, ...planned } = plan;
    assert.equal(dryRun, true);
    assert.deepEqual({ ...done, deleted: false }, planned);
    assert.deepEqual(
      steps?.slice(0, 3),
      done.generations.map((id) => `Delete ${id}`),
    );
    assert.equal(done.linkSets.length, 6);
    assert.equal(mounted(image, (top) => readdirSync(`${top}/links`)).length, 1);
  });

  test("refuses by name what is in a slot, pinned or the last known good, and deletes what was named beside it not either", async () => {
    const image = world.copy(seven);
    await on(image, "pin", ids[1] ?? "");
    verdict(image, ids[2] ?? "", "good");
    const before = treeOf(image);
    for (const [word, reason] of [
      ["0", /is in a boot slot/],
      ["current", /is in a boot slot/],
      ["3", /is in a boot slot/],
      [ids[1], /is pinned/],
      [ids[2], /is the last one known to be good/],
    ] as const) {
      const error = await refused("E_GENERATION_KEPT", image, "gc", ids[0] ?? "", word ?? "");
      assert.match(error.message, reason);
    }
    assert.equal(treeOf(image), before);
    assert.deepEqual((await answer<Plan>(image, "gc", "--keep", "0")).generations, [ids[0]]);
    await on(image, "unpin", ids[1] ?? "");
    assert.deepEqual((await answer<Plan>(image, "gc", ids[1] ?? "")).generations, [ids[1]]);
    assert.deepEqual(assertWhole(image).generations, ids.slice(2));
  });

  test("deletes generations by name, prefix and selector, and then they are gone", async () => {
    const image = world.copy(seven);
    const done = await answer<Plan>(image, "gc", ids[0] ?? "", (ids[2] ?? "").slice(0, 20));
    assert.deepEqual(done.generations, [ids[0], ids[2]]);
    await refused("E_GENERATION_MISSING", image, "gc", ids[0] ?? "");
    await refused("E_GENERATION_MISSING", image, "switch", ids[0] ?? "");
    await on(image, "switch", ids[1] ?? "");
    await on(image, "diff", ids[3] ?? "", ids[6] ?? "");
  });

  test("a generation that somebody has mounted is not deleted: btrfs would blank it under them", async () => {
    const image = world.copy(seven);
    const device = execFileSync("losetup", ["-f", "--show", "-o", String(rootOffset(image)), image])
      .toString()
      .trim();
    const top = mkdtempSync(join(tmpdir(), "firn-mounted-"));
    try {
      execFileSync("mount", ["-o", `subvol=snapshots/${ids[0]}/@`, device, top]);
      const entries = readdirSync(top);
      try {
        const error = await refused("E_GENERATION_KEPT", device, "gc", ids[0] ?? "");
        assert.match(error.message, /is mounted/);
        assert.deepEqual((await answer<Plan>(device, "gc", "--keep", "0")).generations, [ids[1], ids[2]]);
        assert.deepEqual(readdirSync(top), entries);
      } finally {
        execFileSync("umount", [top]);
      }
      // Whoever made a mount namespace meanwhile (another test's firn) has a copy of the mount until it ends.
      for (let left = 100; (await attempt(device, "gc", ids[0] ?? "")).status !== 0; left -= 1) {
        assert.ok(left > 0, "the generation stays mounted");
        await sleep(100);
      }
      assert.ok(!(await list(device)).generations.some(({ id }) => id === ids[0]));
    } finally {
      execFileSync("losetup", ["-d", device]);
      rmSync(top, { recursive: true });
    }
  });

  test("retention comes from the generation's own firn.toml; flags win", async () => {
    const image = world.copy(seven);
    const toml = "[retention]\nkeep-count = 5\n";
    await on(image, "run", "--", "sh", "-c", `mkdir -p /etc/firn; printf '${toml}' > /etc/firn/firn.toml`);
    const all = (await list(image)).generations.map(({ id }) => id);
    assert.deepEqual((await answer<Plan>(image, "gc", "--dry-run", "--keep", "7")).generations, [all[0]]);
    assert.deepEqual((await answer<Plan>(image, "gc")).generations, all.slice(0, 3));
    // While less than this is free, neither count nor age keeps the oldest; the slots do.
    const short = await answer<Plan>(image, "gc", "--keep", "100", "--free", "1900M");
    assert.deepEqual(short.generations, [all[3]]);
    await refused("E_USAGE", image, "gc", "--keep", "many");
    await refused("E_USAGE", image, "gc", "--free", "much");
  });

  test("on a short disk it deletes the oldest first, and no more than is needed; sizes and a target not reached are said", async () => {
    const image = await world.image();
    const grow = "dd if=/dev/urandom of=/opt/big bs=1M count=60 2>/dev/null";
    for (let number = 1; number < 7; number += 1) await on(image, "run", "--", "sh", "-c", grow);
    const all = (await list(image)).generations.map(({ id }) => id);
    const { space } = await answer<{ space: { free: number } }>(image, "status");
    const target = `${Math.floor(space.free / 2 ** 20) + 50}M`;
    const plan = await answer<Plan>(image, "gc", "--keep", "100", "--free", target, "--dry-run");
    assert.match(plan.steps?.join("\n") ?? "", new RegExp(`Delete ${all[2]}, if less than .* are free by then`));
    const ran = await on(image, "gc", "--keep", "100", "--free", target);
    assert.match(ran.stderr, new RegExp(`^${all[1]} gave back (5\\d|6\\d) MiB\\.$`, "m"));
    assert.match(ran.stdout, /^Deleted 2 of 7\.$/m);
    assert.doesNotMatch(ran.stdout, /not reached/);
    assert.deepEqual(assertWhole(image).generations, all.slice(2));
    const more = await on(image, "gc", "--keep", "100", "--free", "1900M");
    assert.match(more.stdout, /^Deleted 1 of 5\.\nTarget not reached: .* are free, 1\.9 GiB were wanted\./m);
    const nothing = await answer<{ target: { reached: boolean; free: number } }>(image, "gc", "--free", "1900M");
    assert.equal(nothing.target.reached, false);
    assert.ok(nothing.target.free > space.free);
  });

  test("drafts of dead runs, and generations that hold subvolumes of their own, go whole", async () => {
    const image = world.copy(seven);
    const fresh = `${(ids[0] ?? "").slice(0, 14)}AbCdEfGh`;
    mounted(
      image,
      (top) => {
        const draft = `${top}/snapshots/${fresh}.draft`;
        mkdirSync(draft);
        execFileSync("btrfs", ["subvolume", "create", `${draft}/@`], { stdio: "ignore" });
        execFileSync("btrfs", ["subvolume", "create", `${draft}/@/inner`], { stdio: "ignore" });
        writeFileSync(`${draft}/@/inner/file`, "x");
      },
      "rw",
    );
    assert.match((await on(image, "list")).stdout, new RegExp(`Draft ${fresh}\\.draft`));
    assert.equal(assertWhole(image).drafts.length, 1);
    const done = await answer<Plan>(image, "gc");
    assert.deepEqual(done.drafts, [`${fresh}.draft`]);
    const whole = assertWhole(image);
    assert.deepEqual([whole.drafts, whole.generations], [[], ids]);
  });

  test("what firn did not put there stays: other names, and other files in a generation's folder", async () => {
    const image = world.copy(seven);
    const names = ["20240101120000home", "notes.draft"];
    mounted(
      image,
      (top) => {
        for (const name of names) {
          execFileSync("btrfs", ["subvolume", "create", `${top}/snapshots/${name}`], { stdio: "ignore" });
          writeFileSync(`${top}/snapshots/${name}/data`, "precious");
        }
      },
      "rw",
    );
    await answer<Plan>(image, "gc", "--keep", "0", "--free", "80%");
    await on(image, "run", "--", "touch", "/etc/another");
    mounted(image, (top) => {
      for (const name of names) assert.ok(readdirSync(`${top}/snapshots/${name}`).includes("data"), name);
    });
    assert.deepEqual((await list(image)).drafts, []);
    await refused("E_GENERATION_MISSING", image, "gc", "20240101120000home");

    const other = world.copy(seven);
    mounted(other, (top) => writeFileSync(`${top}/snapshots/${ids[0]}/notes`, "precious"), "rw");
    const error = await refused("E_GENERATION_KEPT", other, "gc", ids[0] ?? "");
    assert.match(error.message, /holds notes, which firn did not put there/);
    assert.deepEqual(assertWhole(other).generations, ids);
    mounted(other, (top) =>
      assert.deepEqual(readdirSync(`${top}/snapshots/${ids[0]}`).sort(), ["@", "generation.json", "notes"]),
    );
  });

  test("a stray file in a generation or a draft keeps that one, with a note, and stops nothing else", async () => {
    const image = world.copy(seven);
    const draft = "20200101000000abcdefgh.draft";
    mounted(
      image,
      (top) => {
        writeFileSync(`${top}/snapshots/${ids[0]}/note`, "precious");
        mkdirSync(`${top}/snapshots/${draft}`);
        writeFileSync(`${top}/snapshots/${draft}/note`, "precious");
      },
      "rw",
    );
    const made = await on(image, "run", "--", "touch", "/etc/another");
    assert.match(made.stderr, /abcdefgh\.draft could not be deleted: .* holds note/);
    const ran = await on(image, "gc", "--keep", "4");
    assert.match(ran.stderr, new RegExp(`${ids[0]} could not be deleted: .* holds note`));
    const left = await list(image);
    assert.deepEqual(
      left.generations.map(({ id }) => id),
      [ids[0], ...ids.slice(4), left.slots[0]],
    );
    assert.deepEqual(left.drafts, [draft]);
    const again = await answer<Plan>(image, "gc", "--keep", "4");
    assert.deepEqual([again.generations, again.drafts], [[], []]);
    await answer<Plan>(image, "gc", "--keep", "4", "--free", "90%");
    await refused("E_GENERATION_KEPT", image, "gc", ids[0] ?? "");
    mounted(image, (top) => {
      for (const name of [ids[0], draft]) assert.ok(readdirSync(`${top}/snapshots/${name}`).includes("note"), name);
    });
  });

  test("says what it deleted when that was link sets alone", async () => {
    const image = world.copy(seven);
    const { linkSets } = await answer<Plan>(image, "gc", "--dry-run");
    const { stdout } = await on(image, "gc");
    assert.match(stdout, new RegExp(`^Deleted ${linkSets.length} link sets`, "m"));
    assert.match((await on(image, "gc")).stdout, /^Nothing to delete\.$/m);
  });

  test("only root can read a generation's record: its command may hold a secret", () => {
    mounted(seven, (top) => {
      for (const id of ids) assert.equal(statSync(`${top}/snapshots/${id}/generation.json`).mode & 0o777, 0o600, id);
    });
  });
});

/** A verdict as `firn confirm` writes it on the running system. */
function verdict(image: string, id: string, word: string): void {
  mounted(
    image,
    (top) => {
      const file = `${top}/snapshots/${id}/generation.json`;
      writeFileSync(
        file,
        JSON.stringify({ ...(JSON.parse(execFileSync("cat", [file]).toString()) as object), verdict: word }),
      );
    },
    "rw",
  );
}
