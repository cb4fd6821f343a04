import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  parseFullName,
  parseGroupName,
  parseHostname,
  parseKeymap,
  parsePasswordHash,
  parseShell,
  parseTimezone,
  parseUserName,
  shadowPassword,
} from "../../../src/model/machine/identity.ts";
import { parseService, parseServiceFlag, serviceChange } from "../../../src/model/machine/services.ts";
import { parseSshKey } from "../../../src/model/machine/ssh-key.ts";
import {
  parseCmdline,
  parseCompression,
  parseFlavor,
  parseMirror,
  parseRepository,
  parseSerial,
} from "../../../src/model/machine/system.ts";
import { isRefusal } from "../../../src/model/problem.ts";

/** "message hint" of a refusal, or undefined. */
function complaint(parsed: unknown): string | undefined {
  if (!isRefusal(parsed)) return undefined;
  const { message, hint } = parsed.problem;
  return hint === undefined ? message : `${message} ${hint}`;
}

function accepts(parse: (text: string) => unknown, texts: readonly string[]): void {
  for (const text of texts) assert.equal(complaint(parse(text)), undefined, text);
}

function refuses(parse: (text: string) => unknown, table: readonly (readonly [string, string])[]): void {
  for (const [text, message] of table) assert.equal(complaint(parse(text)), message, text);
}

const A64 = "a".repeat(64);

test("host names are those of setup-hostname, RFC 1123 and Linux", () => {
  accepts(parseHostname, [
    "alpine",
    "web.example.org",
    "1",
    "a-b",
    "a".repeat(63),
    `${"a".repeat(32)}.${"b".repeat(31)}`,
  ]);
  refuses(parseHostname, [
    ["", 'is empty. Write a name such as "alpine" or "web.example.org".'],
    ["Alpine", '"Alpine" has capital letters. Write "alpine".'],
    ["my host", '"my host" contains " ". Use the letters a-z, digits, "-" and ".".'],
    ["a_b", '"a_b" contains "_". Use the letters a-z, digits, "-" and ".".'],
    ["a\n", '"a\\n" contains "\\n". Use the letters a-z, digits, "-" and ".".'],
    ["-a", '"-a" has a part that starts or ends with "-". Start and end with a letter or a digit.'],
    ["a-.b", '"a-.b" has a part that starts or ends with "-". Start and end with a letter or a digit.'],
    [".a", '".a" has an empty part. Put one "." between two names, none at an end.'],
    ["a.", '"a." has an empty part. Put one "." between two names, none at an end.'],
    [A64, `"${"a".repeat(57)}..." has 64 characters. A part may have 63.`],
    [`${A64}a`, `"${"a".repeat(57)}..." has 65 characters. Linux takes at most 64.`],
  ]);
});

test("a host name that is accepted is fit for /etc/hostname and /etc/hosts", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "Z", "0", "-", ".", "_", " ", "\n", "é", "#"), maxLength: 70 });
  fc.assert(
    fc.property(text, (input) => {
      const parsed = parseHostname(input);
      if (isRefusal(parsed)) return;
      assert.equal(parsed, input);
      assert.match(input, /^(?=.{1,64}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/);
    }),
    { numRuns: 2000 },
  );
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 5 }), (labels) => {
      assert.ok(!isRefusal(parseHostname(labels.join("."))));
    }),
  );
});

test("user and group names are those of busybox and shadow, and not the system’s", () => {
  accepts(parseUserName, ["alex", "_svc", "a.b-c_d", "u1", "a".repeat(31)]);
  accepts(parseGroupName, ["wheel", "audio", "root"]);
  const rule = 'Start with a-z or "_", go on with a-z, digits, "_", "." and "-".';
  refuses(parseUserName, [
    ["", 'is empty. Write a user name such as "alex".'],
    ["Alex", `"Alex" is not a user name. ${rule}`],
    ["1a", `"1a" is not a user name. ${rule}`],
    ["-a", `"-a" is not a user name. ${rule}`],
    ["a:b", `"a:b" is not a user name. ${rule}`],
    ["a\n", `"a\\n" is not a user name. ${rule}`],
    ["a".repeat(32), `"${"a".repeat(32)}" has 32 characters. Use at most 31.`],
    ["root", '"root" exists already. Its password and keys are in [identity.root].'],
    ["sshd", '"sshd" is an account of Alpine\'s base system. Choose another name.'],
  ]);
  refuses(parseGroupName, [["a b", `"a b" is not a group name. ${rule}`]]);
  refuses(parseFullName, [["a:b", '"a:b" contains ":", "," or a control character. Leave it out.']]);
  accepts(parseFullName, ["Zoë Example"]);
  accepts(parseShell, ["/bin/ash", "/usr/bin/fish"]);
  for (const shell of ["bash", "/bin/../sh", "/bin/sh x", "/", "/bin/sh\n"])
    assert.ok(isRefusal(parseShell(shell)), shell);
});

