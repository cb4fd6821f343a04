import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { attached, hashOf, mounted, sh } from "../../kit/disk.ts";
import { firn, start } from "../../kit/firn.ts";
import { machineFlags } from "../../kit/image.ts";
import { requires } from "../../kit/requires.ts";
import { attempt, commandLine, list, on, refused, succeeded } from "../../kit/verbs.ts";
import { rootOffset } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror", "shm");

describe("a medium is one, whatever it is called", { skip }, () => {
  const world = ownWorld();

  test("a writer of an image is the one writer of its loop devices too, and they read through one cache", async () => {
    const image = await world.image();
    using whole = attached(image);
    using root = attached(image, [`--offset=${rootOffset(image)}`, `--sizelimit=${rootBytes(image)}`]);
    const folder = join("/dev/shm", `firn-${process.pid}`);
    mkdirSync(folder);
    const script = `echo > ${folder}/begun; while [ ! -e ${folder}/go ]; do sleep 0.1; done; echo first > /etc/first`;
    const first = await start(commandLine(image, "run", "--host-devices", "--", "sh", "-c", script));
    try {
      for (let left = 200; !existsSync(`${folder}/begun`) && left > 0; left -= 1) await sleep(50);
      for (const name of [whole.device, root.device]) {
        const error = await refused("E_LOCKED", name, "run", "--", "touch", "/etc/second");
        assert.match(error.message, new RegExp(`process ${first.child.pid}\\)`));
        assert.equal((await list(name)).drafts.length, 1, "a reader sees what the writer has in its cache");
      }
    } finally {
      writeFileSync(`${folder}/go`, "");
      succeeded(await first.ended);
      spawnSync("rm", ["-r", folder]);
    }
    assert.deepEqual((await list(image)).drafts, []);
    await on(whole.device, "run", "--", "touch", "/etc/third");
    assert.equal((await list(image)).generations.length, 3);
  });

  test("an image that a virtual machine runs from is not written; it is again when the machine is gone", async () => {
    const image = await world.image();
    const drive = `file=${image},format=raw,if=virtio`;
    const args = ["-machine", "q35", "-S", "-display", "none", "-monitor", "stdio", "-net", "none", "-drive", drive];
    const machine = spawn("qemu-system-x86_64", args, { stdio: ["pipe", "pipe", "inherit"] });
    try {
      await once(machine.stdout, "data");
      const before = hashOf(image);
      for (const verb of [["run", "--", "touch", "/etc/x"], ["gc"], ["pin", "0"]] as [string, ...string[]][]) {
        const error = await refused("E_DISK_BUSY", image, ...verb);
        assert.match(error.message, /is locked by another program, a virtual machine perhaps/);
      }
      using loop = attached(image);
      await refused("E_DISK_BUSY", loop.device, "gc");
      const install = await firn(["install", loop.device, "--yes", ...(await machineFlags())]);
      assert.equal(install.status, 22, install.stderr);
      assert.equal(hashOf(image), before);
    } finally {
      machine.kill("SIGTERM");
      await once(machine, "exit");
    }
    await on(image, "run", "--", "touch", "/etc/x");
  });

  test("a second loop device of a file that is mounted, or just attached, is no disk to install on", async () => {
    const file = join(world.folder, "data");
    writeFileSync(file, "");
    truncateSync(file, 2 ** 30);
    sh("mkfs.btrfs", "-q", file);
    using first = attached(file);
    using second = attached(file);
    const before = hashOf(file);
    const flags = ["--yes", ...(await machineFlags())];
    const attachedOnly = await firn(["install", second.device, ...flags]);
    assert.equal(attachedOnly.status, 22, attachedOnly.stderr);
    assert.ok(attachedOnly.stderr.includes(`${second.device} shows the file that ${first.device} shows too`));
    {
      using mount = mounted(first.device, world.folder);
      const refusal = await firn(["install", second.device, ...flags]);
      assert.equal(refusal.status, 22, refusal.stderr);
      assert.ok(refusal.stderr.includes(`${first.device} is mounted on ${mount.top}`), refusal.stderr);
    }
    assert.equal(hashOf(file), before);
  });

  test("while a disk is installed on, no second installation and no claim begins", async () => {
    const file = join(world.folder, "target");
    writeFileSync(file, "");
    truncateSync(file, 2 ** 30);
    using disk = attached(file);
    const flags = ["--yes", "--swap-size", "none", ...(await machineFlags())];
    const first = await start(["install", disk.device, ...flags]);
    for (let left = 600; !/installing|packages/i.test(first.said()) && left > 0; left -= 1) await sleep(50);
    const second = await firn(["install", disk.device, ...flags]);
    assert.ok([22, 56].includes(second.status), second.stderr);
    const written = await attempt(file, "gc");
    assert.equal(written.status, 56, written.stderr);
    succeeded(await first.ended);
    assert.equal((await list(file)).generations.length, 1);
  });
});

/** Bytes of the partition ROOT of an image. */
function rootBytes(image: string): number {
  const [, first, last] = /\n\s+2\s+(\d+)\s+(\d+)\s/.exec(sh("sgdisk", "--print", image)) ?? [];
  return (Number(last) - Number(first) + 1) * 512;
}
