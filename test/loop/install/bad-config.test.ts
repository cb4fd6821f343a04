import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { exitCodes } from "../../../src/model/problem.ts";
import { firn } from "../../kit/firn.ts";
import { nothingLeft } from "../../kit/left.ts";
import { assertNoImage, assertUntouched, type Expected } from "../../kit/refused.ts";
import { requires } from "../../kit/requires.ts";
import { workFolder } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

describe("a wish that makes no sense is refused before anything is looked at", { skip }, () => {
  const work = workFolder("bad-config");
  const image = join(work, "new.img");
  /** Were it ever looked at, the error would be another. */
  const flags = ["-X", "/nowhere"];

  async function refuses(more: readonly string[], expected: Expected): Promise<void> {
    assertUntouched(await firn(["image", image, "--size", "1G", ...flags, ...more]), expected);
    assertNoImage(image);
    await nothingLeft(image);
  }
  async function refusesFile(toml: string, expected: Expected): Promise<void> {
    const file = join(work, "machine.toml");
    writeFileSync(file, toml);
    await refuses(["--config", file], expected);
  }

  const values: readonly (readonly [flags: readonly string[], message: RegExp, hint: RegExp])[] = [
    [["--hostname", "my_host"], /^--hostname: "my_host" contains "_"/, /a-z/],
    [["--hostname", "Snow"], /^--hostname: "Snow" has capital letters/, /"snow"/],
    [["--hostname=-x"], /^--hostname: "-x"/, /letter/],
    [["--user", "Alex"], /^--user: "Alex" is not a user name/, /a-z/],
    [["--user", "root"], /^--user: "root" exists/, /password/],
    [["--user", "daemon"], /^--user: "daemon" is an account/, /another name/],
    [["--user", "alex", "--ssh-key", "ssh-ed25519 AAAA"], /^--ssh-key|^--user: /, /./],
    [["--timezone", "../etc/passwd"], /^--timezone: /, /Europe\/Berlin/],
    [["--keymap", "de/../x"], /^--keymap: "de\/\.\.\/x" is not a keymap/, /us us/],
    [["--common", "var/lib/docker"], /^--common: "var\/lib\/docker" is relative/, /\/var\/lib\/docker/],
    [["--common", "/srv/../etc"], /^--common: "\/srv\/\.\.\/etc" contains "\.\."/, /meant/],
    [["--common", "/etc/ssh"], /^--common: "\/etc\/ssh" belongs to the root/, /another/],
    [["--common", "/usr"], /^--common: "\/usr" belongs to the root/, /another/],
    [["--common", "/home/alex"], /^--common: "\/home\/alex" is shared already/, /Leave it out/],
    [
      ["--common", "/opt", "--common", "/opt/x"],
      /^--common: "\/opt\/x" is shared already, because \/opt/,
      /Leave it out/,
    ],
    [["--slots", "0"], /^--slots: /, /./],
    [["--esp-size", "1M"], /^--esp-size: 1 ?M\S* is too small for FAT32/, /33/],
    [["--swap-size", "much"], /^--swap-size: "much"/, /./],
    [["--compression", "lzo"], /^--compression: /, /zstd/],
    [["--cmdline", "root=/dev/sda"], /^--cmdline: /, /./],
    [["--serial", "tty S0"], /^--serial: /, /ttyS0/],
    [["--release", "3.20.1.2.3"], /^--release: /, /v3\./],
    [["--service", "bot/foo"], /^--service: "bot" is not a runlevel/, /boot/],
    [["--interface", "eth0=10.0.0.300/24"], /^--interface: /, /./],
    [["--dns", "one.one"], /^--dns: /, /./],
    [["--arch", "riscv64"], /^--arch: /, /x86_64/],
    [["--root-password-hash", "secret"], /^--root-password-hash: is not a hash/, /openssl passwd -6/],
  ];
  for (const [more, message, hint] of values)
    it(more.join(" "), () => refuses(more, { code: "E_CONFIG_VALUE", message, hint }));

  it("a password never appears in the complaint about it", async () => {
    const ran = await firn(["image", image, "--size", "1G", "--root-password-hash", "hunter2"]);
    assert.equal(ran.status, exitCodes.E_CONFIG_VALUE);
    assert.doesNotMatch(ran.stderr, /hunter2/);
  });

  it("a file that is no public key is refused, and nothing of what it holds is repeated", async () => {
    const secret = "b3BlbnNzaC1rZXktdjEAAAAA";
    for (const [text, message] of [
      [`-----BEGIN OPENSSH PRIVATE KEY-----\n${secret}\n`, /id: this is a private key/],
      [`root:$6$${secret}:19000::::::\n${secret}:x\n`, /id: a line of this file is no public key/],
      [`ssh-ed25519 ${secret}\n`, /id: a line of this file is no public key/],
      ["# none\n", /id: there is no key/],
    ] as const) {
      writeFileSync(join(work, "id"), text);
      await refuses(["--ssh-key", join(work, "id")], { code: "E_CONFIG_FILE", message, hint: /\.pub/ });
      const ran = await firn(["image", image, "--size", "1G", ...flags, "--ssh-key", join(work, "id")]);
      assert.ok(!ran.stderr.includes(secret), ran.stderr);
    }
    const missing = { code: "E_CONFIG_FILE", message: /^--ssh-key: nosuch: there is no such file/ } as const;
    await refuses(["--ssh-key", "nosuch"], missing);
    await refusesFile(`[identity]\nroot = { password-hash = "$6$${secret} }\n`, {
      code: "E_CONFIG_SYNTAX",
      message: /machine\.toml:2:\d+: (?!.*b3Blb)/s,
    });
  });

  it("a configuration file that is not there", () =>
    refuses(["--config", join(work, "none.toml")], {
      code: "E_CONFIG_FILE",
      message: /none\.toml: no such file/,
      hint: /firn config --example/,
    }));

  it("a TOML syntax error has its line and column", () =>
    refusesFile('[disk]\nslots = 4\n[identity]\nhostname = "snow\n', {
      code: "E_CONFIG_SYNTAX",
      message: /machine\.toml:4:\d+: /,
      hint: /hostname = "snow/,
    }));

  it("an unknown key names the nearest one, also in another section", async () => {
    await refusesFile("[disk]\nslot = 4\n", {
      code: "E_CONFIG_KEY",
      message: /machine\.toml: disk\.slot: unknown key/,
      hint: /disk\.slots/,
    });
    await refusesFile('[disk]\nhostname = "x"\n', {
      code: "E_CONFIG_KEY",
      message: /disk\.hostname/,
      hint: /identity\.hostname/,
    });
    await refusesFile("[disc]\nslots = 4\n", { code: "E_CONFIG_KEY", message: /disc: unknown key/, hint: /disk/ });
  });

  it("a value of another type, and several faults at once, each by its name", async () => {
    await refusesFile('[disk]\nslots = "four"\n', {
      code: "E_CONFIG_VALUE",
      message: /disk\.slots: expected a number, found/,
    });
    const several = '[disk]\nslots = 99\nesp = "1G"\n[identity]\nhostname = "A_B"\n[[identity.users]]\nname = "0"\n';
    await refusesFile(several, {
      code: "E_CONFIG_KEY",
      message:
        /has 4 problems.*disk\.esp: .*disk\.esp-size.*disk\.slots: .*identity\.hostname: .*identity\.users\[0\]\.name: /s,
    });
  });

  it("with --json the same comes as one object on stdout, with code, message, hint and effect", async () => {
    const ran = await firn(["image", image, "--size", "1G", "--json", ...flags, "--hostname", "my_host"]);
    assert.equal(ran.status, exitCodes.E_CONFIG_VALUE);
    assert.equal(ran.stderr, "");
    const { error } = JSON.parse(ran.stdout) as { error: Record<string, string> };
    assert.deepEqual(Object.keys(error), ["code", "message", "hint", "effect"]);
    assert.equal(error["code"], "E_CONFIG_VALUE");
    assert.equal(error["effect"], "nothing changed");
  });

  it("a command or flag that firn does not know, a missing argument: exit code 2, and the near name", async () => {
    for (const [args, message] of [
      [["instal", "/dev/null"], /install/],
      [["image", image, "--sise", "1G"], /--size/],
      [["image", "--size", "1G"], /FILE/],
      [["install"], /DISK/],
      [["commons", "ad"], /add/],
    ] as const) {
      const ran = await firn(args);
      assert.equal(ran.status, exitCodes.E_USAGE, `${args.join(" ")}: ${ran.stderr}`);
      assert.match(ran.stderr, message);
      assert.doesNotMatch(ran.stderr, /at .*\.ts|undefined/);
      assertNoImage(image);
    }
  });

  it("each code has an exit code of its own", () => {
    const codes = Object.values(exitCodes);
    assert.equal(new Set(codes).size, codes.length);
    assert.ok(codes.every((code) => (code > 0 && code < 128) || code === 130));
    const said = readFileSync(join(import.meta.dirname, "../../../src/model/problem.ts"), "utf8");
    assert.ok(said.includes("E_INTERRUPTED: 130"));
  });
});