test("a time zone is a safe path below zoneinfo", () => {
  accepts(parseTimezone, [
    "UTC",
    "Europe/Berlin",
    "Etc/GMT+1",
    "America/Argentina/Buenos_Aires",
    "America/Port-au-Prince",
  ]);
  const hint = "Write for example UTC or Europe/Berlin.";
  refuses(parseTimezone, [
    ["", `is empty. ${hint}`],
    ["../../etc/passwd", `"../../etc/passwd" is not a time zone. ${hint}`],
    ["/etc/localtime", `"/etc/localtime" is a path. ${hint}`],
    ["/usr/share/zoneinfo/Europe/Paris", '"/usr/share/zoneinfo/Europe/Paris" is a path. Write "Europe/Paris".'],
    ["Europe/", `"Europe/" is not a time zone. ${hint}`],
    ["Europe Berlin", `"Europe Berlin" is not a time zone. ${hint}`],
  ]);
});

test("a keymap is spelled as for setup-keymap", () => {
  assert.deepEqual(parseKeymap("us us"), { layout: "us", variant: "us" });
  assert.deepEqual(parseKeymap("de  de-nodeadkeys"), { layout: "de", variant: "de-nodeadkeys" });
  assert.deepEqual(parseKeymap("fr"), { layout: "fr", variant: "fr" });
  assert.deepEqual(parseKeymap("none"), "none");
  for (const text of ["", "us us us", "../x", "us ../x", "us/us"]) {
    assert.equal(
      complaint(parseKeymap(text)),
      `${JSON.stringify(text)} is not a keymap. Write layout and variant, for example "us us" or "de de-nodeadkeys", or "none".`,
    );
  }
});

test("only a password hash that Alpine can check is taken, and a refusal never repeats it", () => {
  // Hashes of "x" by Alpine's musl.
  const sha512 = "K4v3HcZ8yAmpRfxML6S46NCcqy9r4/KdbQpFvqSWsBf4dgySOEOo1DHJTrmn2BsJK2aNmPN8Tfb826D2o9.z51";
  accepts(parsePasswordHash, [
    `$6$abc$${sha512}`,
    `$6$rounds=5000$abc$${sha512}`,
    "$5$abc$sCOGUciM.GdmYMCUvmUcgu03oRH87O0clF96.9mwWGB",
    "$2b$05$abcdefghijklmnopqrstuuhKF09ZYWwH2zP/0fwE1X8e/Q1YNx/hO",
  ]);
  const advice = "Make a hash with `openssl passwd -6` or `mkpasswd -m sha512crypt`.";
  const yescrypt = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X54UGYkEBFIXQxEYaOGqHmbX9bY9SHYGUa9Vh0UWmm3";
  refuses(parsePasswordHash, [
    ["", `is empty: anyone could log in. ${advice}`],
    ["hunter2", `is not a hash. A clear password does not belong in a file or on a command line. ${advice}`],
    [yescrypt, `is a yescrypt or scrypt hash, which Alpine's musl cannot check. ${advice}`],
    ["$1$abc$OGyl6dDvZCDiGmIVbeuCq/", `is an MD5 hash, which is broken. ${advice}`],
    ["$6$abc$short", `is a damaged hash: its length or an ingredient is wrong. ${advice}`],
    [`$6$abc$${sha512}:`, `is a damaged hash: its length or an ingredient is wrong. ${advice}`],
    ["*", "locks the account. Leave the key out: no hash means locked."],
    ["!", "locks the account. Leave the key out: no hash means locked."],
  ]);
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z0-9]{5,30}Q$/), (secret) => {
      assert.ok(!(complaint(parsePasswordHash(secret)) ?? secret).includes(secret));
    }),
  );
  assert.equal(shadowPassword({}), "*");
  assert.equal(shadowPassword({ passwordHash: "$6$a$b" }), "$6$a$b");
});

