/** A disk or image that is being made: its maker's alone, under the name that was given, unfinished until whole. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { exitCodes } from "../../../src/model/problem.ts";
import { attached } from "../../kit/disk.ts";
import { firn, start } from "../../kit/firn.ts";
import { machineFlags } from "../../kit/image.ts";
import { requires } from "../../kit/requires.ts";
import { traced } from "../../kit/trace.ts";
import { workFolder } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror", "strace");

describe("what is being made", { skip }, () => {
  const work = workFolder("alone");

  it("an image is made under the very name that was given, as the kernel reads it", async () => {
    mkdirSync(join(work, "deep/er"), { recursive: true });
    symlinkSync("deep/er", join(work, "link"));
    const words = ["image", "link/../a  b.img", "--size", "1G", ...(await machineFlags())];
    const { child, said, ended } = await start(words, ["env", "-C", work]);
    // Another firn comes while it is made.
    const [again, written] = await new Promise<[Promise<number>, Promise<number>]>((resolve) => {
      const file = join(work, "deep/a  b.img");
      child.stderr?.on("data", function look() {
        if (!said().includes("[4/")) return;
        child.stderr?.off("data", look);
        const status = async (...args: string[]): Promise<number> => (await firn(args)).status;
        resolve([status("image", file, ...words.slice(2)), status("pin", "0", "--volume", file)]);
      });
    });
    assert.deepEqual([await again, await written], [exitCodes.E_LOCKED, exitCodes.E_LOCKED]);
    const { status, stderr } = await ended;
    assert.equal(status, 0, stderr);
    assert.ok(existsSync(join(work, "deep/a  b.img")));
    assert.ok(!existsSync(join(work, "a b.img")) && !existsSync(join(work, "a  b.img")));
    assert.equal(
      (await firn(["image", "link/../a  b.img", ...words.slice(2)], { cwd: work })).status,
      exitCodes.E_IMAGE_EXISTS,
    );
  });

  it("an installation whose last flush the disk does not confirm is called unfinished", async () => {
    const file = join(work, "disk");
    writeFileSync(file, "");
    truncateSync(file, 2 ** 31);
    using disk = attached(file);
    const words = ["install", disk.device, "--yes", ...(await machineFlags())];
    const clean = await traced(words, "syncfs");
    assert.equal(clean.status, 0, clean.stderr);
    const fault = `syncfs:error=EIO:when=${clean.calls.length}`;
    const { status, stderr } = await traced(words, "syncfs", fault);
    assert.notEqual(status, 0, stderr);
    const said = await firn(["status", "--json", "--volume", disk.device]);
    assert.equal((JSON.parse(said.stdout) as { unfinished: string }).unfinished, "finish", stderr);
  });
});
