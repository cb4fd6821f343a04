import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as disk from "./harness/media/disk.ts";
import type { Machine } from "./harness/machine.ts";
import {
  Computer,
  debianKernelFailure,
  failures,
  Held,
  loginRoot,
  skip,
  sshKey,
  status,
  systemImage,
} from "./system.ts";

/** Every installation's commons; the design's defaults. */
const commons = ["/home", "/root", "/srv", "/var/cache", "/var/lib", "/var/log", "/var/spool", "/var/tmp"];

describe("an image boots into a system that works on a read-only root", { skip }, () => {
  const open = new Held();
  let computer: Computer;
  let machine: Machine;
  let privateKey = "";

  before(async () => {
    const key = await sshKey();
    privateKey = key.privateKey;
    const flags = ["--user", "ada", "--ssh-key", key.publicKey, "--timezone", "Europe/Berlin", "--keymap", "de de"];
    const image = await systemImage("2G", [...flags, "--interface", "eth0=dhcp"]);
    const folder = open.use(await disk.temporaryFolder());
    const disks = [await disk.overlay(image, folder.path)];
    computer = open.use(new Computer({ disks, network: "user" }));
    machine = await computer.on();
    await loginRoot(machine);
  });
  after(() => open[Symbol.asyncDispose]());

  test("slot 0 boots by itself, without a failure of any service", async () => {
    assert.match(await machine.check("cat /proc/cmdline"), /rootflags=subvol=current\/0\/@,ro .*console=ttyS0/);
    const failed = failures(machine);
    assert.equal(failed.length, 1, failed.join("\n"));
    assert.match(failed[0] ?? "", debianKernelFailure);
    assert.equal(await machine.check("cat /etc/alpine-release"), "3.19.1\n");
  });

  test("the root cannot be written, not even after it was remounted", async () => {
    assert.match(await machine.check("mount | grep ' on / '"), /type btrfs \(ro,.*subvol=\/snapshots\/[^/]+\/@\)/);
    const write = "echo x >/etc/x || echo x >/x || rm /etc/hostname || echo x >>/etc/hostname || mkdir /usr/x";
    const tries = 5;
    const refused = await machine.run(write);
    assert.notEqual(refused.status, 0);
    assert.equal(refused.stdout.split("Read-only file system").length - 1, tries, refused.stdout);
    await machine.run("mount -o remount,rw /");
    const again = await machine.run(write);
    assert.notEqual(again.status, 0);
    assert.equal(again.stdout.split("Read-only file system").length - 1, tries, again.stdout);
  });

  test("every commons can be written, and /tmp and /run", async () => {
    const shown = await machine.check("firn commons list --json");
    for (const path of commons) assert.ok(shown.includes(JSON.stringify(path)), `${path} is missing in ${shown}`);
    const places = [...commons, "/tmp", "/run"].join(" ");
    await machine.check(`for place in ${places}; do echo kept >$place/.firn-test || exit 1; done`);
    const modes = await machine.check("stat -c '%a %n' /root /tmp /var/tmp /home /var/log");
    assert.equal(modes, "700 /root\n1777 /tmp\n1777 /var/tmp\n755 /home\n755 /var/log\n");
  });

  test("it is what was asked for: host name, time zone, keyboard, network", async () => {
    assert.equal(await machine.check("hostname"), "snow\n");
    assert.match(await machine.check("date +%Z"), /^CES?T\n$/);
    await machine.check("rc-service loadkmap status && grep -q /etc/keymap/de.bmap.gz /etc/conf.d/loadkmap");
    assert.match(await machine.check("ip -4 addr show eth0"), /inet 10\.0\.2\.\d+\/24/);
    // Under the read-only root the DHCP client writes to /run, through the symlink's target.
    assert.equal(
      await machine.check("readlink /etc/resolv.conf; cat /etc/resolv.conf"),
      "../run/resolv.conf\nnameserver 10.0.2.3\n",
    );
    assert.match(await machine.check("cat /etc/machine-id"), /^[0-9a-f]{32}\n$/);
  });

  test("a user logs in with an SSH key, and doas knows the administrators", async () => {
    await machine.check(`umask 077; cat >/tmp/id <<'END'\n${privateKey}END`);
    const ssh = "ssh -i /tmp/id -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null";
    const groups = await machine.run(`${ssh} -q ada@127.0.0.1 id -nG`, { timeoutSeconds: 60 });
    assert.equal(groups.status, 0, groups.stdout);
    assert.ok(groups.stdout.trim().split(" ").includes("wheel"), groups.stdout);
    const refused = await machine.run(`${ssh} -o IdentityFile=/dev/null -o IdentitiesOnly=yes root@127.0.0.1 true`);
    assert.match(refused.stdout, /Permission denied/);
    assert.match((await machine.run("su -s /bin/sh ada -c 'doas -n true'")).stdout, /Authentication required/);
    assert.match((await machine.run("su -s /bin/sh nobody -c 'doas -n true'")).stdout, /Operation not permitted/);
  });

  test("firn is a package of the system, and its service has noted that the generation works", async () => {
    assert.match(await machine.check("apk info -e firn firn-openrc"), /^firn\nfirn-openrc\n$/);
    const shown = JSON.parse(await machine.check("firn show --json")) as Record<string, unknown>;
    assert.equal(shown["verdict"], "good");
    assert.equal(shown["release"], "3.19.1");
    assert.equal(shown["kernel"], (await machine.check("uname -r")).trim());
    const { booted, next, slots, drafts, unfinished } = await status(machine);
    assert.equal(booted, shown["id"]);
    assert.equal(next, booted);
    assert.deepEqual(slots, [booted, booted, booted, booted]);
    assert.deepEqual([drafts, unfinished], [[], null]);
  });

  test("firn status and firn list start no program and need none", async () => {
    // Forks since the boot, counted by the shell itself. Daemons fork too, now and then: the least of some runs is
    // firn's own.
    const count = "count() { while read -r key n _; do [ $key = processes ] && forks=$n; done </proc/stat; }";
    for (const verb of ["status", "list"]) {
      const run = `PATH=/nowhere /usr/sbin/firn ${verb} >/tmp/out || exit 1`;
      const numbers = await machine.check(
        `${count}; for i in 1 2 3 4 5; do count; was=$forks; ${run}; count; echo $((forks - was)); done`,
      );
      // The first is firn's own process.
      assert.equal(Math.min(...numbers.trim().split("\n").map(Number)), 1, `firn ${verb}: ${numbers}`);
      assert.match(await machine.check("cat /tmp/out"), /\d{14}[A-Za-z]{8}/);
    }
  });

  test("it reboots, and slot 1 boots when it is chosen in the menu, with what the commons kept", async () => {
    const from = machine.text.length;
    const before_ = machine;
    machine = await computer.reboot(machine);
    assert.deepEqual(failures(before_, from), []);
    const menu = await machine.menu();
    assert.deepEqual(
      menu.slice(0, 4).map(({ text }) => text),
      [0, 1, 2, 3].map((slot) => `Boot Alpine ${slot} from ROOT`),
    );
    await machine.chooseMenuEntry(1);
    await loginRoot(machine);
    assert.match(await machine.check("cat /proc/cmdline"), /rootflags=subvol=current\/1\/@,ro .*\\current\\1\\/);
    const kept = await machine.check(`for place in ${commons.join(" ")}; do cat $place/.firn-test; done`);
    assert.equal(kept, "kept\n".repeat(commons.length));
    assert.notEqual((await machine.run("cat /tmp/.firn-test")).status, 0, "/tmp outlived the reboot");
    const failed = failures(machine);
    assert.equal(failed.length, 1, failed.join("\n"));
    assert.match(failed[0] ?? "", debianKernelFailure);
  });

  test("it switches itself off, without a failure", async () => {
    const from = machine.text.length;
    machine.start("poweroff");
    await machine.waitForPowerOff({ timeoutSeconds: 120 });
    assert.match(machine.text.slice(from), /Power down/);
    assert.deepEqual(failures(machine, from), []);
  });
});