const ED25519 = "AAAAC3NzaC1lZDI1NTE5AAAAIA7XVgXmM2jsfH4nrM92MTPCPaO/QXxtggsPIcMROuGx";
const ECDSA =
  "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBI+FvIuqWvgopPSxvnl6N7NuK59QO4O37wYStlEGmJ5uhufct2Zf6QdEMNFkgovUZE7XORLXrwq10lPR3uZrEVg=";
const RSA =
  "AAAAB3NzaC1yc2EAAAADAQABAAABAQCxRQMoIlhr1kLkcb63RnP5RB/A9VnsdcoXmgwWFl7n1R4RzRuSntA8RdGmVZX4CzAiuINgq/iGRGWPfyeyLr4aBZhFpZ/o5YkSCWJfNMM8py0K64eECeVDXc7tIhNmlcuOC4PEZhGYFv1v58RWmJD+XswXKcNP5KaVTCWxVaNVZvt7vHy7USbZwQOLl8HAaJMI8+p3czcifxgnFMl9MNVxa3uu/ClY6foILugRHY441xXxLvkfzqZnWDokW0ZmfP3KxGr2Qug8rX1QReAhXt1px+Kk8Mo4AF3rp6bRNSSk/+BMVKg2IkVmhC8BnO/UjCwOo+gIfwPQAxvHMQ56lPGP";

test("an SSH key is whole and is what it says", () => {
  accepts(parseSshKey, [
    `ssh-ed25519 ${ED25519} alex@example.com`,
    `ssh-ed25519 ${ED25519}`,
    `ecdsa-sha2-nistp256 ${ECDSA} a b c\n`,
    `ssh-rsa ${RSA}`,
    `restrict,pty ssh-ed25519 ${ED25519}`,
    `from="10.0.0.0/8,!10.0.0.1",no-pty,command="echo \\"a b\\"" ssh-ed25519 ${ED25519} backup`,
    `cert-authority,principals="a,b"\tssh-rsa ${RSA}`,
  ]);
  const hint = 'Give the one line of a .pub file, for example "ssh-ed25519 AAAA... name".';
  refuses(parseSshKey, [
    ["", `is empty. ${hint}`],
    ["none", `begins with no type of key that firn knows. ${hint}`],
    ["ssh-ed25519", `has a type but no key. ${hint}`],
    [`ssh-ed25519 ${ED25519.slice(0, -1)}`, `is damaged: its second word is not base64. ${hint}`],
    [`ssh-ed25519 ${ED25519.slice(0, -4)}`, `is damaged: the key is cut off, or something follows it. ${hint}`],
    [`ssh-rsa ${RSA}AAAA`, `is damaged: the key is cut off, or something follows it. ${hint}`],
    [`ssh-rsa ${ED25519}`, `says "ssh-rsa" but holds "ssh-ed25519". ${hint}`],
    ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", `is damaged: a part of the key is missing. ${hint}`],
    [`no-pty ssh-ed25519 ${ED25519.slice(0, -1)}`, `is damaged: its second word is not base64. ${hint}`],
    [`from="10.0.0.0/8 ssh-ed25519 ${ED25519}`, `begins with no type of key that firn knows. ${hint}`],
    [`ssh-dss ${RSA}`, "is a DSA key, which OpenSSH no longer accepts. Make one with `ssh-keygen -t ed25519`."],
    [`ssh-ed25519 ${ED25519}\nssh-rsa ${RSA}`, `has more than one line. ${hint} Repeat for more keys.`],
    ["-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl", `is a private key, which must stay where it is. ${hint}`],
    ["https://example.com/a.keys", `"https://example.com/a.keys" is an address, not a key. ${hint}`],
  ]);
});

test("flavour, release and mirror are what the mirror’s folders are called", () => {
  accepts(parseFlavor, ["lts", "virt", "stable", "rpi"]);
  refuses(parseFlavor, [
    ["linux-lts", '"linux-lts" is a package. Write "lts".'],
    ["a/b", '"a/b" is not a kernel flavour. Write for example lts, virt or stable.'],
  ]);
  assert.deepEqual(parseMirror("https://example.org/alpine//"), "https://example.org/alpine");
  for (const text of ["", "example.org", "ftp://example.org", "https://", "https://a b", "https://a/#x"]) {
    assert.equal(
      complaint(parseMirror(text)),
      `${JSON.stringify(text)} is not a mirror. Write for example https://dl-cdn.alpinelinux.org/alpine.`,
    );
  }
});

