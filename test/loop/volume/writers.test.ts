import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { exitCodes } from "../../../src/model/problem.ts";
import { firnBinary, start, type Running } from "../../kit/firn.ts";
import { assertReleased } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { traced } from "../../kit/trace.ts";
import { answer, attempt, commandLine, list, on, refused, succeeded } from "../../kit/verbs.ts";
import { assertWhole, fileIn, has, rootOffset } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror", "shm");

/** A folder of /dev, which a draft shares with the host when --host-devices asks for it. */
const shared = "/dev/shm";

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let left = 200; !holds(); left -= 1) {
    assert.ok(left > 0, `${what} never came`);
    await sleep(50);
  }
}

describe("writers and readers", { skip }, () => {
  const world = ownWorld();

  test("a second writer is told who holds the volume, or waits and builds on the first; readers never wait", async () => {
    const image = await world.image();
    const folder = mkdtempSync(join(shared, "firn-"));
    const begun = join(folder, "begun");
    const go = join(folder, "go");
    const script = `echo > ${begun}; while [ ! -e ${go} ]; do sleep 0.1; done; echo first > /etc/first`;
    let first: Running | undefined;
    try {
      first = await start(commandLine(image, "run", "--host-devices", "--", "sh", "-c", script));
      await until("the first change", () => existsSync(begun));

      const error = await refused("E_LOCKED", image, "add", "jq");
      assert.match(error.message, /^firn run .*\(process \d+\) is changing this volume/);
      assert.match(error.message, new RegExp(`process ${first.child.pid}\\)`));
      for (const [verb, ...args] of [["rollback"], ["pin", "0"], ["gc"], ["commons add", "/opt/x"]] as const) {
        await refused("E_LOCKED", image, verb, ...args);
      }

      const seen = await list(image);
      assert.deepEqual([seen.drafts.length, seen.generations.length], [1, 1]);
      assert.match((await on(image, "status")).stdout, /^Draft: .*being made/m);
      for (const verb of ["show", "commons list"]) await on(image, verb);
      await on(image, "diff", "0", "0");
      await on(image, "add", "--dry-run", "jq");

      const second = await start(commandLine(image, "run", "--wait", "--", "touch", "/etc/second"));
      await until("the word that it waits", () => /Waiting for firn run/.test(second.said()));
      assert.equal(second.child.exitCode, null);
      writeFileSync(go, "");
      succeeded(await first.ended);
      succeeded(await second.ended);
      assert.ok(has(image, "etc/second"));
      assert.equal(fileIn(image, "etc/first"), "first\n");
      assert.equal(assertWhole(image).generations.length, 3);
    } finally {
      writeFileSync(go, "");
      await first?.ended;
      rmSync(folder, { recursive: true });
    }
    await assertReleased(image);
  });

  test("one that waits can be interrupted, and a lock does not outlive its holder", async () => {
    const image = await world.image();
    const folder = mkdtempSync(join(shared, "firn-"));
    const begun = join(folder, "begun");
    const first = await start(
      commandLine(image, "run", "--host-devices", "--", "sh", "-c", `echo > ${begun}; sleep 60`),
    );
    try {
      await until("the first change", () => existsSync(begun));
      const second = await start(commandLine(image, "gc", "--wait"));
      await until("the word that it waits", () => /Waiting for/.test(second.said()));
      second.child.kill("SIGTERM");
      const stopped = await second.ended;
      assert.equal(stopped.status, 130, stopped.stderr);
      assert.match(stopped.stderr, /E_INTERRUPTED/);
    } finally {
      first.child.kill("SIGKILL");
      await first.ended;
      rmSync(folder, { recursive: true });
    }
    await assertReleased(image);
    const made = await answer(image, "run", "--", "touch", "/etc/x");
    const whole = assertWhole(image);
    assert.deepEqual([whole.slots[0], whole.drafts], [made.generation, []]);
  });

  test("list, status and show start no program and write nothing", async () => {
    const image = await world.image();
    await on(image, "run", "--", "touch", "/etc/x");
    const before = statSync(image, { bigint: true });
    for (const verb of ["list", "status", "show"]) {
      const { calls, status } = await traced(commandLine(image, verb), "execve,execveat,fork,vfork,clone,clone3");
      assert.equal(status, 0);
      assert.deepEqual(
        calls.map(({ name }) => name),
        ["execve"],
        verb,
      );
    }
    const after = statSync(image, { bigint: true });
    assert.deepEqual([after.mtimeNs, after.blocks], [before.mtimeNs, before.blocks]);
  });

  test("a read-only image or device can be read; changing it is E_VOLUME_READONLY", async () => {
    const image = await world.image();
    await on(image, "run", "--", "touch", "/etc/x");
    const device = execFileSync("losetup", ["-r", "-f", "--show", "-o", String(rootOffset(image)), image])
      .toString()
      .trim();
    try {
      for (const verb of ["list", "status", "show", "diff"]) await on(device, verb);
      for (const [verb, ...args] of [["add", "jq"], ["rollback"], ["gc"], ["pin", "0"]] as const) {
        const error = await refused("E_VOLUME_READONLY", device, verb, ...args);
        assert.match(error.message, /read-only/);
      }
    } finally {
      execFileSync("losetup", ["-d", device]);
    }
    // The same on a filesystem that is mounted read-only, as a CD is.
    const script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"';
    const within = (...args: string[]): string[] => ["-m", "sh", "-c", script, "sh", world.folder, ...args];
    const binary = await firnBinary();
    const read = execFileSync("unshare", within(binary, ...commandLine(image, "list"))).toString();
    assert.match(read, /slot 0/);
    assert.throws(
      () => execFileSync("unshare", within(binary, ...commandLine(image, "rollback")), { stdio: "pipe" }),
      (error: { stderr: Buffer }) => error.stderr.toString().startsWith("E_VOLUME_READONLY: "),
    );
    await assertReleased(image);
    assertWhole(image);
  });

  // Alpine has no glibc, and musl no sanitizers.
  const skip = process.env["FIRN_BUILD"] === "sanitize" && "this binary needs glibc, which the draft has not";
  test("firn inside a draft refuses to change the volume that the draft is of", { skip }, async () => {
    const image = await world.image();
    const folder = mkdtempSync(join(shared, "firn-"));
    try {
      copyFileSync(await firnBinary(), join(folder, "firn"));
      const ran = await attempt(image, "run", "--host-devices", "--", join(folder, "firn"), "add", "jq");
      assert.equal(ran.status, exitCodes.E_COMMAND, ran.stderr);
      assert.match(ran.stderr, /^E_IN_DRAFT: /m);
    } finally {
      rmSync(folder, { recursive: true });
    }
    assert.equal(assertWhole(image).generations.length, 1);
  });
});
