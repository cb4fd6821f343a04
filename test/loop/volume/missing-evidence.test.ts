import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { before, describe, test } from "node:test";
import { requires } from "../../kit/requires.ts";
import { answer, attempt, list, on, refused } from "../../kit/verbs.ts";
import { assertWhole, mounted } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

/** A sparse file of 4 GiB. */
function truncate(file: string): void {
  writeFileSync(file, "");
  truncateSync(file, 2 ** 32);
}

describe("nothing is deleted because something else could not be read", { skip }, () => {
  const world = ownWorld();
  let three = "";
  before(async () => {
    three = await world.image();
    for (const name of ["one", "two"]) await on(three, "run", "--", "touch", `/etc/${name}`);
  });

  const snapshots = (image: string): string[] => mounted(image, (top) => readdirSync(`${top}/snapshots`).sort());

  const losses: readonly (readonly [string, (top: string) => void])[] = [
    ["`current` is gone", (top) => rmSync(`${top}/current`)],
    [
      "the link set is empty",
      (top) => {
        const set = `${top}/${readlinkSync(`${top}/current`)}`;
        for (const slot of readdirSync(set)) rmSync(`${set}/${slot}`);
      },
    ],
  ];
  for (const [what, lose] of losses) {
    test(`${what}: gc deletes no generation and names firn switch, after which it knows what to keep`, async () => {
      const image = world.copy(three);
      const all = snapshots(image);
      const newest = all.at(-1) ?? "";
      mounted(image, lose, "rw");
      for (const words of [[], ["--keep", "0"], [all[0] ?? ""]]) {
        const error = await refused("E_GENERATION_KEPT", image, "gc", ...words);
        assert.match(error.hint ?? "", /firn switch/);
      }
      assert.deepEqual(snapshots(image), all);
      await on(image, "switch", newest);
      assert.equal(assertWhole(image).slots[0], newest);
      await on(image, "gc", "--keep", "0");
      assert.deepEqual(snapshots(image), [newest]);
    });
  }

  for (const [what, make] of [
    ["a directory", (file: string) => mkdirSync(file)],
    ["a named pipe", (file: string) => void execFileSync("mkfifo", [file])],
    ["a link to itself", (file: string) => symlinkSync("generation.json", file)],
    ["gigabytes", (file: string) => truncate(file)],
    ["a link to a file of the host", (file: string) => symlinkSync("/etc/passwd", file)],
  ] as const) {
    test(`a record that is ${what} stops nothing, is told of, and its generation is kept`, async () => {
      const image = world.copy(three);
      const [old = "", , newest = ""] = snapshots(image);
      mounted(
        image,
        (top) => {
          const file = `${top}/snapshots/${old}/generation.json`;
          rmSync(file);
          make(file);
        },
        "rw",
      );
      assert.match((await on(image, "list")).stdout, new RegExp(`What ${old} says of itself cannot be read: `));
      assert.match((await on(image, "status")).stdout, /cannot be read/);
      await on(image, "rollback");
      await on(image, "switch", newest);
      for (const name of ["a", "b", "c"]) await on(image, "run", "--", "touch", `/etc/${name}`);
      await on(image, "gc", "--keep", "0");
      assert.ok(snapshots(image).includes(old), "it may be pinned");
      const error = await refused("E_GENERATION_KEPT", image, "gc", old);
      assert.match(error.message, /cannot be read/);
    });
  }

  for (const [what, lead] of [
    ["is gone", (set, top) => rmSync(`${top}/${set}/0`)],
    [
      "leads past the generations",
      (set, top) => {
        const id = basename(readlinkSync(`${top}/${set}/0`));
        rmSync(`${top}/${set}/0`);
        symlinkSync(`../../other/${id}`, `${top}/${set}/0`);
      },
    ],
    [
      "is in a link set that `current` does not lead to",
      (set, top) => {
        rmSync(`${top}/current`);
        symlinkSync(set.replace("links", "elsewhere"), `${top}/current`);
      },
    ],
  ] as const satisfies readonly (readonly [string, (set: string, top: string) => void])[]) {
    test(`a slot 0 that ${what} boots nothing: status says so, and firn switch makes it boot`, async () => {
      const image = world.copy(three);
      const newest = snapshots(image).at(-1) ?? "";
      mounted(image, (top) => lead(readlinkSync(`${top}/current`), top), "rw");
      const status = await on(image, "status");
      assert.match(status.stdout, /^Next: +nothing/m);
      assert.equal((await answer<{ next: null }>(image, "status")).next, null);
      await on(image, "switch", newest);
      assert.equal(assertWhole(image).slots[0], newest);
    });
  }

  test("a generation without a root stops neither list nor switch, also where the template is nobody's and `current` is gone", async () => {
    const image = world.copy(three);
    const [, middle = "", newest = ""] = snapshots(image);
    mounted(
      image,
      (top) => {
        execFileSync("btrfs", ["-q", "subvolume", "delete", `${top}/snapshots/${newest}/@`]);
        rmSync(`${top}/current`);
        appendFileSync(`${top}/fstab`, "# my own\n");
      },
      "rw",
    );
    await on(image, "list");
    await on(image, "switch", middle);
    assert.equal((await list(image)).slots[0], middle);
  });

  test("what is no link set stays in links/, is named, and stops no gc", async () => {
    const image = world.copy(three);
    mounted(
      image,
      (top) => {
        writeFileSync(`${top}/links/notes`, "mine");
        mkdirSync(`${top}/links/attic`);
        writeFileSync(`${top}/links/attic/0`, "no symlink");
      },
      "rw",
    );
    const ran = await on(image, "gc", "--keep", "0");
    assert.match(ran.stderr, /they stay: links\/attic, links\/notes\./);
    mounted(image, (top) => {
      assert.equal(readFileSync(`${top}/links/notes`, "utf8"), "mine");
      assert.ok(existsSync(`${top}/links/attic/0`));
      assert.equal(readdirSync(`${top}/links`).length, 3, "the link set in force, and what is not firn's");
    });
  });

  test("however many changes are made, the last known good generation keeps a slot and boots", async () => {
    const image = world.copy(three);
    const [good = ""] = snapshots(image);
    mounted(
      image,
      (top) => {
        const file = `${top}/snapshots/${good}/generation.json`;
        const record = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
        writeFileSync(file, JSON.stringify({ ...record, verdict: "good" }));
      },
      "rw",
    );
    for (let number = 0; number < 5; number += 1) await on(image, "run", "--", "touch", `/etc/more-${number}`);
    const { slots } = await list(image);
    assert.equal(slots.at(-1), good);
    assert.equal(new Set(slots).size, 4);
    await on(image, "gc", "--keep", "0");
    assertWhole(image);
    assert.equal((await attempt(image, "show", good)).status, 0);
  });
});
