import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fixtures, alpineMirror } from "../fixtures/fixtures.ts";
import { World, answer, assertReleased, list, mounted, on, refused, skip, type Listed } from "./volume-world.ts";

/** What the wiki page "Immutable root with atomic upgrades" has a reader type: no firn, no generation.json. */
function byHand(world: World, from: string): string {
  const file = join(world.folder, "hand.img");
  execFileSync("truncate", ["-s", "1G", file]);
  execFileSync("mkfs.btrfs", ["-q", "-L", "ROOT", file]);
  const top = mkdtempSync(join(tmpdir(), "firn-hand-"));
  execFileSync("mount", ["-o", "loop,subvolid=5", file, top]);
  try {
    for (const folder of ["snapshots", "links", "next", "commons"]) mkdirSync(`${top}/${folder}`);
    for (const name of ["@home", "@var@log", "@var@cache"]) subvolume(`${top}/commons/${name}`);
    const uuid = execFileSync("blkid", ["-o", "value", "-s", "UUID", file], { encoding: "utf8" }).trim();
    const line = (path: string, subvol: string, options: string): string =>
      `UUID=${uuid} ${path} btrfs subvol=${subvol},${options} 0 0`;
    const template = [
      line("/", "CURRENT_SNAPSHOTS_PATH/@", "ro,noatime"),
      line("/home", "commons/@home", "rw,noatime"),
      line("/var/log", "commons/@var@log", "rw,noatime"),
      line("/var/cache", "commons/@var@cache", "rw,noatime"),
      "",
    ].join("\n");
    writeFileSync(`${top}/fstab`, template);
    const [first, second] = ["20210411212549", "20210501100000my-second"];
    mkdirSync(`${top}/snapshots/${first}`);
    const root = `${top}/snapshots/${first}/@`;
    subvolume(root);
    mounted(from, (installed) => execFileSync("cp", ["-a", `${installed}/current/0/@/.`, root]));
    writeFileSync(`${root}/etc/fstab`, template.replace("CURRENT_SNAPSHOTS_PATH", `/snapshots/${first}`));
    mkdirSync(`${top}/snapshots/${second}`);
    const other = `${top}/snapshots/${second}/@`;
    execFileSync("btrfs", ["-q", "subvolume", "snapshot", root, other]);
    writeFileSync(`${other}/etc/fstab`, template.replace("CURRENT_SNAPSHOTS_PATH", `/snapshots/${second}`));
    writeFileSync(`${other}/etc/motd`, "second\n");
    for (const made of [root, other]) execFileSync("btrfs", ["property", "set", made, "ro", "true"]);
    mkdirSync(`${top}/links/by-hand`);
    // An absolute-looking spelling with a slash at the end, as hands type it.
    [`../../snapshots/${second}`, `../../snapshots/${first}/`, `../../snapshots/${first}`].forEach((target, slot) =>
      symlinkSync(target, `${top}/links/by-hand/${slot}`),
    );
    symlinkSync("./links/by-hand/", `${top}/current`);
  } finally {
    execFileSync("umount", [top]);
    rmSync(top, { recursive: true });
  }
  return file;
}

function subvolume(path: string): void {
  execFileSync("btrfs", ["-q", "subvolume", "create", path]);
}

/** The volume has no partition table: its top level, mounted from the file itself. */
function top<T>(file: string, use: (path: string) => T): T {
  const path = mkdtempSync(join(tmpdir(), "firn-top-"));
  execFileSync("mount", ["-o", "loop,ro,subvolid=5", file, path]);
  try {
    return use(path);
  } finally {
    execFileSync("umount", [path]);
    rmSync(path, { recursive: true });
  }
}

describe("a volume made by hand from the wiki page", { skip }, () => {
  let world: World;
  let file = "";
  before(async () => {
    world = new World();
    file = byHand(world, await world.image());
  });
  after(() => world[Symbol.dispose]());

  test("is listed, upgraded, rolled back, pinned and collected as one made by firn", async () => {
    const [first, second] = ["20210411212549", "20210501100000my-second"];
    const listed = await list(file);
    assert.deepEqual(listed.slots, [second, first, first]);
    assert.deepEqual(
      listed.generations.map(({ id }) => id),
      [first, second],
    );
    assert.match((await on(file, "status")).stdout, new RegExp(`^Next: +${second}`, "m"));

    const { keysDir } = await fixtures();
    const made = await answer(file, "upgrade", "-X", join(alpineMirror, "v3.19.4"), "--keys-dir", keysDir);
    assert.equal(made.parent, second);
    assert.equal(made.release, "3.19.4");
    top(file, (path) => {
      const slots = (): string[] => [0, 1, 2].map((slot) => readlinkSync(`${path}/current/${slot}`));
      assert.deepEqual(
        slots(),
        [made.generation, second, first].map((id) => `../../snapshots/${id}`),
      );
      assert.match(readlinkSync(`${path}/current`), /^\.\/links\/[^/]+$/);
      const root = `${path}/current/0/@`;
      assert.match(readFileSync(`${root}/etc/fstab`, "utf8"), new RegExp(`subvol=/?snapshots/${made.generation}/@`));
      assert.match(readFileSync(`${root}/etc/fstab`, "utf8"), /commons\/@var@log/);
      assert.equal(readFileSync(`${root}/etc/motd`, "utf8"), "second\n");
      assert.deepEqual(
        readdirSync(`${path}/snapshots`).filter((name) => name.endsWith(".draft")),
        [],
      );
    });

    await on(file, "rollback");
    assert.equal((await list(file)).slots[0], second);
    await on(file, "pin", first);
    assert.equal((await list(file)).generations[0]?.pinned, true);
    await refused("E_GENERATION_KEPT", file, "gc", first);
    await on(file, "unpin", first);
    await on(file, "commons add", "/opt/shared");
    assert.ok((await answer<{ commons: { name: string }[] }>(file, "commons list")).commons.length === 4);
    await on(file, "gc", "--keep", "0");
    assert.equal((await answer<Listed>(file, "list")).generations.length, 3);
    await assertReleased(file);
  });
});
