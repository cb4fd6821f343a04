import assert from "node:assert/strict";
import { test } from "node:test";
import { flagAt, flagsOf } from "../../../src/model/config/flag-tree.ts";
import { mergeFlags } from "../../../src/model/machine/flags.ts";
import { machineToml, type MachineFlags } from "../../../src/model/machine/machine-toml.ts";
import { parseMachineToml, repositoryLines, type MachineConfig } from "../../../src/model/machine/machine.ts";
import { isRefusal } from "../../../src/model/problem.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA7XVgXmM2jsfH4nrM92MTPCPaO/QXxtggsPIcMROuGx";

function merged(toml: string, flags: MachineFlags): MachineConfig {
  const file = parseMachineToml(toml, "m.toml");
  assert.ok(!isRefusal(file));
  const result = mergeFlags(file, flags, "m.toml");
  assert.ok(!isRefusal(result), JSON.stringify(result));
  return result;
}

function refused(toml: string, flags: MachineFlags): string {
  const file = parseMachineToml(toml, "m.toml");
  assert.ok(!isRefusal(file));
  const result = mergeFlags(file, flags, "m.toml");
  assert.ok(isRefusal(result));
  const { code, details = [], hint } = result.problem;
  const message = [result.problem.message, ...details].join("\n");
  return `${code}: ${message}${hint === undefined ? "" : ` ${hint}`}`;
}

test("with neither file nor flags the wish is complete", () => {
  assert.deepEqual(merged("", {}), {
    disk: {
      espSize: "auto",
      swapSize: "auto",
      slots: 4,
      compression: "zstd",
      commons: ["/home", "/root", "/srv", "/var/cache", "/var/lib", "/var/log", "/var/spool", "/var/tmp"],
    },
    system: {
      arch: "x86_64",
      release: "latest-stable",
      mirror: "https://dl-cdn.alpinelinux.org/alpine",
      repositories: [],
      flavor: "lts",
      firmware: [],
      packages: [],
      cmdline: "quiet",
    },
    identity: { hostname: "alpine", timezone: "UTC", users: [], root: { locked: true, sshKeys: [] } },
    network: {
      interfaces: [{ name: "eth0", method: "dhcp", addresses: [], gateways: [] }],
      dns: [],
      search: [],
    },
    services: {
      sysinit: { add: [], remove: [] },
      boot: { add: [], remove: [] },
      default: { add: [], remove: [] },
      shutdown: { add: [], remove: [] },
    },
  });
});

test("each flag says what its key says", () => {
  const hash = "$5$abc$sCOGUciM.GdmYMCUvmUcgu03oRH87O0clF96.9mwWGB";
  const byFlags = merged("", {
    size: "4G",
    espSize: "64M",
    swapSize: "none",
    slots: "3",
    compression: "zstd:3",
    common: ["/opt"],
    arch: "aarch64",
    release: "3.20",
    mirror: "https://example.org/alpine/",
    repository: ["/srv/packages"],
    keysDir: "/srv/keys",
    flavor: "virt",
    firmware: ["linux-firmware-other"],
    package: ["openssh"],
    cmdline: "console=tty0",
    serial: "ttyS0",
    refind: "/srv/refind",
    hostname: "web",
    timezone: "Europe/Berlin",
    keymap: "de de",
    user: ["alex"],
    sshKey: [KEY],
    rootPasswordHash: hash,
    interface: ["eth1=192.0.2.10/24,192.0.2.1"],
    dns: ["192.0.2.53"],
    search: ["example.org"],
    service: ["sshd", "!boot/x"],
  });
  const byFile = merged(
    `
    [disk]
    size = "4G"
    esp-size = "64M"
    swap-size = "none"
    slots = 3
    compression = "zstd:3"
    commons = ["/opt"]
    [system]
    arch = "aarch64"
    release = "3.20"
    mirror = "https://example.org/alpine/"
    repositories = ["/srv/packages"]
    keys-dir = "/srv/keys"
    flavor = "virt"
    firmware = "linux-firmware-other"
    packages = ["openssh"]
    cmdline = "console=tty0"
    serial = "ttyS0"
    refind = "/srv/refind"
    [identity]
    hostname = "web"
    timezone = "Europe/Berlin"
    keymap = "de de"
    users = [{ name = "alex", ssh-keys = ["${KEY}"] }]
    root = { password-hash = "${hash}" }
    [network]
    interfaces = [{ name = "eth1", addresses = ["192.0.2.10/24"], gateways = ["192.0.2.1"] }]
    dns = ["192.0.2.53"]
    search = ["example.org"]
    [services]
    default = ["sshd"]
    boot = ["!x"]`,
    {},
  );
  assert.deepEqual(byFlags, byFile);
  assert.equal(byFile.disk.slots, 3);
  assert.deepEqual(byFile.services.boot, { add: [], remove: ["x"] });
});

