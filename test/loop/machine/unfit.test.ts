import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { requires } from "../../kit/requires.ts";
import { list, on, refused } from "../../kit/verbs.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

describe("a draft that would lack what a system needs is not sealed", { skip }, () => {
  const world = ownWorld();
  let image = "";
  before(async () => {
    image = await world.image();
    await on(image, "run", "--", "sh", "-c", "adduser -D -s /bin/zz ann; cp /bin/busybox /bin/zz");
  });

  for (const [what, command, message] of [
    ["without init", ["run", "--", "rm", "/sbin/init"], /\/sbin\/init is missing/],
    ["with an init that cannot be run", ["run", "--", "sh", "-c", "rm /sbin/init; : > /sbin/init"], /\/sbin\/init/],
    ["without alpine-base", ["del", "alpine-base"], /\/sbin\/(init|openrc) is missing/],
    ["without firn", ["run", "--", "rm", "/usr/sbin/firn"], /\/usr\/sbin\/firn is missing/],
    ["without root's home", ["commons remove", "/root"], /The home of root, \/root, is not shared/],
    ["without root's shell", ["run", "--", "sed", "-i", "1s,:[^:]*$,:/bin/none,", "/etc/passwd"], /shell of root/],
    ["without a user's shell", ["run", "--", "rm", "/bin/zz"], /The shell of ann, \/bin\/zz, is missing/],
    [
      "whose dynamic loader is cut short",
      ["run", "--", "sh", "-c", "cd /lib; head -c 1000 ld-musl-*.so.1 > x; chmod 755 x; mv x ld-musl-*.so.1"],
      /\/sbin\/init is missing or cannot/,
    ],
    [
      "whose busybox is no program",
      [
        "run",
        "--",
        "sh",
        "-c",
        "cd /bin; cp busybox /tmp/busybox; head -c 4096 /dev/urandom > x; chmod 755 x; /tmp/busybox mv x busybox",
      ],
      /\/sbin\/init is missing or cannot/,
    ],
    ["without what runs its services", ["run", "--", "rm", "/sbin/openrc-run"], /\/sbin\/openrc-run is missing/],
    ["without its services", ["run", "--", "rm", "-r", "/etc/init.d"], /The runlevel sysinit starts nothing/],
    [
      "whose runlevels start nothing",
      ["run", "--", "sh", "-c", "rm -r /etc/runlevels/*"],
      /The runlevel boot starts nothing/,
    ],
    ["that is closed to all but root", ["run", "--", "chmod", "700", "/"], /\/ is closed to all but its owner/],
    ["without apk's list", ["run", "--", "rm", "-r", "/lib/apk/db"], /list of what is installed is gone/],
    [
      "whose gettys are nothing",
      ["run", "--", "sed", "-i", "s,/sbin/getty.*,/bin/false,", "/etc/inittab"],
      /starts no getty/,
    ],
    ["without a getty", ["run", "--", "sed", "-i", "/getty/d", "/etc/inittab"], /inittab starts no getty/],
  ] as [string, [string, ...string[]], RegExp][]) {
    test(what, async () => {
      const before = await list(image);
      const [verb, ...args] = command;
      const error = await refused("E_UNFIT", image, verb, ...args);
      assert.match(error.message, message);
      assert.match(error.hint ?? "", /--force/);
      assert.equal(error.effect, "draft discarded");
      assert.deepEqual(await list(image), before);
    });
  }

  test("a password that lets nobody in any more is said, and stops nothing", async () => {
    const own = world.copy(image);
    const ran = await on(own, "run", "--", "sed", "-i", "1s,:[^:]*:,:*:,", "/etc/shadow");
    assert.match(ran.stderr, /No password lets root in/);
  });

  test("who means it says --force; what was missing before stops nothing; the rest is said", async () => {
    const forced = await on(image, "run", "--force", "--", "rm", "/bin/zz");
    assert.match(forced.stderr, /The shell of ann, \/bin\/zz, is missing/);
    const next = await on(image, "run", "--", "touch", "/etc/x");
    assert.doesNotMatch(next.stderr, /shell of ann/);
    const script = "mkdir -p /etc/firn; echo '[retention' > /etc/firn/firn.toml";
    assert.match((await on(image, "run", "--", "sh", "-c", script)).stderr, /firn\.toml/);
    const served =
      "echo '#!/bin/sh' > /etc/init.d/sshd; chmod 755 /etc/init.d/sshd; ln -s /etc/init.d/sshd /etc/runlevels/default/";
    await on(image, "run", "--", "sh", "-c", served);
    const cut = await on(image, "run", "--", "rm", "/etc/runlevels/default/sshd");
    assert.match(cut.stderr, /No runlevel starts an SSH server/);
  });
});
