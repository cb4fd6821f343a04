import assert from "node:assert/strict";
import { test } from "node:test";
import {
  changedFiles,
  impactOf,
  mappedFiles,
  serviceOf,
  type RunningProcess,
} from "../../../src/model/packages/impact.ts";

const init: RunningProcess = { pid: 1, parent: 0, name: "init", files: ["/bin/busybox", "/lib/ld-musl-x86_64.so.1"] };
const sshd: RunningProcess = { pid: 40, parent: 1, name: "sshd", files: ["/usr/sbin/sshd", "/lib/libcrypto.so.3"] };
const session: RunningProcess = { pid: 90, parent: 40, name: "sshd", files: ["/usr/sbin/sshd", "/lib/libz.so.1"] };
const shell: RunningProcess = { pid: 91, parent: 90, name: "ash", files: ["/bin/busybox"] };
const top: RunningProcess = { pid: 200, parent: 1, name: "top", files: ["/usr/bin/top"] };
const kernelThread: RunningProcess = { pid: 2, parent: 0, name: "kthreadd", files: [] };
const processes = [init, kernelThread, sshd, session, shell, top];
const services = new Map([[40, "sshd"]]);

function impact(packages: readonly string[], files: readonly string[], running = processes) {
  return impactOf({ packages, files: new Set(files), config: [] }, running, services);
}

test("a change that nothing uses asks for nothing", () => {
  assert.deepEqual(impact(["jq"], ["/usr/bin/jq"]), { action: "nothing", services: [], reasons: [] });
  assert.equal(impact([], []).action, "nothing");
});

test("changed configuration asks for a reboot, and is named", () => {
  const config = ["/etc/a", "/etc/b", "/etc/c", "/etc/d"];
  const changed = (names: readonly string[]) =>
    impactOf({ packages: [], files: new Set(), config: names }, processes, services);
  assert.deepEqual(changed(["/etc/a"]), { action: "reboot", services: [], reasons: ["/etc/a changed"] });
  assert.deepEqual(changed(config).reasons, ["/etc/a, /etc/b, /etc/c, and 1 more changed"]);
});

test("services that use changed files are named with them, once, with the files of their children", () => {
  assert.deepEqual(impact(["libcrypto3", "zlib"], ["/lib/libcrypto.so.3", "/lib/libz.so.1"]), {
    action: "restart-services",
    services: [{ name: "sshd", files: ["/lib/libcrypto.so.3", "/lib/libz.so.1"] }],
    reasons: [],
  });
});

test("a program outside any service is named by itself, and services are in order", () => {
  const { services: used } = impact([], ["/usr/bin/top", "/usr/sbin/sshd"]);
  assert.deepEqual(
    used.map(({ name }) => name),
    ["sshd", "top"],
  );
});

test("a new kernel, libc or init asks for a reboot", () => {
  for (const name of ["linux-lts", "linux-virt", "linux-stable", "linux-rpi4", "musl", "openrc"])
    assert.deepEqual([impact([name], []).action, impact([name], []).reasons], ["reboot", [`${name} changed`]], name);
  const used = impact(["busybox"], ["/bin/busybox"]);
  assert.equal(used.action, "reboot");
  assert.deepEqual(used.reasons, ["init uses changed files"]);
  assert.deepEqual(
    used.services.map(({ name }) => name),
    ["init", "sshd"],
  );
});

test("packages that are only named like a kernel do not", () => {
  for (const name of [
    "linux-headers",
    "linux-pam",
    "linux-firmware-intel",
    "linux-lts-dev",
    "linux-lts-doc",
    "musl-utils",
  ])
    assert.equal(impact([name], []).action, "nothing", name);
  for (const name of ["linux-tools", "linux-firmware", "util-linux"])
    assert.equal(impact([name], []).action, "nothing");
});

test("a container's init is not the system's", () => {
  const inside: RunningProcess = { pid: 300, parent: 200, name: "init", files: ["/opt/box/init"] };
  const { action, reasons } = impact([], ["/opt/box/init"], [...processes, inside]);
  assert.deepEqual([action, reasons], ["restart-services", []]);
});

test("a process belongs to its own service before its parent's, and init's children to none", () => {
  const parents = new Map([
    [40, 1],
    [90, 40],
    [91, 90],
    [50, 40],
  ]);
  const known = new Map([
    [1, "never"],
    [40, "sshd"],
    [50, "other"],
  ]);
  assert.equal(serviceOf(91, parents, known), "sshd");
  assert.equal(serviceOf(50, parents, known), "other");
  assert.equal(serviceOf(7, parents, known), undefined);
  assert.equal(serviceOf(1, parents, known), undefined);
});

test("mapped files are those of the file system, once each, with blanks, deleted ones too", () => {
  const maps = `5581-5590 r--p 00000000 08:01 12 /usr/sbin/sshd
5590-55a0 r-xp 0000f000 08:01 12                         /usr/sbin/sshd
7f00-7f10 r-xp 00000000 00:1a 99 /opt/my app/lib.so (deleted)
7f20-7f30 rw-p 00000000 00:00 0
7ffc-7ffd rw-p 00000000 00:00 0 [stack]
`;
  assert.deepEqual(mappedFiles(maps), ["/usr/sbin/sshd", "/opt/my app/lib.so"]);
  assert.deepEqual(mappedFiles(""), []);
});

const before = `P:a
V:1
F:usr
F:usr/bin
R:same
Z:Q1same
R:new
Z:Q1old
R:gone
Z:Q1gone
R:moved
Z:Q1moved

P:b
V:1
F:lib
R:untouched
Z:Q1x
`;
const after = `P:a
V:2
F:usr/bin
R:same
Z:Q1same
R:new
Z:Q1new
R:extra
Z:Q1extra

P:a-libs
V:2
F:usr/bin
R:moved
Z:Q1moved

P:b
V:1
F:lib
R:untouched
Z:Q1y
`;

test("changed files are those that go or get another content, not those that are new, moved or of other packages", () => {
  assert.deepEqual([...changedFiles(before, after, new Set(["a", "a-libs"]))].sort(), [
    "/usr/bin/gone",
    "/usr/bin/new",
  ]);
  assert.deepEqual(changedFiles(before, after, new Set()), new Set());
  assert.deepEqual([...changedFiles(before, "", new Set(["b"]))], ["/lib/untouched"]);
});