test("a flag wins over the file; lists that gather keep both", () => {
  const file = `
    [disk]
    slots = 2
    commons = ["/opt"]
    [system]
    packages = ["a", "b"]
    serial = "ttyS0"
    [identity]
    hostname = "file"
    users = [{ name = "alex", full-name = "Alex" }, { name = "kim" }]
    root = { locked = true }
    [network]
    dns = ["192.0.2.1"]
    [services]
    default = ["acpid", "sshd"]`;
  const wish = merged(file, {
    slots: "5",
    common: ["/var/lib/docker"],
    package: ["b", "c"],
    serial: "none",
    user: ["alex", "robin", "robin"],
    sshKey: [KEY],
    dns: ["192.0.2.2"],
    service: ["!acpid"],
    rootPasswordHash: "$5$abc$sCOGUciM.GdmYMCUvmUcgu03oRH87O0clF96.9mwWGB",
  });
  assert.equal(wish.disk.slots, 5);
  assert.equal(wish.identity.hostname, "file");
  assert.ok(wish.disk.commons.includes("/opt" as never) && wish.disk.commons.includes("/var/lib/docker" as never));
  assert.deepEqual(wish.system.packages, ["a", "b", "c"]);
  assert.ok(!("serial" in wish.system));
  assert.deepEqual(wish.network.dns, ["192.0.2.2"]);
  assert.deepEqual(wish.services.default, { add: ["sshd"], remove: ["acpid"] });
  assert.deepEqual(
    wish.identity.users.map(({ name, fullName, sshKeys }) => [name, fullName, sshKeys.length]),
    [
      ["alex", "Alex", 1],
      ["kim", undefined, 0],
      ["robin", undefined, 1],
    ],
  );
  assert.deepEqual(wish.identity.users[2]!.groups, ["wheel", "audio", "video", "netdev"]);
  assert.equal(wish.identity.root.locked, false);
  assert.deepEqual(wish.identity.root.sshKeys, []);
});

test("a key without a user is root’s", () => {
  const wish = merged(`[identity]\nusers = [{ name = "kim" }]\nroot = { ssh-keys = ["${KEY} a"] }`, {
    sshKey: [`${KEY} b`],
  });
  assert.deepEqual(wish.identity.root, { locked: true, sshKeys: [`${KEY} a`, `${KEY} b`] });
  assert.deepEqual(wish.identity.users[0]!.sshKeys, []);
});

test("packages come from where the user said, and from nowhere else", () => {
  const lines = (toml: string, flags: MachineFlags) => repositoryLines(merged(toml, flags).system);
  const cdn = "https://dl-cdn.alpinelinux.org/alpine";
  const stable = [`${cdn}/latest-stable/main`, `${cdn}/latest-stable/community`];
  const v320 = [`${cdn}/v3.20/main`, `${cdn}/v3.20/community`];
  const file = '[system]\nrelease = "v3.20"';
  assert.deepEqual(lines("", {}), stable);
  assert.deepEqual(lines("", { repository: ["/a", "/b"] }), ["/a", "/b"]);
  assert.deepEqual(lines(file, {}), v320);
  assert.deepEqual(lines(`${file}\nrepositories = ["/a"]`, {}), [...v320, "/a"]);
  assert.deepEqual(lines(file, { repository: ["/a"] }), ["/a"]);
  assert.deepEqual(lines("", { release: "3.20", repository: ["/a"] }), [...v320, "/a"]);
  assert.deepEqual(lines('[system]\nmirror = "http://m"', { release: "edge" }), [
    "http://m/edge/main",
    "http://m/edge/community",
  ]);
  assert.deepEqual(lines('[system]\nrepositories = ["/a"]\nmirror = "http://m"', { repository: ["/b"] }), ["/b"]);
});

