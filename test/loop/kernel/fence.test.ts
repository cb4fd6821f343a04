import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { after, before, describe, test } from "node:test";
import { requires } from "../../kit/requires.ts";
import { on } from "../../kit/verbs.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

/** Numbers of linux/capability.h. */
const FORBIDDEN = { MODULE: 16, RAWIO: 17, PTRACE: 19, BOOT: 22, TIME: 25 };

/** What must not appear on the host. */
const marks = ["/tmp", "/dev"].map((folder) => `${folder}/firn-fence-${process.pid}`);

describe("what runs in a draft does not reach the running machine by accident", { skip }, () => {
  const world = ownWorld();
  const name = hostname();
  let image = "";
  before(async () => {
    image = await world.image();
  });

  // A fence with a hole must not leave its mark on the machine that tests it.
  after(() => {
    if (hostname() !== name) execFileSync("hostname", [name]);
    for (const mark of marks) rmSync(mark, { force: true });
  });

  /** What a script in the draft prints. */
  async function printed(script: string, ...flags: string[]): Promise<string> {
    return (await on(image, "run", ...flags, "--", "sh", "-c", `exec 2>&1\n${script}\ntrue`)).stdout;
  }

  test("/proc/1/root does not lead out, and nothing of the host is mounted", async () => {
    const [mark = ""] = marks;
    const said = await printed(`echo x > /proc/1/root${mark} && echo led; cat /proc/self/mountinfo`);
    assert.ok(!existsSync(mark));
    assert.doesNotMatch(said, /^led/m);
    const points = [...said.matchAll(/^\d+ \d+ \S+ \S+ (\/\S*) /gm)].map(([, point = ""]) => point);
    assert.equal(points[0], "/");
    assert.deepEqual(
      points.filter((point) => !/^\/($|proc|sys|dev|run|tmp|home|root|srv|var)/.test(point)),
      [],
    );
  });

  test("the host's name and its System V objects are the host's own", async () => {
    const said = await printed("hostname fence; hostname; readlink /proc/self/ns/uts /proc/self/ns/ipc");
    assert.equal(hostname(), name);
    assert.match(said, /^fence$/m);
    for (const space of ["uts", "ipc"]) assert.ok(!said.includes(readlinkSync(`/proc/self/ns/${space}`)), space);
  });

  test("/sys, /proc/sys and /proc/sysrq-trigger are read-only and stay so", async () => {
    const setting = "/proc/sys/kernel/core_pattern";
    const before = readFileSync(setting, "utf8");
    const said = await printed(`
      for at in /sys /proc/sys /proc/sysrq-trigger; do mount -o remount,rw $at && echo remounted $at; done
      for at in /sys /proc/sys; do mount -o remount,bind,rw $at && echo remounted $at; done
      cat ${setting} > ${setting} && echo wrote ${setting}
      echo >> /proc/sysrq-trigger && echo wrote sysrq
      echo >> /sys/kernel/mm/ksm/run && echo wrote sys`);
    assert.doesNotMatch(said, /^(remounted|wrote) /m);
    assert.equal(readFileSync(setting, "utf8"), before);
  });

  test("/dev holds what every program may expect, and is not the host's unless --host-devices says so", async () => {
    const [, mark = ""] = marks;
    const said = await printed(`ls /dev; echo x > ${mark}; head -c 3 /dev/zero | wc -c; ls -d /dev/pts/ptmx
      echo through | cat /dev/stdin; echo x > /dev/full && echo room; (umask 077; echo shm > /dev/shm/x)`);
    assert.ok(!existsSync(mark));
    assert.equal(
      said,
      "console\nfd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n" +
        "3\n/dev/pts/ptmx\nthrough\nsh: write error: No space left on device\n" +
        said.slice(said.indexOf("Nothing changed")),
    );
    assert.match(await printed("ls /dev/loop-control", "--host-devices"), /^\/dev\/loop-control$/m);
  });

  test("no program has the capabilities for modules, clock, raw input and output, rebooting or tracing", async () => {
    const said = await printed("cat /proc/self/status");
    for (const set of ["CapBnd", "CapEff", "CapPrm", "CapInh"]) {
      const held = BigInt(`0x${new RegExp(`^${set}:\\s+(\\S+)`, "m").exec(said)?.[1]}`);
      for (const [name, bit] of Object.entries(FORBIDDEN)) assert.equal((held >> BigInt(bit)) & 1n, 0n, name);
    }
    assert.match(await printed("reboot -f"), /not permitted/);
  });

  test("wherever its /etc/resolv.conf leads, a generation can be run and mended", async () => {
    for (const target of ["resolv.conf", "/run/deep/resolv.conf", "/etc/hosts/resolv.conf", "/dev"]) {
      const loop = world.copy(image);
      await on(loop, "run", "--", "ln", "-sfn", target, "/etc/resolv.conf");
      await on(loop, "run", "--", "sh", "-c", "rm /etc/resolv.conf; echo '# mended' > /etc/resolv.conf");
    }
  });
});
