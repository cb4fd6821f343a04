import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { before, describe, test } from "node:test";
import { assertReleased } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { traced } from "../../kit/trace.ts";
import { answer, attempt, commandLine, current, on, refused } from "../../kit/verbs.ts";
import { assertWhole, fileIn, has, mounted, templateAt } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror", "strace");

const LINE = "tmpfs /opt/memory tmpfs rw 0 0";

/** The mounts of slot 0's fstab, the generation's own name aside. */
function mounts(image: string): string[] {
  const fstab = fileIn(image, "etc/fstab").replaceAll(/snapshots\/[^/]+/g, "snapshots/ID");
  return fstab.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

/** What somebody does to the template by hand. */
function byHand(image: string, edit: (text: string) => string): void {
  mounted(image, (top) => writeFileSync(`${top}/fstab`, edit(readFileSync(`${top}/fstab`, "utf8"))), "rw");
}

const template = (image: string): string => mounted(image, (top) => readFileSync(`${top}/fstab`, "utf8"));

describe("the fstab of the next generation", { skip }, () => {
  const world = ownWorld();
  let two = "";
  before(async () => {
    two = await world.image();
    await on(two, "run", "--", "touch", "/etc/second");
  });

  for (const [verb, ...args] of [
    ["commons add", "/opt/shared"],
    ["run", "--", "sh", "-c", `echo '${LINE}' >> /etc/fstab`],
    ["rollback"],
  ] as const) {
    for (const fault of ["signal=SIGKILL", "error=EIO"]) {
      test(`is that of what boots, wherever \`firn ${verb}\` ends by ${fault}: no line is lost, none comes back`, async () => {
        const image = world.copy(two);
        if (verb === "rollback") await on(image, "run", "--", "sh", "-c", `echo '${LINE}' >> /etc/fstab`);
        for (let number = 1; number <= 3; number += 1) {
          const copy = world.copy(image);
          // What is to undo it fails too.
          const inject = `renameat2:${fault}:when=${number}+`;
          await traced(commandLine(copy, verb, ...args), "renameat2", inject);
          await assertReleased(copy);
          const inForce = mounts(copy);
          await on(copy, "run", "--", "touch", "/etc/next");
          assert.deepEqual(mounts(copy), inForce, inject);
          await on(copy, "run", "--", "touch", "/etc/after");
          assert.deepEqual(mounts(copy), inForce, inject);
          world.drop(copy);
        }
      });
    }
  }

  test("is that of what boots too where the template is of another hand, and the first run on it is killed", async () => {
    const image = world.copy(two);
    mounted(image, (top) => writeFileSync(`${top}/fstab`, templateAt(top)), "rw");
    for (let number = 1; number <= 4; number += 1) {
      const copy = world.copy(image);
      const words = ["--", "sh", "-c", `echo '${LINE}' >> /etc/fstab`];
      const killed = `renameat2:signal=SIGKILL:when=${number}`;
      await traced(commandLine(copy, "run", ...words), "renameat2", killed);
      await assertReleased(copy);
      const inForce = mounts(copy);
      await on(copy, "run", "--", "touch", "/etc/next");
      assert.deepEqual(mounts(copy), inForce, killed);
      world.drop(copy);
    }
  });

  test("has what somebody wrote into the template, also where the same change edits /etc/fstab", async () => {
    const image = world.copy(two);
    byHand(image, (text) => `${text}${LINE}\n`);
    const other = "tmpfs /opt/other tmpfs rw 0 0";
    const made = await on(image, "run", "--", "sh", "-c", `mkdir /opt/other; echo '${other}' >> /etc/fstab`);
    assert.match(made.stderr, /\/opt\/memory, where fstab mounts something, was missing: it was made\./);
    assert.doesNotMatch(made.stderr, /\/opt\/other,/);
    assert.ok(mounts(image).includes(LINE) && mounts(image).includes(other));
    assert.ok(has(image, "opt/memory"));
    assert.ok(template(image).includes(LINE) && template(image).includes(other));
    assertWhole(image);
  });

  test("has what somebody wrote into the template before a rollback, or took out of it", async () => {
    const image = world.copy(two);
    await on(image, "run", "--", "sh", "-c", "mkdir /opt/old; echo 'tmpfs /opt/old tmpfs rw 0 0' >> /etc/fstab");
    byHand(image, (text) => `${text.replace(/^tmpfs\t\/tmp.*\n/m, "")}${LINE}\n`);
    await on(image, "rollback");
    await on(image, "run", "--", "touch", "/etc/next");
    assert.ok(mounts(image).includes(LINE));
    assert.ok(!mounts(image).some((line) => /\/opt\/old|\t\/tmp\t/.test(line)), mounts(image).join("\n"));
  });

  test("takes a line out again that somebody takes out of the template, though an older template lacks it too", async () => {
    const image = world.copy(two);
    await on(image, "run", "--", "sh", "-c", `echo '${LINE}' >> /etc/fstab`);
    byHand(image, (text) => text.replace(`${LINE}\n`, ""));
    assert.equal((await answer(image, "run", "--", "true")).changed, true);
    assert.ok(!mounts(image).includes(LINE));
    assert.equal((await answer(image, "run", "--", "true")).changed, false);
  });

  test("is that of the base, where another one is named", async () => {
    const image = world.copy(two);
    const base = await current(image);
    await on(image, "run", "--", "sh", "-c", `echo '${LINE}' >> /etc/fstab`);
    await on(image, "run", "--base", base, "--", "touch", "/etc/beside");
    assert.ok(!mounts(image).includes(LINE));
  });

  test("names no subvolume by number beside its name: mount would refuse that in the next generation", async () => {
    const image = world.copy(two);
    const numbers = "s#subvol=#subvolid=999,subvol=#";
    const made = await on(image, "run", "--", "sed", "-i", numbers, "/etc/fstab");
    assert.match(made.stderr, /subvolid=999 of \/ is left out/);
    assert.ok(!fileIn(image, "etc/fstab").includes("subvolid"));
    byHand(image, (text) => text.replaceAll("subvol=", "subvolid=7,subvol="));
    await on(image, "run", "--", "touch", "/etc/next");
    assert.ok(!fileIn(image, "etc/fstab").includes("subvolid"));
    assert.ok(!template(image).includes("subvolid"));
  });

  test("finds its mount points, in the root and in the commons that they lie in", async () => {
    const image = world.copy(two);
    const add = ["/opt/deep/in", "/var/lib/mine"].map((path) => `echo 'tmpfs ${path} tmpfs rw 0 0' >> /etc/fstab`);
    await on(image, "run", "--", "sh", "-c", add.join(";"));
    assert.ok(has(image, "opt/deep/in"));
    mounted(image, (top) => assert.ok(readFileSync(`${top}/fstab`, "utf8").includes("/var/lib/mine")));
    assert.equal((await attempt(image, "run", "--", "test", "-d", "/var/lib/mine")).status, 0);
    assert.match(
      (await on(image, "run", "--", "sh", "-c", "echo 'U /x btrfs subvol=/commons/@x 0 0' >> /etc/fstab")).stderr,
      /There is no commons @x/,
    );
  });

  test("is made from the default's own where the template is gone, empty or no file, and nothing stops over it", async () => {
    for (const lose of ["rm fstab", ": > fstab", "rm fstab; mkdir fstab"]) {
      const image = world.copy(two);
      const inForce = mounts(image);
      mounted(image, (top) => execFileSync("sh", ["-c", lose], { cwd: top }), "rw");
      await on(image, "list");
      await on(image, "run", "--", "touch", "/etc/next");
      assert.deepEqual(mounts(image), inForce, lose);
      await on(image, "rollback");
    }
  });

  test(
    "is read up to 64 KiB: a larger one, or a larger template, stops nothing and takes no time",
    { timeout: 30_000 },
    async () => {
      const image = world.copy(two);
      const lines = Array.from({ length: 20_000 }, (_, line) => `/x${line} /y${line}\n`).join("");
      byHand(image, (text) => text + lines);
      assert.match((await on(image, "status")).stdout, /^\/fstab cannot be read/m);
      await on(image, "run", "--", "touch", "/etc/third");
      const inForce = mounts(image);
      byHand(image, (text) => text + lines);
      await on(image, "rollback");
      await on(image, "run", "--", "touch", "/etc/fourth");
      assert.deepEqual(mounts(image), inForce);
      const grow = "yes '# mine' | head -n 20000 >> /etc/fstab";
      assert.match((await on(image, "run", "--", "sh", "-c", grow)).stderr, /larger than 64 KiB: the template/);
      assert.deepEqual(mounts(image), inForce);
    },
  );

  test("may ask for a compression that there is not: a note names it, and every command goes on", async () => {
    const image = world.copy(two);
    byHand(image, (text) => text.replaceAll(/compress=\w+/g, "compress=zsdt"));
    for (const [verb, ...args] of [
      ["rollback"],
      ["switch", "previous"],
      ["run", "--", "touch", "/etc/third"],
      ["gc"],
    ] as const)
      assert.match((await on(image, verb, ...args)).stderr, /does not take compress=zsdt/, verb);
  });

  test("mounts a folder over folders only: what is a file is refused by path and line, what is bound may be one", async () => {
    const image = world.copy(two);
    const add = (line: string): readonly [string, ...string[]] => [
      "run",
      "--",
      "sh",
      "-c",
      `echo '${line}' >> /etc/fstab`,
    ];
    const commons = mounts(image).find((line) => line.includes("commons/")) ?? "";
    const over = commons.replace(/\t\S+\t/, "\t/etc/hosts\t");
    const error = await refused("E_FILE", image, ...add(over));
    assert.match(error.message, /^\/etc\/hosts, where line \d+ of fstab mounts something, is no directory/);
    await on(image, ...add("/etc/motd /etc/hosts none bind 0 0"));
    // Sealed by another hand, it is passed over, and the run that takes it out works.
    const sealed = world.copy(two);
    mounted(
      sealed,
      (top) => {
        const root = `${top}/current/0/@`;
        execFileSync("btrfs", ["property", "set", "-f", root, "ro", "false"]);
        writeFileSync(`${root}/etc/fstab`, `${readFileSync(`${root}/etc/fstab`, "utf8")}${over}\n`);
        execFileSync("btrfs", ["property", "set", root, "ro", "true"]);
      },
      "rw",
    );
    await on(sealed, "run", "--", "sed", "-i", "/hosts/d", "/etc/fstab");
  });

  test("without a line that mounts its root is refused", async () => {
    const image = world.copy(two);
    byHand(image, (text) => text.replace(/^.*\t\/\t.*\n/m, ""));
    await refused("E_FILE", image, "run", "--", "touch", "/etc/next");
  });
});