test("a bad flag is refused by its own name", () => {
  const table: [string, MachineFlags, string][] = [
    ["", { hostname: "A" }, 'E_CONFIG_VALUE: --hostname: "A" has capital letters. Write "a".'],
    ["", { slots: "four" }, 'E_CONFIG_VALUE: --slots: expected a number, found the text "four".'],
    ["", { slots: "0" }, "E_CONFIG_VALUE: --slots: is not a whole number from 2 to 16."],
    ["", { espSize: "1M" }, "E_CONFIG_VALUE: --esp-size: 1M is too small for FAT32. Give it at least 33M."],
    [
      "",
      { user: ["root", "alex"] },
      'E_CONFIG_VALUE: --user: "root" exists already. Its password and keys are in [identity.root].',
    ],
    [
      "",
      { user: ["alex", "kim"], sshKey: ["ssh-rsa"] },
      'E_CONFIG_VALUE: --ssh-key: has a type but no key. Give the one line of a .pub file, for example "ssh-ed25519 AAAA... name".',
    ],
    ["", { interface: ["eth0=dhcp", "eth0=dhcp"] }, "E_CONFIG_VALUE: --interface: eth0 is there twice. Keep one."],
    [
      "",
      { service: ["defualt/sshd"] },
      'E_CONFIG_VALUE: --service: "defualt" is not a runlevel. Did you mean default?',
    ],
    [
      '[disk]\ncommons = ["/opt/a"]',
      { common: ["/opt/a/b"] },
      'E_CONFIG_VALUE: --common: "/opt/a/b" is shared already, because /opt/a is a commons. Leave it out.',
    ],
    [
      '[disk]\ncommons = ["/opt/a", "/opt/a/b"]',
      {},
      'E_CONFIG_VALUE: m.toml: disk.commons: "/opt/a/b" is shared already, because /opt/a is a commons. Leave it out.',
    ],
    [
      '[identity]\nusers = [{ name = "a" }, { name = "a" }]',
      {},
      "E_CONFIG_VALUE: m.toml: identity.users: a is there twice. Keep one.",
    ],
    [
      "",
      { hostname: "", interface: ["eth0"] },
      [
        "E_CONFIG_VALUE: The flags have 2 problems.",
        '  --hostname: is empty. Write a name such as "alpine" or "web.example.org".',
        '  --interface: "eth0" is not an interface. Write eth0=dhcp or eth0=192.0.2.10/24,192.0.2.1.',
      ].join("\n"),
    ],
  ];
  for (const [toml, flags, message] of table) assert.equal(refused(toml, flags), message);
});

test("each flag is declared once, has words, and is called like none of the program's own", () => {
  const flags = flagsOf(machineToml);
  const names = flags.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, brief } of flags) {
    assert.ok(!["help", "version", "h", "v", "json", "config", "dryRun", "yes"].includes(name), name);
    assert.doesNotMatch(brief, /`|^$|\.$/, name);
  }
});

test("a flag says what its key says, wherever the key stands", () => {
  for (const [where, flag] of [
    ["disk.esp-size", "--esp-size"],
    ["disk.commons[1]", "--common"],
    ["identity.root.password-hash", "--root-password-hash"],
    ["identity.users[0].name", "--user"],
    ["identity.users[0].ssh-keys[1]", "--ssh-key"],
    ["network.interfaces[0].gateways", "--interface"],
    ["identity", "identity"],
  ] as const)
    assert.equal(flagAt(machineToml, where), flag);
});
