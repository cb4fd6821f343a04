import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { defaultFirnConfig, parseFirnToml, retentionWish } from "../../../src/model/machine/firn-toml.ts";
import { parseMachineToml } from "../../../src/model/machine/machine.ts";
import { isRefusal } from "../../../src/model/problem.ts";

/** [TOML, code, message, hint] */
type Row = readonly [string, string, string, string?];

const TABLE: readonly Row[] = [
  ["[disk]\nslots = = 4\n", "E_CONFIG_SYNTAX", "machine.toml:2:9: invalid value.", "The line is: slots = = 4"],
  [
    '[identity.root]\npassword-hash = "$6$salt$secret" x\n',
    "E_CONFIG_SYNTAX",
    "machine.toml:2:34: each key-value declaration must be followed by an end-of-line.",
    "The line is: password-hash = …",
  ],
  [
    `a = ${"[".repeat(100_000)}`,
    "E_CONFIG_SYNTAX",
    "machine.toml:1:21: document contains excessively nested structures. aborting.",
    `The line is: a = ${"[".repeat(53)}...`,
  ],
  ["[disk]\nslot = 4", "E_CONFIG_KEY", "machine.toml: disk.slot: unknown key.", "Did you mean disk.slots?"],
  [
    '[disk]\nesp_size = "1G"',
    "E_CONFIG_KEY",
    "machine.toml: disk.esp_size: unknown key.",
    "Did you mean disk.esp-size?",
  ],
  ["[dsik]", "E_CONFIG_KEY", "machine.toml: dsik: unknown key.", "Did you mean disk?"],
  ['hostname = "a"', "E_CONFIG_KEY", "machine.toml: hostname: unknown key.", "Did you mean identity.hostname?"],
  [
    "[disk]\npackages = []",
    "E_CONFIG_KEY",
    "machine.toml: disk.packages: unknown key.",
    "Did you mean system.packages?",
  ],
  [
    "[services]\nzzzzzz = []",
    "E_CONFIG_KEY",
    "machine.toml: services.zzzzzz: unknown key.",
    "Known in services: sysinit, boot, default, shutdown.",
  ],
  [
    "[disk]\nconstructor = 1",
    "E_CONFIG_KEY",
    "machine.toml: disk.constructor: unknown key.",
    "Known in disk: size, esp-size, swap-size, slots, compression, commons.",
  ],
  [
    '[[identity.users]]\nname = "a"\ngroup = []',
    "E_CONFIG_KEY",
    "machine.toml: identity.users[0].group: unknown key.",
    "Did you mean identity.users[0].groups?",
  ],
  ["disk = 4", "E_CONFIG_VALUE", "machine.toml: disk: expected a table, found the number 4."],
  ["disk = [4]", "E_CONFIG_VALUE", "machine.toml: disk: expected a table, found a list."],
  ['[disk]\nslots = "four"', "E_CONFIG_VALUE", 'machine.toml: disk.slots: expected a number, found the text "four".'],
  ["[disk]\nslots = 0", "E_CONFIG_VALUE", "machine.toml: disk.slots: is not a whole number from 2 to 16."],
  ["[disk]\nslots = 2.5", "E_CONFIG_VALUE", "machine.toml: disk.slots: is not a whole number from 2 to 16."],
  ["[disk]\nslots = 17", "E_CONFIG_VALUE", "machine.toml: disk.slots: is not a whole number from 2 to 16."],
  [
    "[disk]\nesp-size = true",
    "E_CONFIG_VALUE",
    "machine.toml: disk.esp-size: expected a text or a number, found true.",
  ],
  [
    '[disk]\nesp-size = "1M"',
    "E_CONFIG_VALUE",
    "machine.toml: disk.esp-size: 1M is too small for FAT32.",
    "Give it at least 33M.",
  ],
  ['[disk]\ncommons = "/opt"', "E_CONFIG_VALUE", 'machine.toml: disk.commons: expected a list, found the text "/opt".'],
  [
    '[disk]\ncommons = ["/opt", "x"]',
    "E_CONFIG_VALUE",
    'machine.toml: disk.commons[1]: "x" is relative.',
    "Write an absolute path such as /var/lib/docker.",
  ],
  [
    '[system]\narch = "riscv64"',
    "E_CONFIG_VALUE",
    'machine.toml: system.arch: rEFInd does not exist for "riscv64".',
    "Use x86_64 or aarch64.",
  ],
  [
    '[system]\nfirmware = ["none", "a"]',
    "E_CONFIG_VALUE",
    'machine.toml: system.firmware: has "none" and packages beside it.',
    "Keep one or the other.",
  ],
  ["[system]\nrelease = 2024-01-01", "E_CONFIG_VALUE", "machine.toml: system.release: expected a text, found a date."],
  ['[[identity.users]]\nshell = "/bin/ash"', "E_CONFIG_VALUE", "machine.toml: identity.users[0].name: is missing."],
  [
    "[identity.root]\nlocked = false",
    "E_CONFIG_VALUE",
    "machine.toml: identity.root: is not locked and has no password-hash: anyone could log in.",
    "Add password-hash.",
  ],
  [
    '[[network.interfaces]]\nname = "eth0"\nmethod = "auto"',
    "E_CONFIG_VALUE",
    'machine.toml: network.interfaces[0].method: expected "dhcp" or "static", found the text "auto".',
  ],
  [
    '[[network.interfaces]]\nname = "eth0"\nmethod = "static"',
    "E_CONFIG_VALUE",
    "machine.toml: network.interfaces[0]: eth0 is static but has no address.",
    'Write for example addresses = ["192.0.2.10/24"].',
  ],
];

