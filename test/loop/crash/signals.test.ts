import assert from "node:assert/strict";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { alpineMirror, fixtures } from "../../fixtures/fixtures.ts";
import { start } from "../../kit/firn.ts";
import { assertReleased } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { answer, commandLine, on } from "../../kit/verbs.ts";
import { assertWhole, fileIn, type Whole } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

/** The lines of an upgrade at which a signal is sent. */
const moments: readonly RegExp[] = [
  /^\[\d+\/\d+\] Open draft/m,
  /^\[\d+\/\d+\] Upgrade the packages/m,
  /^ +\(1\/1\) Upgrading apk-tools/m,
  /^ +\(4\/8\) Upgrading/m,
  /^ +\(8\/8\) Upgrading/m,
  /^\[\d+\/\d+\] Write its fstab/m,
  /^\[\d+\/\d+\] Look at what changed/m,
  /^\[\d+\/\d+\] Check the boot files/m,
  /^\[\d+\/\d+\] Make it slot 0/m,
];

describe("an upgrade that is interrupted boots the old or the new generation", { skip }, () => {
  const world = ownWorld();
  let flags: string[] = [];
  before(async () => {
    flags = ["-X", join(alpineMirror, "v3.19.4"), "--keys-dir", (await fixtures()).keysDir];
  });

  /**
   * Upgrades, and sends a signal at the first sign of `moment`: to firn alone, or as a terminal does to all in its
   * group.
   */
  async function interrupted(
    image: string,
    moment: RegExp | number,
    signal: NodeJS.Signals,
    group = false,
  ): Promise<{ status: number; stderr: string }> {
    const running = await start(commandLine(image, "upgrade", ...flags));
    const { child } = running;
    const send = (): boolean => (group ? process.kill(-(child.pid ?? 0), signal) : child.kill(signal));
    if (typeof moment === "number") setTimeout(send, moment);
    else {
      let sent = false;
      child.stderr?.on("data", () => {
        if (sent || !moment.test(running.said())) return;
        sent = true;
        send();
      });
    }
    return running.ended;
  }

  function oldOrNew(image: string, before: Whole, moment: string): Whole {
    const after = assertWhole(image);
    const moved = after.slots[0] !== before.slots[0];
    assert.equal(after.slots.includes(before.slots[0] ?? ""), true, moment);
    assert.match(fileIn(image, "etc/alpine-release"), moved ? /^3\.19\.4/ : /^3\.19\.1/, moment);
    return after;
  }

  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    test(`${signal} at every step: nothing is left behind, and firn says that it was stopped`, async () => {
      const image = await world.image();
      const first = assertWhole(image);
      let stopped = 0;
      for (const moment of [100, ...moments]) {
        const { status, stderr } = await interrupted(image, moment, signal, signal === "SIGINT");
        const after = oldOrNew(image, first, String(moment));
        assert.deepEqual(after.drafts, [], `${moment}: ${stderr}`);
        await assertReleased(image);
        if (status === 0) {
          assert.notEqual(after.slots[0], first.slots[0]);
          await on(image, "rollback", first.slots[0] ?? "");
          await on(image, "gc", "--keep", "0");
        } else {
          stopped += 1;
          assert.equal(status, 130, stderr);
          assert.match(stderr, /^E_INTERRUPTED: Stopped by /m);
          assert.deepEqual(after, { ...first, generations: after.generations });
        }
      }
      // Each moment up to the middle of apk's work is early enough.
      assert.ok(stopped >= 4, `only ${stopped} were stopped`);
      assert.equal((await answer(image, "upgrade", ...flags)).release, "3.19.4");
    });
  }

  test("SIGKILL at every step: the mounts and children go with it, and the next run deletes the draft", async () => {
    const image = await world.image();
    const first = assertWhole(image);
    let drafts = 0;
    for (const moment of [100, ...moments]) {
      await interrupted(image, moment, "SIGKILL");
      await assertReleased(image);
      const after = oldOrNew(image, first, String(moment));
      // The draft of the run before is gone: at most this run's own is there.
      assert.ok(after.drafts.length <= 1, `${moment}: ${after.drafts.join(" ")}`);
      drafts += after.drafts.length;
      if (after.slots[0] !== first.slots[0]) await on(image, "rollback", first.slots[0] ?? "");
    }
    assert.ok(drafts >= 4, `only ${drafts} kills left a draft`);
    const made = await answer(image, "upgrade", ...flags);
    assert.equal(made.release, "3.19.4");
    assert.deepEqual(assertWhole(image).drafts, []);
  });
});