test("a repository is an address or a folder above the architecture", () => {
  accepts(parseRepository, [
    "https://example.org/v3.20/main",
    "/srv/packages",
    "../shared/alpine/v3.19.1",
    "@edge http://example.org/x",
  ]);
  assert.deepEqual(parseRepository("/srv/packages/"), "/srv/packages");
  assert.deepEqual(parseRepository("@edge   http://example.org/x/"), "@edge http://example.org/x");
  const hint = "Write for example https://dl-cdn.alpinelinux.org/alpine/v3.20/main or /srv/packages.";
  refuses(parseRepository, [
    [" ", `is empty. ${hint}`],
    ["/a b", `"/a b" is not a repository. ${hint}`],
    ["git://example.org/x", `"git://example.org/x" is reached by "git", which firn does not speak. ${hint}`],
    ["/srv/p/x86_64", '"/srv/p/x86_64" names the architecture, which apk adds. Write "/srv/p".'],
    [
      "/srv/p/x86_64/APKINDEX.tar.gz",
      '"/srv/p/x86_64/APKINDEX.tar.gz" is an index. Name the folder above the architecture.',
    ],
  ]);
});

test("kernel parameters cannot break the menu or move the root", () => {
  assert.deepEqual(parseCmdline("  quiet   console=tty0 modules=nvme "), "quiet console=tty0 modules=nvme");
  assert.deepEqual(parseCmdline(""), "");
  accepts(parseCmdline, ["rootwait", "init=/bin/sh", "mitigations=off,nosmt"]);
  const broken = "would break the boot menu or the initramfs's reading of it. Leave it out.";
  refuses(parseCmdline, [
    ['a="b"', `contains " and ${broken}`],
    ["a='b'", `contains ' and ${broken}`],
    ["a=$(reboot)", `contains $ and ${broken}`],
    ["a\nb", 'contains "\\n". Write the parameters on one line, in ASCII.'],
    ["quiet root=/dev/sda2", "sets root. firn names the root by its UUID. Leave root out."],
    ["rootflags=subvol=x", "sets rootflags. firn names the slot there. Leave rootflags out."],
    ["rw", "sets rw. The root is always read-only. Leave rw out."],
    ["x".repeat(1537), "has 1537 characters. Use at most 1536: the kernel cuts the rest off."],
  ]);
});

test("a serial console is a port and a speed", () => {
  assert.deepEqual(parseSerial("ttyS0"), { port: "ttyS0", speed: 115200 });
  assert.deepEqual(parseSerial("ttyAMA0,57600n8"), { port: "ttyAMA0", speed: 57600 });
  assert.deepEqual(parseSerial("none"), "none");
  const hint = "Write for example ttyS0 or ttyS0,115200.";
  refuses(parseSerial, [
    ["/dev/ttyS0", '"/dev/ttyS0" is a path. Write "ttyS0".'],
    ["tty1", `"tty1" is not a serial console. ${hint}`],
    ["ttyS0,12345", `"ttyS0,12345" asks for a speed that Linux does not have. ${hint}`],
  ]);
});

test("compression is one that the boot loader reads", () => {
  accepts(parseCompression, ["zstd", "zstd:1", "zstd:15", "zlib", "zlib:9", "none"]);
  const hint = "Write zstd, zstd:1 to zstd:15, zlib, zlib:1 to zlib:9, or none.";
  refuses(parseCompression, [
    ["lzo", `lzo may leave a kernel that the boot loader cannot read. ${hint}`],
    ["zstd:16", `"zstd:16" is not a compression that firn uses. ${hint}`],
    ["gzip", `"gzip" is not a compression that firn uses. ${hint}`],
  ]);
});

test("services are added and taken out by runlevel, and the last word wins", () => {
  accepts(parseService, ["sshd", "!acpid", "net.eth0", "wpa_supplicant"]);
  for (const text of ["", "!", "../x", "a b", "-a"]) assert.ok(isRefusal(parseService(text)), text);
  assert.deepEqual(serviceChange(["a", "!b", "c", "!a", "b", "b"]), { add: ["c", "b"], remove: ["a"] });
  assert.deepEqual(parseServiceFlag("!boot/foo"), { runlevel: "boot", word: "!foo" });
  assert.deepEqual(parseServiceFlag("sshd"), { runlevel: "default", word: "sshd" });
  refuses(parseServiceFlag, [
    ["defualt/sshd", '"defualt" is not a runlevel. Did you mean default?'],
    ["nine/sshd", '"nine" is not a runlevel. Use one of sysinit, boot, default, shutdown.'],
  ]);
});
