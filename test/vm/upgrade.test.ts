import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fixtures } from "../fixtures/fixtures.ts";
import * as disk from "./harness/media/disk.ts";
import type { Machine } from "./harness/machine.ts";
import { Computer, Held, lean, loginRoot, mirror, skip, status, systemImage, useMirror } from "./system.ts";

const sources = ["v3.19.4", "v3.20.3", "v2"].flatMap((name) => ["-X", `/media/mirror/${name}`]).join(" ");

/** What must not change under a running system: the kernel, the packages, every file of /etc. */
function fingerprint(machine: Machine): Promise<string> {
  return machine.check("uname -r; apk info -v 2>/dev/null | sort; find /etc -type f | sort | xargs sha256sum");
}

describe("an upgrade inside the running system", { skip }, () => {
  const open = new Held();
  let computer: Computer;
  let machine: Machine;
  let kernels: { old: string; new: string };
  let asInstalled = "";
  let installed = "";
  let beforeUpgrade = "";
  let upgraded = "";

  before(async () => {
    const { v1, v2 } = (await fixtures()).kernels;
    kernels = { old: v1.release, new: v2.release };
    const service = ["--package", "firn-test-service", "--service", "firn-test"];
    const image = await systemImage("3G", [...lean, ...service]);
    const folder = open.use(await disk.temporaryFolder());
    const disks = [
      await disk.overlay(image, folder.path),
      { file: await mirror(), format: "raw", readonly: true } as const,
    ];
    computer = open.use(new Computer({ disks, firmwareVars: join(folder.path, "vars.fd") }));
    machine = await computer.on();
    await loginRoot(machine);
    asInstalled = await fingerprint(machine);
    installed = (await status(machine)).booted ?? "";
    await useMirror(machine);
  });
  after(() => open[Symbol.asyncDispose]());

  test("a new package asks for nothing of what runs", async () => {
    await machine.check("firn add jq", { timeoutSeconds: 300 });
    assert.deepEqual((await status(machine)).pending, { action: "nothing", services: [], reasons: [] });
    assert.notEqual((await machine.run("command -v jq")).status, 0, "jq came to the running system");
  });

  test("another version of a running service asks for its restart alone, and so does a change on top of a change", async () => {
    await machine.check("rc-service firn-test status");
    await machine.check("firn add -X /media/mirror/v2 'firn-test-service>1-r0'", { timeoutSeconds: 300 });
    const { pending } = await status(machine);
    assert.equal(pending?.action, "restart-services");
    assert.deepEqual(pending.services, [{ name: "firn-test", files: ["/usr/bin/firn-test-daemon"] }]);
    beforeUpgrade = (await status(machine)).next ?? "";
  });

  test("a release upgrade with a new kernel asks for a reboot and leaves the running system as it is", async () => {
    const dry = await machine.check(`firn upgrade ${sources} --dry-run --json`, { timeoutSeconds: 300 });
    const changes = (JSON.parse(dry) as { changes: { name: string }[] }).changes.map(({ name }) => name);
    for (const name of ["linux-virt", "apk-tools", "busybox", "alpine-release"])
      assert.ok(changes.includes(name), `${name} is not among ${changes.join(" ")}`);
    assert.equal((await status(machine)).next, beforeUpgrade);

    await machine.check(`firn upgrade ${sources} --description 'to 3.20'`, { timeoutSeconds: 600 });
    await machine.check("echo meanwhile >/var/lib/firn-test-meanwhile && echo meanwhile >/root/meanwhile");
    const { booted, next, slots, pending, drafts } = await status(machine);
    upgraded = next ?? "";
    assert.equal(booted, installed);
    assert.deepEqual([slots[0], slots[1]], [upgraded, beforeUpgrade]);
    assert.notEqual(upgraded, beforeUpgrade);
    assert.equal(pending?.action, "reboot");
    assert.match(pending.reasons.join("; "), /linux-virt/);
    assert.deepEqual(drafts, []);
    assert.equal(await fingerprint(machine), asInstalled);
  });

  test("slot 1 of the menu boots the older one, without any command", async () => {
    machine = await computer.reboot(machine);
    await machine.chooseMenuEntry(1);
    await loginRoot(machine);
    assert.equal((await machine.check("uname -r; cat /etc/alpine-release")).trim(), `${kernels.old}\n3.19.1`);
    const { booted, next } = await status(machine);
    assert.deepEqual([booted, next], [beforeUpgrade, upgraded]);
    await machine.check("jq --version && rc-service firn-test status");
  });

  test("the next boot is the new one: kernel, packages, and what was written meanwhile", async () => {
    machine = await computer.reboot(machine);
    await loginRoot(machine);
    assert.equal((await machine.check("uname -r; cat /etc/alpine-release")).trim(), `${kernels.new}\n3.20.3`);
    const packages = (await machine.check("apk info -v 2>/dev/null")).split("\n");
    const { v2 } = (await fixtures()).kernels;
    for (const one of [`linux-virt-${v2.version}`, "alpine-release-3.20.3-r0", "firn-test-service-2-r0"])
      assert.ok(packages.includes(one), `${one} is not installed`);
    assert.equal(await machine.check("cat /var/lib/firn-test-meanwhile /root/meanwhile"), "meanwhile\nmeanwhile\n");
    assert.equal((await status(machine)).booted, upgraded);
    assert.equal((JSON.parse(await machine.check("firn show --json")) as { verdict?: string }).verdict, "good");
    await machine.check("jq --version && rc-service firn-test status && modprobe loop");
    assert.match(await machine.check("firn diff 1 0"), /linux-virt/);
  });

  test("after a rollback the old one boots, and the commons stay as they are", async () => {
    await machine.check("firn rollback && echo later >/var/lib/firn-test-later");
    const { booted, slots } = await status(machine);
    assert.deepEqual([booted, slots[0], slots[1]], [upgraded, beforeUpgrade, upgraded]);
    machine = await computer.reboot(machine);
    await loginRoot(machine);
    assert.equal((await machine.check("uname -r; cat /etc/alpine-release")).trim(), `${kernels.old}\n3.19.1`);
    const { v1 } = (await fixtures()).kernels;
    assert.ok((await machine.check("apk info -v 2>/dev/null")).split("\n").includes(`linux-virt-${v1.version}`));
    assert.equal(
      await machine.check("cat /var/lib/firn-test-meanwhile /var/lib/firn-test-later"),
      "meanwhile\nlater\n",
    );
    assert.equal((await status(machine)).booted, beforeUpgrade);
  });
});
