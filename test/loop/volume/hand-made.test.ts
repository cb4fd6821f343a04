import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  truncateSync,
  writeFileSync,
  mkdirSync,
} from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { runWithMounts, unpackApk } from "../../fixtures/apk.ts";
import { alpineMirror, fixtures, type Fixtures } from "../../fixtures/fixtures.ts";
import { attached, mounted, sh } from "../../kit/disk.ts";
import { firn } from "../../kit/firn.ts";
import { nothingLeft } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { templateAt } from "../../kit/volume.ts";
import { workFolder } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

const FIRST = "20210411212549sdBXyLxg";
const SECOND = "20210412080000aBcDeFgH";

/** A volume as the wiki page's commands make it: no generation.json, no trial, a filesystem without partitions. */
for (const kernel of [false, true])
  describe(`a volume made by hand, ${kernel ? "with" : "without"} a kernel`, { skip }, () => {
    const work = workFolder("hand-made");
    const image = join(work, "volume.img");
    let stand: Fixtures;
    let sources: string[];

    /** The volume's top level, with the page's own shell commands run in it. */
    function byHand<T>(use: (top: string) => T, access: "ro" | "rw" = "rw"): T {
      using device = attached(image);
      using volume = mounted(device.device, work, access);
      return use(volume.top);
    }

    before(async () => {
      stand = await fixtures();
      sources = ["-X", join(alpineMirror, "v3.19.1"), "-X", join(alpineMirror, "extras"), "-X", stand.v1];
      writeFileSync(image, "");
      truncateSync(image, 2 ** 30);
      sh("mkfs.btrfs", "-q", "-L", "ROOT", image);
      const apk = unpackApk(join(work, "apk"));
      byHand((top) => {
        const shell = (script: string): string => sh("sh", "-ec", `cd ${top}; ${script}`);
        shell(`mkdir next links snapshots commons snapshots/${FIRST}`);
        shell(
          `for name in @home @var@log @var@cache @var@tmp; do btrfs subvolume create commons/$name; done; chmod 1777 commons/@var@tmp`,
        );
        shell(`btrfs subvolume create snapshots/${FIRST}/@`);
        const root = join(top, "snapshots", FIRST, "@");
        const packages = [
          "alpine-base",
          ...(kernel ? ["mkinitfs", "btrfs-progs", "linux-virt", "linux-firmware-none"] : []),
        ];
        // As the page says: the features before the kernel, or its initramfs cannot mount the root.
        mkdirSync(join(root, "etc/mkinitfs"), { recursive: true });
        writeFileSync(join(root, "etc/mkinitfs/mkinitfs.conf"), 'features="base virtio btrfs"\n');
        const options = ["--root", root, "--initdb", "--arch", "x86_64", "--keys-dir", stand.keysDir];
        const added = runWithMounts(root, [...apk, ...options, ...sources, "add", ...packages]);
        assert.equal(added.status, 0, added.stderr);
        writeFileSync(join(root, "etc/apk/repositories"), sources.filter((word) => word !== "-X").join("\n"));
        sh("sh", "-c", `cp ${stand.keysDir}/* ${root}/etc/apk/keys/`);
        const uuid = sh("blkid", "-p", "-s", "UUID", "-o", "value", image).trim();
        const rows = ["home", "var/log", "var/cache", "var/tmp"].map(
          (path) => `UUID=${uuid} /${path} btrfs rw,noatime,subvol=/commons/@${path.replace("/", "@")} 0 0\n`,
        );
        writeFileSync(
          join(top, "fstab"),
          `UUID=${uuid} / btrfs ro,noatime,subvol=CURRENT_SNAPSHOTS_PATH/@ 0 0\n${rows.join("")}`,
        );
        const seal = (id: string): string =>
          shell(
            `sed "s#CURRENT_SNAPSHOTS_PATH#/snapshots/${id}#" fstab > snapshots/${id}/@/etc/fstab; btrfs property set -ts snapshots/${id}/@ ro true`,
          );
        seal(FIRST);
        shell(
          `mkdir snapshots/${SECOND}; btrfs subvolume snapshot snapshots/${FIRST}/@ snapshots/${SECOND}/@; btrfs property set -ts snapshots/${SECOND}/@ ro false; echo by hand > snapshots/${SECOND}/@/etc/motd`,
        );
        seal(SECOND);
        shell(
          `mkdir links/set1; ln -s ../../snapshots/${SECOND} links/set1/0; for n in 1 2 3; do ln -s ../../snapshots/${FIRST} links/set1/$n; done`,
        );
        shell("ln -s ./links/set1 next/current; mv -T next/current current");
      });
    });

    const json = async (...args: string[]): Promise<Record<string, unknown>> => {
      const ran = await firn([...args, "--volume", image, "--json"]);
      assert.equal(ran.status, 0, ran.stdout + ran.stderr);
      return JSON.parse(ran.stdout) as Record<string, unknown>;
    };
    const slots = async (): Promise<string[]> => (await json("status"))["slots"] as string[];

    it("list, status and show read it, and write nothing", async () => {
      const listed = await json("list");
      const found = listed["generations"] as { id: string; slots: number[]; created: string | null }[];
      assert.deepEqual(
        found.map(({ id, slots: where }) => [id, where]),
        [
          [FIRST, [1, 2, 3]],
          [SECOND, [0]],
        ],
      );
      assert.equal(found[0]?.created, "2021-04-11T21:25:49.000Z");
      const table = (await firn(["list", "--volume", image])).stdout;
      assert.match(table, new RegExp(`^${SECOND} .* slot 0$`, "m"));
      const state = await json("status");
      assert.deepEqual([state["next"], state["unfinished"], state["drafts"]], [SECOND, null, []]);
      const shown = await firn(["show", "--volume", image, FIRST.slice(0, 10)]);
      assert.equal(shown.status, 0, shown.stderr);
      assert.match(shown.stdout, new RegExp(`^Generation: +${FIRST}$`, "m"));
      byHand((top) => assert.deepEqual(readdirSync(join(top, "snapshots", FIRST)), ["@"]), "ro");
      await nothingLeft(work);
    });

    it("switch and rollback change what boots, by a new link set and one rename", async () => {
      assert.equal((await firn(["switch", FIRST, "--volume", image])).status, 0);
      assert.deepEqual(await slots(), [FIRST, SECOND, SECOND, SECOND]);
      byHand((top) => {
        const target = readlinkSync(join(top, "current"));
        assert.match(target, /^\.\/links\/\d{14}\w{8}$/);
        assert.equal(readlinkSync(join(top, target, "0")), `../../snapshots/${FIRST}`);
        assert.deepEqual(readdirSync(join(top, target)).sort(), ["0", "1", "2", "3"]);
        assert.deepEqual(readdirSync(join(top, "next")), []);
      }, "ro");
      assert.equal((await firn(["rollback", "--volume", image])).status, 0);
      assert.equal((await slots())[0], SECOND);
    });

    it("pin, describe and unpin leave the root as it is", async () => {
      assert.equal((await firn(["pin", FIRST, "--volume", image])).status, 0);
      assert.equal((await firn(["describe", FIRST, "the first", "--volume", image])).status, 0);
      const shown = await json("show", FIRST);
      assert.deepEqual([shown["pinned"], shown["description"]], [true, "the first"]);
      byHand((top) => {
        assert.match(sh("btrfs", "property", "get", "-ts", join(top, "snapshots", FIRST, "@"), "ro"), /ro=true/);
        assert.deepEqual(readdirSync(join(top, "snapshots", FIRST)).sort(), ["@", "generation.json"]);
      }, "ro");
      assert.equal((await firn(["unpin", FIRST, "--volume", image])).status, 0);
      assert.equal((await json("show", FIRST))["pinned"], false);
    });

    it("upgrade makes a generation with newer packages, read-only, with its own fstab from the template", async () => {
      const newer = ["-X", join(alpineMirror, "v3.19.4"), ...(kernel ? ["-X", stand.v2] : [])];
      const made = await json("upgrade", ...newer, "--keys-dir", stand.keysDir);
      const id = String(made["generation"]);
      assert.equal((await slots())[0], id);
      assert.equal((await slots())[1], SECOND);
      byHand((top) => {
        const root = join(top, "current/0/@");
        assert.equal(readFileSync(join(root, "etc/alpine-release"), "utf8"), "3.19.4\n");
        assert.equal(readFileSync(join(root, "etc/motd"), "utf8"), "by hand\n");
        assert.match(sh("btrfs", "property", "get", "-ts", root, "ro"), /ro=true/);
        const own = readFileSync(join(root, "etc/fstab"), "utf8");
        assert.equal(own, templateAt(top).replaceAll("CURRENT_SNAPSHOTS_PATH", `/snapshots/${id}`));
        if (kernel) assert.deepEqual(readdirSync(join(root, "lib/modules")), [stand.kernels.v2.release]);
        assert.equal(readFileSync(join(top, "snapshots", SECOND, "@/etc/alpine-release"), "utf8"), "3.19.1\n");
        assert.ok(!existsSync(join(top, "trial")));
      }, "ro");
      await nothingLeft(work);
    });

    it("it can still be looked after by hand, and firn follows", async () => {
      const [newest = ""] = await slots();
      const byHandId = "20300101000000handmade";
      byHand((top) => {
        const shell = (script: string): string => sh("sh", "-ec", `cd ${top}; ${script}`);
        shell(`mkdir snapshots/${byHandId}; btrfs subvolume snapshot snapshots/${newest}/@ snapshots/${byHandId}/@`);
        shell(`btrfs property set -ts snapshots/${byHandId}/@ ro false; rm -f snapshots/${byHandId}/@/etc/motd`);
        shell(`btrfs property set -ts snapshots/${byHandId}/@ ro true`);
        shell(
          `mkdir links/mine; ln -s ../../snapshots/${byHandId} links/mine/0; ln -s ../../snapshots/${newest} links/mine/1`,
        );
        shell("ln -s ./links/mine next/current; mv -T next/current current; btrfs filesystem sync .");
        shell(`btrfs subvolume delete snapshots/${SECOND}/@; rm -r snapshots/${SECOND}`);
      });
      assert.deepEqual(await slots(), [byHandId, newest]);
      const listed = (await json("list"))["generations"] as { id: string }[];
      assert.deepEqual(
        listed.map(({ id }) => id),
        [FIRST, newest, byHandId],
      );
      const again = await firn(["rollback", "--volume", image]);
      assert.equal(again.status, 0, again.stderr);
      assert.equal((await slots())[0], newest);
      byHand((top) => assert.ok(lstatSync(join(top, "current")).isSymbolicLink()), "ro");
    });
  });
