import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, before, describe, it } from "node:test";
import {
  attached,
  checkVolume,
  espIn,
  fatFile,
  hashOf,
  part,
  partitions,
  sh,
  startsByItself,
  withVolume,
} from "../../kit/disk.ts";
import { firn, firnBinary, type Ran } from "../../kit/firn.ts";
import { machineFlags } from "../../kit/image.ts";
import { nothingLeft } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { workFolder } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

const MiB = 2 ** 20;

/** The kernel of these tests scans no partitions of loop devices: firn attaches them by itself. */
describe("firn install takes a whole disk", { skip }, () => {
  const work = workFolder("install");
  let flags: string[];
  const file = join(work, "disk.img");
  let held: ReturnType<typeof attached> | undefined;
  /** A fresh disk of a gibibyte, attached until the test ends. */
  function disk(prepare: (device: string) => void = () => {}): string {
    writeFileSync(file, "");
    truncateSync(file, 2 ** 30);
    held = attached(file);
    prepare(held.device);
    return held.device;
  }

  before(async () => {
    flags = [...(await machineFlags()), "--swap-size", "none"];
  });
  afterEach(async () => {
    held?.[Symbol.dispose]();
    held = undefined;
    await nothingLeft(work);
  });

  /** At a terminal of its own, where `typed` is what a person types. */
  async function atTerminal(
    args: readonly string[],
    typed: string,
  ): Promise<{ status: number | null; screen: string }> {
    const command = [await firnBinary(), ...args].map((word) => `'${word}'`).join(" ");
    const { status, stdout } = spawnSync("script", ["-qec", command, "/dev/null"], { encoding: "utf8", input: typed });
    return { status, screen: stdout.replaceAll("\r", "") };
  }

  it("an empty disk with --yes becomes a system; status and list read it, from the disk and from its file", async () => {
    const device = disk();
    const made = await firn(["install", device, "--yes", ...flags.slice(0, -2)]);
    assert.equal(made.status, 0, made.stderr);
    assert.match(
      made.stdout,
      new RegExp(`^${device} boots Alpine 3\\.19\\.1 \\(kernel 6\\.1\\.\\S+\\), read-only, as generation`),
    );
    assert.match(made.stdout, /\nBoot menu: 4 slots.*\nLog in: root, by password\.\n/);
    // No EFI variables here, or none that may be written: it is said, and \EFI\BOOT\ boots all the same.
    assert.match(made.stdout, /\nNot set: an EFI boot entry \(.+\)\.\n$/);
    const found = partitions(device);
    // A tenth of the disk; the RAM of any test machine is more.
    assert.deepEqual(
      found.map(({ name, bytes }) => [name, name === "ROOT" || bytes]),
      [
        ["EFI", 200 * MiB],
        ["ROOT", true],
        ["SWAP", 102 * MiB],
      ],
    );
    assert.match(sh("sgdisk", "--verify", device), /No problems found/);
    checkVolume(device);
    assert.ok(startsByItself(device));
    const conf = fatFile(espIn(device), "EFI/firn/refind.conf").toString();
    assert.ok(conf.includes(`volume ${part(device, "ROOT").guid}\n`));

    const generation = /as generation (\S+)\.$/m.exec(made.stdout)?.[1] ?? "";
    for (const target of [device, file]) {
      const state = await firn(["status", "--volume", target]);
      assert.equal(state.status, 0, state.stderr);
      assert.match(state.stdout, new RegExp(`^Booted: not this volume\\nNext: +${generation} \\(`));
      assert.doesNotMatch(state.stdout, /stopped at step/);
    }
    const data = JSON.parse((await firn(["status", "--volume", device, "--json"])).stdout) as Record<string, unknown>;
    assert.deepEqual([data["next"], data["unfinished"], data["booted"]], [generation, null, null]);
    assert.deepEqual(data["slots"], Array(4).fill(generation));
    const listed = JSON.parse((await firn(["list", "--volume", device, "--json"])).stdout) as {
      generations: { id: string; default: boolean; command: string }[];
    };
    assert.deepEqual(
      listed.generations.map(({ id, default: first, command }) => [id, first, command]),
      [[generation, true, "firn install"]],
    );
    assert.match(
      (await firn(["list", "--volume", device])).stdout,
      new RegExp(`^${generation} .*slot 0.* Installed$`, "m"),
    );
  });

  it("without a terminal, a disk that holds data is refused, shown, and not touched", async () => {
    for (const prepare of [
      (device: string) => void sh("mkfs.ext4", "-q", "-L", "family", device),
      (device: string) =>
        void sh("sgdisk", "--clear", "--new=1:2048:+100M", "--change-name=1:precious", "--new=2:0:0", device),
    ]) {
      const device = disk(prepare);
      const before = hashOf(file);
      const refused = await firn(["install", device, ...flags]);
      assert.equal(refused.status, 24, refused.stderr);
      assert.match(
        refused.stderr,
        new RegExp(`^E_DISK_FULL_OF_DATA: ${device} holds data\\. Nothing was changed\\.\n`),
      );
      assert.match(refused.stderr, /ext4 "family"|"precious": 104\.9 MB/);
      assert.match(refused.stderr, /\n {2}.*--yes\.\n$/);
      assert.equal(hashOf(file), before);
      held?.[Symbol.dispose]();
    }
  });

  it("without a terminal and without --yes, nobody can confirm, so an empty disk is not touched either", async () => {
    const device = disk();
    const before = hashOf(file);
    const refused = await firn(["install", device, ...flags]);
    assert.equal(refused.status, 28, refused.stderr);
    assert.match(refused.stderr, /^E_CONFIRM: There is no terminal .*Nothing was changed\.\n.*--yes\.\n$/);
    assert.equal(hashOf(file), before);
  });

  it("at a terminal it shows the disk and the steps and asks for the disk's name; a wrong answer changes nothing", async () => {
    const device = disk((path) => void sh("mkfs.ext4", "-q", "-L", "family", path));
    const before = hashOf(file);
    const no = await atTerminal(["install", device, ...flags], "yes\n");
    assert.equal(no.status, 28, no.screen);
    assert.match(no.screen, /ext4 "family"/);
    assert.match(no.screen, /1\. Partition: EFI 200 MiB, ROOT .*\n2\. Format/);
    assert.match(no.screen, new RegExp(`Everything on ${device} will be lost\\. Type ${device.slice(5)} to go on: `));
    assert.match(no.screen, /E_CONFIRM: Not confirmed\. Nothing was changed\./);
    assert.equal(hashOf(file), before);

    const yes = await atTerminal(["install", device, ...flags], `${device.slice(5)}\n`);
    assert.equal(yes.status, 0, yes.screen);
    assert.ok(startsByItself(device));
  });

  it("a disk that is mounted while the question stands is not touched, whatever is answered", async () => {
    const device = disk((path) => void sh("mkfs.ext4", "-q", "-L", "family", path));
    const folder = join(work, "mounted-late");
    mkdirSync(folder);
    const command = [await firnBinary(), "install", device, ...flags].map((word) => `'${word}'`).join(" ");
    const child = spawn("script", ["-qec", command, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
    let screen = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const asked = screen.includes(" to go on: ");
      screen += text;
      if (asked || !screen.includes(" to go on: ")) return;
      sh("mount", "-o", "ro,noload", device, folder);
      child.stdin.write(`${device.slice(5)}\n`);
    });
    const before = hashOf(file);
    const [status] = (await once(child, "close")) as [number];
    sh("umount", folder);
    assert.equal(status, 22, screen);
    assert.match(screen, /E_DISK_BUSY: .*Nothing was changed\./);
    assert.equal(hashOf(file), before);
    rmdirSync(folder);
  });

  it("--dry-run shows what is on the disk and what would happen, and writes nothing", async () => {
    const device = disk((path) => void sh("mkfs.ext4", "-q", "-L", "family", path));
    const before = hashOf(file);
    const dry: Ran = await firn(["install", device, "--dry-run", ...flags]);
    assert.equal(dry.status, 0, dry.stderr);
    assert.match(dry.stdout, /ext4 "family"[^]*Would:\n1\. Partition/);
    assert.equal(hashOf(file), before);
  });

  it("an installation over an older one leaves nothing of it", async () => {
    const device = disk();
    const ids: string[] = [];
    for (const slots of ["3", "2"]) {
      const made = await firn(["install", device, "--yes", "--json", "--slots", slots, ...flags]);
      assert.equal(made.status, 0, made.stdout);
      ids.push((JSON.parse(made.stdout) as { generation: string }).generation);
    }
    const listed = JSON.parse((await firn(["list", "--volume", device, "--json"])).stdout) as {
      generations: { id: string }[];
      slots: string[];
    };
    assert.deepEqual(
      listed.generations.map(({ id }) => id),
      [ids[1]],
    );
    assert.deepEqual(listed.slots, [ids[1], ids[1]]);
    withVolume(device, work, (top) => assert.ok(!readFileSync(join(top, "fstab"), "utf8").includes(ids[0] ?? "")));
  });
});