test("a bad machine.toml is refused with place, reason and way out", () => {
  for (const [toml, code, message, hint] of TABLE) {
    const result = parseMachineToml(toml, "machine.toml");
    assert.ok(isRefusal(result), toml);
    assert.deepEqual(result.problem, hint === undefined ? { code, message } : { code, message, hint }, toml);
  }
});

test("all problems of a file are told at once, unknown keys first", () => {
  const toml = '[disk]\nslots = 99\nslot = 4\n[identity]\nhostname = "A"\n[system]\nflavour = "lts"';
  const result = parseMachineToml(toml, "m.toml");
  assert.ok(isRefusal(result));
  assert.deepEqual(result.problem, {
    code: "E_CONFIG_KEY",
    message: "m.toml has 4 problems.",
    details: [
      "  disk.slot: unknown key. Did you mean disk.slots?",
      "  system.flavour: unknown key. Did you mean system.flavor?",
      "  disk.slots: is not a whole number from 2 to 16.",
      '  identity.hostname: "A" has capital letters. Write "a".',
    ],
  });
});

test("values arrive parsed and under names without hyphens", () => {
  const toml = `
    [disk]
    esp-size = "64M"
    swap-size = "none"
    size = 1073741824
    [system]
    firmware = "linux-firmware-other"
    serial = "ttyS0"
    [identity]
    keymap = "us us"
    [[identity.users]]
    name = "alex"
    full-name = "Alex"
    [services]
    default = ["sshd", "!acpid"]`;
  assert.deepEqual(parseMachineToml(toml, "m.toml"), {
    disk: { espSize: 64 * 2 ** 20, swapSize: 0, size: 2 ** 30 },
    system: { firmware: ["linux-firmware-other"], serial: { port: "ttyS0", speed: 115200 } },
    identity: { keymap: { layout: "us", variant: "us" }, users: [{ name: "alex", fullName: "Alex" }] },
    services: { default: ["sshd", "!acpid"] },
  });
  assert.deepEqual(parseMachineToml("", "m.toml"), {});
});

test("no text makes the reader throw", () => {
  const word = fc.constantFrom(
    "[disk]",
    "[[identity.users]]",
    "slots",
    "commons",
    "=",
    "4",
    '"/opt"',
    "[",
    "]",
    "\n",
    "{",
    "}",
    "name",
    '"',
    "__proto__",
    ".",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(word, { maxLength: 20 }).map((words) => words.join(" ")),
      ),
      (toml) => {
        const result = parseMachineToml(toml, "m.toml");
        if (isRefusal(result)) assert.match(result.problem.code, /^E_CONFIG_(SYNTAX|KEY|VALUE)$/);
      },
    ),
    { numRuns: 3000 },
  );
});

test("firn.toml is read by the same rules", () => {
  assert.deepEqual(defaultFirnConfig(), {
    retention: { keepCount: 10, keepDays: 0, minFree: { percent: 10 }, autoGc: false },
    upgrade: { repositories: [] },
  });
  const toml =
    '[retention]\nkeep-count = 3\nkeep-days = "4w"\nmin-free = "2G"\nauto-gc = true\n[upgrade]\nkeys-dir = "/srv/keys"';
  assert.deepEqual(parseFirnToml(toml), {
    retention: { keepCount: 3, keepDays: 28, minFree: { bytes: 2 ** 31 }, autoGc: true },
    upgrade: { repositories: [], keysDir: "/srv/keys" },
  });
  assert.deepEqual(retentionWish(defaultFirnConfig().retention, 1000), { keepCount: 10, keepAge: 0, minimumFree: 100 });
  const bad = parseFirnToml("[retention]\nkeep = 3");
  assert.ok(isRefusal(bad));
  assert.equal(bad.problem.message, "/etc/firn/firn.toml: retention.keep: unknown key.");
  assert.equal(bad.problem.hint, "Did you mean retention.keep-count?");
});
