import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { before, describe, test } from "node:test";
import { requires } from "../../kit/requires.ts";
import { attempt, list, on, refused, succeeded } from "../../kit/verbs.ts";
import { assertWhole, fileIn, mounted } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

const isFull = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === "ENOSPC";

/** Does something until there is no space for it. */
function untilFull(work: (round: number) => void): void {
  for (let round = 0; ; round += 1) {
    try {
      work(round);
    } catch (error) {
      assert.ok(isFull(error), String(error));
      return;
    }
  }
}

/** Takes every byte for data, in pieces that get smaller. */
function fillData(top: string): void {
  for (let bytes = 2 ** 28; bytes >= 4096; bytes /= 4) {
    untilFull((round) => {
      const file = `${top}/commons/@var@tmp/fill-${bytes}-${round}`;
      try {
        execFileSync("fallocate", ["-l", String(bytes), file], { stdio: "pipe" });
      } catch {
        throw Object.assign(new Error("full"), { code: "ENOSPC" });
      }
    });
  }
}

/** Takes every byte for metadata, where symlinks have their targets, in pieces that get smaller. */
function fillMetadata(top: string): void {
  const folder = `${top}/commons/@var@tmp/links`;
  mkdirSync(folder);
  for (let pass = 0; pass < 3; pass += 1) {
    for (const length of [4000, 1000, 100, 1])
      untilFull((round) => symlinkSync("x".repeat(length), `${folder}/${pass}-${length}-${round}`));
    execFileSync("sync", ["-f", top]);
  }
  writeFileSync(`${top}/commons/@var@tmp/fill-4096-0`, "");
  const old = `${top}/commons/@var@tmp/fill-4096-0`;
  assert.throws(() => renameSync(old, `${old}.new`), isFull, "there is room for a rename");
}

describe("on a volume that is full", { skip }, () => {
  const world = ownWorld();
  let three = "";
  before(async () => {
    three = await world.image();
    // So long, and so hard to compress, that the template takes a block of data.
    const long = "echo \"# $(head -c 6000 /dev/urandom | base64 | tr -d '\\n')\" >> /etc/fstab";
    await on(three, "run", "--", "sh", "-c", `echo 1 > /etc/motd; ${long}`);
    const line = "mkdir /opt/m; echo 'tmpfs /opt/m tmpfs rw 0 0' >> /etc/fstab";
    await on(three, "run", "--", "sh", "-c", `echo 2 > /etc/motd; ${line}`);
  });

  for (const [what, fill] of [
    ["of data", fillData],
    [
      "of data and metadata",
      (top: string): void => {
        fillData(top);
        fillMetadata(top);
      },
    ],
  ] as const) {
    test(`${what}, rollback works across a change of fstab, and after it the next change has the right one`, async () => {
      const image = world.copy(three);
      mounted(image, fill, "rw");
      const { slots } = await list(image);
      const back = succeeded(await attempt(image, "rollback"));
      assert.match(back.stdout, new RegExp(`^${slots[1]} boots next\\.`, "m"));
      assert.equal(assertWhole(image).slots[0], slots[1]);
      assert.equal(fileIn(image, "etc/motd"), "1\n");
      // With room again the next change goes by what boots, and there is a way back once more.
      mounted(image, (top) => execFileSync("sh", ["-c", `rm -rf ${top}/commons/@var@tmp/*`]), "rw");
      await on(image, "run", "--", "touch", "/etc/next");
      assert.ok(!fileIn(image, "etc/fstab").includes("/opt/m"));
      mounted(
        image,
        (top) => {
          assert.ok(!readFileSync(`${top}/fstab`, "utf8").includes("/opt/m"));
          fill(top);
        },
        "rw",
      );
      await on(image, "rollback");
      assert.equal(assertWhole(image).slots[0], slots[1]);
    });
  }

  test("of data and metadata, with nothing in reserve, rollback says that it is full, and what boots stays", async () => {
    const image = world.copy(three);
    mounted(
      image,
      (top) => {
        rmSync(`${top}/reserve`);
        fillData(top);
        fillMetadata(top);
      },
      "rw",
    );
    const { slots } = await list(image);
    const error = await refused("E_NO_SPACE", image, "rollback");
    assert.equal(error.effect, "default unchanged");
    assert.deepEqual(assertWhole(image).slots, slots);
    // With room again the next change holds some back.
    mounted(image, (top) => execFileSync("sh", ["-c", `rm -rf ${top}/commons/@var@tmp/*`]), "rw");
    await on(image, "run", "--", "touch", "/etc/next");
    mounted(image, (top) => assert.ok(statSync(`${top}/reserve`).isFile()));
  });
});
