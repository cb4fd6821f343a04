import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { assertReleased } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { answer, attempt, list, on, refused, succeeded } from "../../kit/verbs.ts";
import { assertWhole, fileIn, has, mounted } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

interface Status {
  space: { total: number; used: number; free: number };
}

const MiB = 2 ** 20;

async function free(image: string): Promise<number> {
  return (await answer<Status>(image, "status")).space.free;
}

/** Takes space in a commons, so that about `left` bytes stay free. */
async function fill(image: string, left: number): Promise<void> {
  const bytes = (await free(image)) - left;
  await on(image, "run", "--", "fallocate", "-l", String(bytes), "/var/tmp/fill");
}

describe("space", { skip }, () => {
  const world = ownWorld();

  test("a command that fills the disk: the draft goes, its space comes back, what boots stays", async () => {
    const image = await world.image();
    await fill(image, 150 * MiB);
    const before = assertWhole(image);
    const error = await refused("E_COMMAND", image, "run", "--", "dd", "if=/dev/urandom", "of=/fill", "bs=1M");
    assert.match(error.message, /exit code 1/);
    assert.deepEqual(assertWhole(image), before);
    await assertReleased(image);
    // The kernel gives the space back in the background; the next change waits for that rather than call it short.
    await on(image, "add", "jq");
    assert.ok((await free(image)) > 130 * MiB, "the draft's space is not back");
    assertWhole(image);
  });

  test("a sparse image is not changed where its own filesystem has no room for what it would write", async () => {
    const image = await world.image();
    const folder = `${image}.tmpfs`;
    mkdirSync(folder);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=110m", "tmpfs", folder]);
    try {
      const cramped = `${folder}/t.img`;
      execFileSync("cp", ["--sparse=always", image, cramped]);
      const before = assertWhole(cramped);
      const error = await refused("E_IMAGE_SPACE", cramped, "run", "--", "touch", "/etc/x");
      assert.match(error.message, /t\.img is sparse, and its filesystem has \d+/);
      await refused("E_IMAGE_SPACE", cramped, "rollback");
      assert.deepEqual(assertWhole(cramped), before);
      await on(cramped, "list");
    } finally {
      execFileSync("umount", [folder]);
    }
  });

  test("a full disk that the command does not mind: the change is committed whole, or refused with E_NO_SPACE", async () => {
    const image = await world.image();
    await fill(image, 100 * MiB);
    const before = assertWhole(image);
    const ran = await attempt(
      image,
      "run",
      "--",
      "sh",
      "-c",
      "dd if=/dev/urandom of=/fill bs=64k; echo x > /etc/x; true",
    );
    const now = assertWhole(image);
    assert.deepEqual(now.drafts, []);
    if (ran.status === 0) assert.equal(now.slots[1], before.slots[0]);
    else {
      assert.match(ran.stderr, /^E_NO_SPACE: /m);
      assert.deepEqual(now.slots, before.slots);
    }
    // Full or not: the way back and the broom still work.
    if (ran.status === 0) await on(image, "rollback");
    await on(image, "gc", "--keep", "0");
    await on(image, "pin", "0");
    assert.equal(assertWhole(image).slots[0], before.slots[0]);
  });

  test("metadata that is full is called so, with what is free for data and what helps", async () => {
    const image = await world.image();
    mounted(
      image,
      (top) => {
        const folder = `${top}/commons/@var@tmp`;
        // Room that has become data's stays so until it is balanced.
        execFileSync("sh", ["-c", 'cd "$1"; while fallocate -l 1M $((n += 1)); do :; done 2>/dev/null', "sh", folder]);
        execFileSync("sh", ["-c", 'cd "$1"; sync; rm 1?0 1?5 2?0 2?5 3?0 3?5; sync', "sh", folder]);
        mkdirSync(`${folder}/small`);
        const content = randomBytes(1900);
        const fill = (): void => {
          for (let name = 0; ; name += 1) writeFileSync(`${folder}/small/${name}`, content);
        };
        assert.throws(fill, /ENOSPC/);
      },
      "rw",
    );
    for (const [verb, ...args] of [
      ["run", "--", "touch", "/etc/x"],
      ["describe", "0", "words"],
    ] as const) {
      const error = await refused("E_NO_SPACE", image, verb, ...args);
      assert.match(error.message, /no room for btrfs's metadata, though [\d.]+ MiB are free for data/);
      assert.match(error.hint ?? "", /firn gc.*btrfs balance/);
    }
  });

  test("packages that do not fit are refused before a draft is opened; generations that could go are named", async () => {
    const image = await heavy();
    const { generations, slots } = await list(image);
    const idle = generations.filter(({ id }) => !slots.includes(id)).map(({ id }) => id);
    assert.equal(idle.length, 2);
    const before = assertWhole(image);
    const ran = await attempt(image, "add", "git");
    assert.equal(ran.status, 57, ran.stderr);
    assert.match(ran.stderr, /^E_NO_SPACE: This needs .*, and .* are free\. Nothing was changed\./m);
    assert.doesNotMatch(ran.stderr, /Open draft/);
    for (const id of idle) assert.ok(ran.stderr.includes(id), ran.stderr);
    for (const id of slots) assert.ok(!ran.stderr.includes(id), ran.stderr);
    assert.deepEqual(assertWhole(image), before);
    // What is pinned is not offered; then there is nothing that could go.
    for (const id of idle) await on(image, "pin", id);
    const error = await refused("E_NO_SPACE", image, "add", "git");
    assert.match(error.hint ?? "", /unpin one/);
    for (const id of idle) await on(image, "unpin", id);
    // The hint works as it stands.
    const hint = /`firn gc (--free \d+M)`/.exec(ran.stderr)?.[1] ?? "";
    await on(image, "gc", ...hint.split(" "));
    await on(image, "add", "git");
    assert.ok(has(image, "usr/bin/git"));
  });

  test("auto-gc = true in firn.toml makes the room first, and only where there is need", async () => {
    const image = await heavy("[retention]\nauto-gc = true\n");
    const { generations, slots } = await list(image);
    const idle = generations.filter(({ id }) => !slots.includes(id)).map(({ id }) => id);
    const plan = await answer<{ steps: string[] }>(image, "add", "--dry-run", "git");
    const opened = plan.steps.findIndex((step) => step.startsWith("Open draft"));
    for (const id of idle) {
      const at = plan.steps.findIndex((step) => step.startsWith(`Delete ${id}, if less than`));
      assert.ok(at >= 0 && at < opened, `${id} goes before the draft is opened: ${plan.steps.join("; ")}`);
    }
    assert.equal((await list(image)).generations.length, generations.length);
    succeeded(await attempt(image, "add", "git"));
    assert.ok(has(image, "usr/bin/git"));
    const left = assertWhole(image).generations;
    assert.ok(idle.every((id) => !left.includes(id)));
    const count = left.length;
    await on(image, "run", "--", "sh", "-c", "rm /var/tmp/fill; touch /etc/roomy");
    await on(image, "add", "jq");
    assert.equal(assertWhole(image).generations.length, count + 2);
  });

  /** Almost full: two generations outside the slots hold 300 MiB, which no slot has. */
  async function heavy(toml = ""): Promise<string> {
    const image = await world.image();
    const write = "dd if=/dev/urandom of=/opt/heavy bs=1M count=300 2>/dev/null";
    const config = `mkdir -p /etc/firn; printf '${toml.replaceAll("\n", "\\n")}' > /etc/firn/firn.toml`;
    await on(image, "run", "--", "sh", "-c", `${write}; ${config}`);
    for (const number of [1, 2, 3, 4])
      await on(image, "run", "--", "sh", "-c", `rm -f /opt/heavy; touch /etc/${number}`);
    await fill(image, 40 * MiB);
    assert.equal(fileIn(image, "etc/firn/firn.toml"), toml);
    return image;
  }
});
