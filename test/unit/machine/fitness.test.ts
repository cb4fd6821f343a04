import assert from "node:assert/strict";
import { test } from "node:test";
import {
  concernsFitness,
  consolePrograms,
  fitnessChecks,
  parseLogins,
  usersWithPassword,
} from "../../../src/model/machine/fitness.ts";

const passwd = [
  "root:x:0:0:root:/root:/bin/ash",
  "bin:x:1:1:bin:/bin:/sbin/nologin",
  "ann:x:1000:1000::/home/ann:/bin/zsh",
  "bob:x:1001:1001::/home/bob:",
  "eve:x:1002:1002::/home/eve:/bin/false",
  "nobody:x:65534:65534:nobody:/:/bin/sh",
  "",
].join("\n");

test("whoever may log in is root and people with a shell; an empty one is /bin/sh", () => {
  assert.deepEqual(parseLogins(passwd), [
    { user: "root", shell: "/bin/ash", home: "/root" },
    { user: "ann", shell: "/bin/zsh", home: "/home/ann" },
    { user: "bob", shell: "/bin/sh", home: "/home/bob" },
  ]);
  assert.deepEqual(parseLogins("::::\nhalf:x\n"), []);
});

test("a home is shared when it or a folder above it is", () => {
  const { faults } = fitnessChecks.homes;
  const logins = parseLogins(passwd);
  assert.deepEqual(faults({ logins, shared: ["/root", "/home"] }), []);
  assert.match(faults({ logins, shared: ["/home", "/roots"] }).join(), /^The home of root, \/root, is not shared/);
});

test("a getty is a line of inittab that is no comment, and starts something", () => {
  assert.deepEqual(consolePrograms("ttyS0::respawn:/sbin/getty -L 0 ttyS0\n"), ["/sbin/getty"]);
  assert.deepEqual(consolePrograms("tty1::askfirst:-/bin/sh\n"), ["/bin/sh"]);
  assert.deepEqual(consolePrograms("#tty1::respawn:/sbin/getty\n::sysinit:/sbin/openrc sysinit\n"), []);
  assert.deepEqual(consolePrograms("tty1::respawn:/bin/false\ntty2::respawn:\n"), []);
});

test("a password lets in whose field is no lock", () => {
  assert.deepEqual(
    [...usersWithPassword("root:$6$a$b:1::::::\nann:!:1\nbob:*:1\neve::1\njoe:!$6$a$b:1\n")],
    ["root", "eve"],
  );
});

test("a firn.toml that does not parse is said, and none at all is not", () => {
  const { faults, refuses } = fitnessChecks.config;
  assert.equal(refuses, false);
  assert.deepEqual(faults(undefined), []);
  assert.equal(faults("[retention\n").length, 1);
});

test("a draft is looked at when what changed in it can be a fault", () => {
  const changed = (path: string, ...what: string[]) => concernsFitness({ path, kind: "changed", what: () => what });
  for (const path of [
    "bin/busybox",
    "lib/ld-musl-x86_64.so.1",
    "usr/sbin/firn",
    "opt/shell",
    "etc/shadow",
    "etc/init.d/x",
  ])
    assert.ok(changed(path, "content"), path);
  for (const path of ["etc/x", "etc/hosts", "var/lib/x", "boot/vmlinuz", "etc/passwd-"])
    assert.ok(!changed(path, "content"), path);
  for (const path of ["", "etc", "var", "usr/lib"]) {
    assert.ok(!changed(path, "time"), path);
    assert.ok(changed(path, "mode", "time"), path);
    assert.ok(concernsFitness({ path, kind: "removed", what: () => [] }), path);
  }
});
