import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { assertReleased } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { attempt, list, on, refused } from "../../kit/verbs.ts";
import { assertWhole, mounted } from "../../kit/volume.ts";
import { ownWorld, workFolder } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

const sh = (program: string, ...args: string[]): string => execFileSync(program, args, { encoding: "utf8" });

describe("a subvolume inside a generation", { skip }, () => {
  // Before the folder is removed.
  after(() => sh("umount", other));
  const world = ownWorld();
  const work = workFolder("nested");
  /** Another btrfs of the host, with a subvolume and a file that are none of firn's business. */
  const other = join(work, "other");
  before(() => {
    const file = join(work, "other.img");
    sh("truncate", "-s", "200M", file);
    sh("mkfs.btrfs", "-q", file);
    mkdirSync(other);
    sh("mount", "-o", "loop", file, other);
    sh("btrfs", "subvolume", "create", join(other, "data"));
    writeFileSync(join(other, "data/precious"), "still here");
  });
  const untouched = (): void => assert.equal(readFileSync(join(other, "data/precious"), "utf8"), "still here");

  /** What a person does by hand: a nested subvolume, two deep, beside a link that leads out of the tree. */
  function nest(root: string): void {
    const readonly = sh("btrfs", "property", "get", root, "ro").trim() === "ro=true";
    if (readonly) sh("btrfs", "property", "set", "-f", root, "ro", "false");
    mkdirSync(join(root, "opt/deep/er"), { recursive: true });
    symlinkSync(join(other, "data"), join(root, "opt/link"));
    symlinkSync(other, join(root, "opt/deep/link"));
    sh("btrfs", "subvolume", "create", join(root, "opt/z"));
    sh("btrfs", "subvolume", "create", join(root, "opt/deep/er/y"));
    sh("btrfs", "subvolume", "create", join(root, "opt/deep/er/y/x"));
    if (readonly) sh("btrfs", "property", "set", root, "ro", "true");
  }

  test("made by hand in a draft goes with the draft, and nothing that a link beside it leads to", async () => {
    const image = await world.image();
    const [id = ""] = (await list(image)).generations.map((generation) => generation.id);
    const draft = "20200101000000abcdefgh.draft";
    mounted(
      image,
      (top) => {
        mkdirSync(`${top}/snapshots/${draft}`);
        sh("btrfs", "subvolume", "snapshot", `${top}/snapshots/${id}/@`, `${top}/snapshots/${draft}/@`);
        nest(`${top}/snapshots/${draft}/@`);
      },
      "rw",
    );
    await on(image, "run", "--", "touch", "/etc/after");
    untouched();
    assert.deepEqual(assertWhole(image).drafts, []);
    await assertReleased(image);
  });

  test("made by hand in a sealed generation goes with it in gc, and nothing that a link leads to", async () => {
    const image = await world.image();
    await on(image, "run", "--", "touch", "/etc/one");
    for (const name of ["two", "three", "four", "five"]) await on(image, "run", "--", "touch", `/etc/${name}`);
    const ids = (await list(image)).generations.map((generation) => generation.id);
    const old = ids[0] ?? "";
    mounted(image, (top) => nest(`${top}/snapshots/${old}/@`), "rw");
    await on(image, "gc", "--keep", "0");
    untouched();
    mounted(image, (top) => assert.ok(!existsSync(`${top}/snapshots/${old}`)));
    assertWhole(image);
  });

  test("made by hand in a sealed generation is not lost in the next one: that is refused, and another base works", async () => {
    const image = await world.image();
    const first = (await list(image)).generations[0]?.id ?? "";
    await on(image, "run", "--", "touch", "/etc/one");
    mounted(image, (top) => nest(`${top}/current/0/@`), "rw");
    const before = assertWhole(image);
    const error = await refused("E_NESTED", image, "run", "--", "touch", "/etc/two");
    assert.match(error.message, /^\/opt\/(z|deep\/er\/y), .* are subvolumes of its own inside 2/);
    assert.match(error.hint ?? "", /--base/);
    assert.equal((error as { effect?: string }).effect, "nothing changed");
    assert.deepEqual(assertWhole(image), before);
    await on(image, "run", "--base", first, "--", "touch", "/etc/two");
  });

  test("is refused before it is sealed, with the way out; the draft goes, and later changes go on", async () => {
    const image = await world.image();
    const program = "/usr/local/bin/nest";
    // No program of Alpine's base makes subvolumes: the real one comes along, with what it needs.
    mounted(
      image,
      (top) => {
        const [id = ""] = readdirSync(`${top}/snapshots`);
        const root = `${top}/snapshots/${id}/@`;
        sh("btrfs", "property", "set", "-f", root, "ro", "false");
        mkdirSync(`${root}/usr/local/bin`, { recursive: true });
        sh(
          "musl-gcc",
          "-static",
          "-idirafter",
          "/usr/include",
          "-idirafter",
          "/usr/include/x86_64-linux-gnu",
          "-o",
          `${root}${program}`,
          source(),
        );
        sh("btrfs", "property", "set", root, "ro", "true");
      },
      "rw",
    );
    const before = assertWhole(image);
    const error = await refused("E_NESTED", image, "run", "--", program, "/var/zz");
    assert.match(error.message, /^\/var\/zz is a subvolume/);
    assert.match(error.hint ?? "", /firn commons add \/var\/zz/);
    assert.equal((error as { effect?: string }).effect, "draft discarded");
    assert.deepEqual(assertWhole(image), before);
    assert.equal((await attempt(image, "run", "--", "touch", "/etc/later")).status, 0);
  });

  /** A program that makes a subvolume of its first argument. */
  function source(): string {
    const file = join(work, "nest.c");
    writeFileSync(
      file,
      `#include <fcntl.h>
#include <libgen.h>
#include <linux/btrfs.h>
#include <string.h>
#include <sys/ioctl.h>
int main(int argc, char **argv) {
    char folder[4096], name[4096];
    strcpy(folder, argv[1]);
    strcpy(name, argv[1]);
    struct btrfs_ioctl_vol_args args = {0};
    strcpy(args.name, basename(name));
    return ioctl(open(dirname(folder), O_RDONLY), BTRFS_IOC_SUBVOL_CREATE, &args) < 0;
}
`,
    );
    return file;
  }

  for (const [what, script] of [
    ["the draft's own directory", "chattr +i /"],
    ["a subvolume in it", "btrfs subvolume create /x && chattr +i /x"],
    ["the folder that a subvolume is in", "mkdir /in && btrfs subvolume create /in/x && chattr +i /in && chattr +a /"],
  ] as const) {
    test(`chattr on ${what} stops neither the discarding of the draft nor what comes after`, async () => {
      const image = await world.image();
      const [id = ""] = (await list(image)).generations.map((generation) => generation.id);
      mounted(
        image,
        (top) => {
          const draft = `${top}/snapshots/20200101000000abcdefgh.draft`;
          mkdirSync(draft);
          sh("btrfs", "subvolume", "snapshot", `${top}/snapshots/${id}/@`, `${draft}/@`);
          sh("sh", "-c", script.replaceAll(" /", ` ${draft}/@/`));
        },
        "rw",
      );
      await on(image, "run", "--", "touch", "/etc/after");
      assert.deepEqual(assertWhole(image).drafts, []);
    });
  }

  test("a run that freezes the root and fails leaves nothing; sealed, it is deleted like others", async () => {
    const image = await world.image();
    await refused("E_COMMAND", image, "run", "--", "sh", "-c", "chattr +i /; false");
    assert.deepEqual(assertWhole(image).drafts, []);
    await on(image, "run", "--", "chattr", "+i", "/");
    const [frozen = ""] = (await list(image)).slots;
    await on(image, "rollback");
    for (let number = 0; number < 4; number++) await on(image, "run", "--", "touch", `/etc/${number}`);
    await on(image, "gc", frozen);
    assert.ok(!(await list(image)).generations.some(({ id }) => id === frozen));
  });
});
