import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { assertReleased } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { traced } from "../../kit/trace.ts";
import { answer, attempt, commandLine, current, on, refused } from "../../kit/verbs.ts";
import { assertWhole, fileIn, has, mounted, rootOffset } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror", "strace");

interface Commons {
  commons: { name: string; path: string | null }[];
}

async function paths(image: string): Promise<Map<string, string | null>> {
  const { commons } = await answer<Commons>(image, "commons list");
  return new Map(commons.map(({ name, path }) => [name, path]));
}

describe("commons", { skip }, () => {
  const world = ownWorld();

  test("a new one is seeded with owners and modes, mounted from the next generation on, and shared by all after it", async () => {
    const image = await world.image();
    const data =
      "mkdir -p /opt/data/in; echo one > /opt/data/in/file; chown 1000:100 /opt/data; chmod 1770 /opt/data; ln -s in /opt/data/l";
    await on(image, "run", "--", "sh", "-c", data);
    const made = await answer(image, "commons add", "/opt/data");
    assert.equal(made.changed, true);
    assert.equal((await paths(image)).get("@opt@data"), "/opt/data");
    const line = /^\S+\s\/opt\/data\sbtrfs\s\S*subvol=\/?commons\/@opt@data/m;
    assert.match(fileIn(image, "etc/fstab"), line);
    assert.doesNotMatch(fileIn(image, "etc/fstab", made.parent), line);
    mounted(image, (top) => {
      const common = `${top}/commons/@opt@data`;
      const { ino, uid, gid, mode } = statSync(common);
      assert.deepEqual([ino, uid, gid, mode & 0o7777], [256, 1000, 100, 0o1770]);
      assert.equal(readFileSync(`${common}/l/file`, "utf8"), "one\n");
      assert.match(readFileSync(`${top}/fstab`, "utf8"), line);
    });
    // What a later generation's programs write there is in the commons, and makes no generation.
    const wrote = await on(image, "run", "--", "sh", "-c", "echo two > /opt/data/in/file");
    assert.match(wrote.stdout, /Nothing changed/);
    mounted(image, (top) => assert.equal(readFileSync(`${top}/commons/@opt@data/in/file`, "utf8"), "two\n"));
    // A rollback shares it no more, and keeps it.
    await on(image, "rollback", made.parent);
    assert.equal(fileIn(image, "opt/data/in/file"), "one\n");
    assertWhole(image);
    await assertReleased(image);
  });

  test("a path that does not exist yet is made; its name keeps what @ stands for", async () => {
    const image = await world.image();
    await on(image, "commons add", "/var/lib-docker/deep");
    assert.ok(has(image, "var/lib-docker/deep"));
    assert.equal((await paths(image)).get("@var@lib-docker@deep"), "/var/lib-docker/deep");
  });

  test("remove stops sharing and keeps the data; delete wants the name, and never takes one in use", async () => {
    const image = await world.image();
    await on(image, "commons add", "/opt/data");
    await on(image, "run", "--", "sh", "-c", "echo kept > /opt/data/file");
    await refused("E_COMMONS", image, "commons delete", "@opt@data", "--yes");
    await on(image, "commons remove", "/opt/data");
    assert.doesNotMatch(fileIn(image, "etc/fstab"), /opt\/data/);
    assert.equal((await paths(image)).get("@opt@data"), null);
    assert.match((await on(image, "commons list")).stdout, /@opt@data +no longer shared/);
    mounted(image, (top) => assert.equal(readFileSync(`${top}/commons/@opt@data/file`, "utf8"), "kept\n"));
    // Shared again, the old data is used.
    assert.match((await on(image, "commons add", "/opt/data")).stderr, /from before/);
    await on(image, "commons remove", "/opt/data");
    await refused("E_CONFIRM", image, "commons delete", "@opt@data");
    await on(image, "commons delete", "--dry-run", "@opt@data");
    assert.ok((await paths(image)).has("@opt@data"));
    await on(image, "commons delete", "--yes", "@opt@data");
    assert.ok(!(await paths(image)).has("@opt@data"));
    await refused("E_COMMONS", image, "commons delete", "--yes", "@opt@data");
  });

  test("delete never takes one that the default's fstab mounts, however the line names it", async () => {
    const image = await world.image();
    const id = mounted(image, (top) =>
      execFileSync("btrfs", ["inspect-internal", "rootid", `${top}/commons/@srv`], { encoding: "utf8" }).trim(),
    );
    const numbers = [`subvolid=${id}`, `subvolid=0x${Number(id).toString(16)}`];
    const paths = ["/commons/@srv/", "//commons/@srv", "/commons//@srv", "/./commons/@srv", "/commons/../commons/@srv"];
    for (const option of [...paths.map((path) => `subvol=${path}`), ...numbers]) {
      const own = world.copy(image);
      await on(own, "run", "--", "sed", "-i", `s|subvol=/*commons/@srv|${option}|`, "/etc/fstab");
      assert.ok(fileIn(own, "etc/fstab").includes(option), option);
      const { message } = await refused("E_COMMONS", own, "commons delete", "--yes", "@srv");
      assert.match(message, /\/srv/, option);
      assert.ok((await answer<Commons>(own, "commons list")).commons.some(({ name }) => name === "@srv"));
      world.drop(own);
    }
  });

  test("a line that leads out of the commons gives a draft nothing of the volume's top level", async () => {
    const image = await world.image();
    await on(image, "run", "--", "sed", "-i", "s|subvol=/*commons/@srv|subvol=/commons/..|", "/etc/fstab");
    const { stdout } = await on(image, "run", "--", "ls", "-A", "/srv");
    assert.doesNotMatch(stdout, /snapshots/);
  });

  test("delete takes nothing that is in one and is a subvolume of its own, or mounted", async () => {
    const image = await world.image();
    await on(image, "commons add", "/opt/data");
    mounted(image, (top) => execFileSync("btrfs", ["subvolume", "create", `${top}/commons/@opt@data/store`]), "rw");
    await on(image, "commons remove", "/opt/data");
    const { message } = await refused("E_COMMONS", image, "commons delete", "--yes", "@opt@data");
    assert.match(message, /store/);
    const inside = mkdtempSync(join(tmpdir(), "firn-inside-"));
    const options = `loop,offset=${rootOffset(image)},subvol=commons/@opt@data/store`;
    execFileSync("mount", ["-t", "btrfs", "-o", options, image, inside]);
    try {
      const device = execFileSync("findmnt", ["-no", "SOURCE", inside], { encoding: "utf8" }).replace(/\[.*/s, "");
      const args = ["commons delete", "--yes", "@opt@data"] as const;
      assert.match((await refused("E_COMMONS", device, ...args)).message, /is mounted/);
      execFileSync("btrfs", ["subvolume", "show", inside]);
    } finally {
      execFileSync("umount", [inside]);
      rmdirSync(inside);
    }
    mounted(image, (top) => execFileSync("btrfs", ["subvolume", "delete", `${top}/commons/@opt@data/store`]), "rw");
    await on(image, "commons delete", "--yes", "@opt@data");
  });

  test("paths that cannot be shared are refused, with nothing made", async () => {
    const image = await world.image();
    const before = [...(await paths(image))];
    for (const path of ["/", "/etc", "/usr", "/boot", "relative", "/var/log", "/proc", "/var/../etc", "/opt/@x"]) {
      await refused("E_COMMONS", image, "commons add", path);
    }
    const error = await refused("E_COMMONS", image, "commons remove", "/var/lgo");
    assert.match(error.message, /Did you mean \/var\/log/);
    assert.deepEqual([...(await paths(image))], before);
    assert.equal(assertWhole(image).generations.length, 1);
    assert.equal((await attempt(image, "commons add")).status, 2);
  });

  test("a link is no way around what cannot be shared: where it leads is named, in the generation or in a commons", async () => {
    const image = await world.image();
    const links = "ln -s /etc /foo; ln -s /usr /bar; ln -s / /qux; ln -s /etc /var/lib/link";
    await on(image, "run", "--", "sh", "-c", links);
    for (const [path, leads] of [
      ["/foo", "/etc"],
      ["/foo/deep", "/etc/deep"],
      ["/bar", "/usr"],
      ["/qux", "/"],
      ["/var/lib/link", "/etc"],
    ] as const) {
      const error = await refused("E_COMMONS", image, "commons add", path);
      assert.equal(error.message, `${path} leads to ${leads}: name that.`);
    }
  });

  test("what has its name and is no subvolume is not taken for data from before", async () => {
    const image = await world.image();
    for (const make of ["mkdir", "mkfifo", "touch", "ln -s nowhere"]) {
      const taken = world.copy(image);
      mounted(taken, (top) => execFileSync("sh", ["-ec", `${make} ${top}/commons/@opt`]), "rw");
      const error = await refused("E_COMMONS", taken, "commons add", "/opt");
      assert.match(error.message, /^\/commons\/@opt of the volume is no subvolume/, make);
      assert.match(error.hint ?? "", /Move it elsewhere/);
      mounted(taken, (top) => execFileSync("sh", ["-ec", `rm -r ${top}/commons/@opt`]), "rw");
      await on(taken, "commons add", "/opt");
    }
  });

  test("a draft that fails takes the new commons and the fstab template with it", async () => {
    const image = await world.image();
    await on(image, "run", "--", "sh", "-c", "echo x > /opt/file");
    const template = mounted(image, (top) => readFileSync(`${top}/fstab`, "utf8"));
    assert.match((await refused("E_COMMONS", image, "commons add", "/opt/file")).message, /is no directory/);
    assert.ok(!(await paths(image)).has("@opt@file"));
    assert.equal(
      mounted(image, (top) => readFileSync(`${top}/fstab`, "utf8")),
      template,
    );
    assert.deepEqual(assertWhole(image).drafts, []);
  });

  test("a new commons inside another one that fails leaves no folder in that: what runs would see it", async () => {
    const image = await world.image();
    const mount = "echo 'tmpfs /var/lib/new/deep tmpfs rw 0 0' >> /etc/fstab; rm /sbin/init";
    await refused("E_UNFIT", image, "run", "--", "sh", "-c", mount);
    const inject = "renameat2:error=EIO:when=2+";
    const { status } = await traced(commandLine(image, "commons add", "/var/lib/new/deep"), "renameat2", inject);
    assert.notEqual(status, 0);
    mounted(image, (top) => assert.ok(!existsSync(`${top}/commons/@var@lib/new`)));
    await on(image, "commons add", "/var/lib/new/deep");
    mounted(image, (top) => assert.ok(existsSync(`${top}/commons/@var@lib/new/deep`)));
  });

  test("with --base, what is shared is what that shares", async () => {
    const image = await world.image();
    const base = await current(image);
    await on(image, "commons add", "/opt");
    const error = await refused("E_COMMONS", image, "commons remove", "--base", base, "/opt");
    assert.match(error.message, /\/opt is not shared/);
    await on(image, "commons add", "--base", base, "/opt");
  });

  test("what an edit does to /etc/fstab holds for the generations after it too", async () => {
    const image = await world.image();
    const line = "tmpfs /media tmpfs size=1m 0 0";
    const made = await answer(image, "run", "--", "sh", "-c", `echo '${line}' >> /etc/fstab`);
    assert.equal(made.changed, true);
    await on(image, "run", "--", "touch", "/etc/next");
    assert.ok(fileIn(image, "etc/fstab").includes(line));
    assert.ok(!fileIn(image, "etc/fstab", made.parent).includes(line));
    assertWhole(image);
  });
});
