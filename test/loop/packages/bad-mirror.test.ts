import assert from "node:assert/strict";
import {
  cpSync,
  linkSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { alpineMirror, fixtures, type Fixtures } from "../../fixtures/fixtures.ts";
import { attached, hashOf, sh } from "../../kit/disk.ts";
import { firn, type Ran } from "../../kit/firn.ts";
import { nothingLeft } from "../../kit/left.ts";
import { assertNoImage, assertRefused, assertUntouched, type Expected } from "../../kit/refused.ts";
import { requires } from "../../kit/requires.ts";
import { workFolder } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

/** A web server in a process of its own, because firn is waited for synchronously. */
const SERVER = `
const { createServer } = require("node:http"), { createReadStream, statSync } = require("node:fs");
createServer((request, response) => {
  const file = process.argv[1] + decodeURIComponent(request.url);
  try { if (!statSync(file).isFile()) throw 0; } catch { response.writeHead(404).end(); return; }
  createReadStream(file).pipe(response);
}).listen(0, "127.0.0.1", function () { console.log(this.address().port); });`;

describe("packages that cannot be had are refused, and no image is left", { skip }, () => {
  const work = workFolder("bad-mirror");
  const image = join(work, "new.img");
  const alpine = join(alpineMirror, "v3.19.1");
  const extras = join(alpineMirror, "extras");
  let stand: Fixtures;
  let server: ChildProcess | undefined;
  let url = "";

  before(async () => {
    stand = await fixtures();
    server = spawn(process.execPath, ["-e", SERVER, work], { stdio: ["ignore", "pipe", "inherit"] });
    url = await new Promise<string>((go) =>
      server?.stdout?.once("data", (port) => go(`http://127.0.0.1:${String(port).trim()}`)),
    );
  });
  after(() => server?.kill());
  afterEach(async () => {
    assertNoImage(image);
    await nothingLeft(image);
  });

  interface Wish {
    from?: readonly string[];
    keys?: string;
    flavor?: string;
    more?: readonly string[];
  }
  const run = ({ from = [alpine, extras, stand.v1], keys = stand.keysDir, flavor = "virt", more = [] }: Wish) =>
    firn([
      ...["image", image, "--size", "1G", ...from.flatMap((one) => ["-X", one]), "--keys-dir", keys],
      ...["--flavor", flavor, ...more],
    ]);
  const refuses = async (wish: Wish, expected: Expected): Promise<void> => assertUntouched(await run(wish), expected);
  /** What shows only while packages are being installed: the image is gone, and that is said. */
  async function removes(wish: Wish, expected: Expected): Promise<void> {
    const ran = await run(wish);
    assertRefused(ran, expected);
    assert.match(ran.stderr, new RegExp(`${image} was removed`));
    assert.doesNotMatch(ran.stderr, /Nothing was changed|What boots/);
  }

  /** A copy of a repository below `work`, with links to the packages. */
  function copyOf(source: string, name: string): string {
    const folder = join(work, name, "x86_64");
    mkdirSync(folder, { recursive: true });
    for (const file of readdirSync(join(source, "x86_64"))) {
      const [from, to] = [join(source, "x86_64", file), join(folder, file)];
      if (file.endsWith(".gz")) cpSync(from, to);
      else
        try {
          linkSync(from, to);
        } catch {
          symlinkSync(from, to);
        }
    }
    return join(work, name);
  }

  it("a mirror that nobody answers for", () =>
    refuses(
      { from: ["http://127.0.0.1:1/alpine", stand.v1] },
      { code: "E_MIRROR", message: /http:\/\/127\.0\.0\.1:1\/alpine/, hint: /network/ },
    ));

  it("a mirror that has no such folder", () =>
    refuses({ from: [alpine, `${url}/nowhere`] }, { code: "E_MIRROR", message: new RegExp(`${url}/nowhere`) }));

  it("a folder that is no repository", () =>
    refuses(
      { from: [alpine, work] },
      { code: "E_MIRROR", message: /x86_64\/APKINDEX\.tar\.gz/, hint: /folder for each architecture/ },
    ));

  it("a stale mirror: its index names a package that is not there", async () => {
    for (const [name, place] of [
      ["stale", (copy: string) => copy],
      ["stale-net", () => `${url}/stale-net`],
    ] as const) {
      const copy = copyOf(alpine, name);
      rmSync(join(copy, "x86_64/chrony-4.5-r0.apk"));
      const wish = { from: [place(copy), extras, stand.v1], more: ["--package", "chrony"] };
      await removes(wish, { code: "E_MIRROR_STALE", message: /chrony-4\.5-r0/, hint: /later|another mirror/ });
    }
  });

  it("an index that a stranger signed", () =>
    refuses(
      { from: [alpine, extras, stand.v1, stand.badsig] },
      { code: "E_SIGNATURE", message: /badsig.*not trusted/, hint: /--keys-dir/ },
    ));

  it("an index that was changed after it was signed", async () => {
    const copy = copyOf(stand.v1, "changed");
    const index = join(copy, "x86_64/APKINDEX.tar.gz");
    const last = statSync(index).size - 40;
    execFileSync("dd", [`of=${index}`, "bs=1", `seek=${last}`, "conv=notrunc", "status=none"], { input: "X" });
    await refuses({ from: [alpine, extras, copy] }, { code: "E_SIGNATURE", message: /changed.*(damaged|changed)/ });
  });

  it("keys of which none is in the folder, or none fits", async () => {
    const none = join(work, "no-keys");
    mkdirSync(none);
    await refuses(
      { keys: none },
      { code: "E_SIGNATURE", message: /no-keys: there is no public key/, hint: /--keys-dir/ },
    );
    writeFileSync(join(none, "other.rsa.pub"), "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n");
    await refuses(
      { keys: none },
      { code: "E_SIGNATURE", message: /not trusted.*other\.rsa\.pub/s, hint: /--keys-dir/ },
    );
  });

  it("a package that is not the one that the signed index names", async () => {
    const from = [alpine, extras, stand.v1, stand.tampered];
    for (const name of ["firn-test-swapped", "firn-test-damaged"])
      await removes(
        { from, more: ["--package", name] },
        { code: "E_SIGNATURE", message: new RegExp(name), hint: /mirror/ },
      );
  });

  it("before a disk is given up for them, packages in folders are looked at: it is not touched", async () => {
    const file = join(work, "disk.img");
    writeFileSync(file, "");
    truncateSync(file, 2 ** 30);
    sh("mkfs.ext4", "-q", "-L", "family", file);
    using disk = attached(file);
    const before = hashOf(file);
    const install = async (from: readonly string[], name: string): Promise<Ran> =>
      firn([
        ...["install", disk.device, "--yes", ...from.flatMap((one) => ["-X", one]), "--keys-dir", stand.keysDir],
        ...["--flavor", "virt", "--package", name],
      ]);
    const stale = await install([join(work, "stale"), extras, stand.v1], "chrony");
    assertUntouched(stale, { code: "E_MIRROR_STALE", message: /chrony-4\.5-r0/, hint: /another mirror/ });
    for (const name of ["firn-test-swapped", "firn-test-damaged"]) {
      const bad = await install([alpine, extras, stand.v1, stand.tampered], name);
      assertUntouched(bad, { code: "E_SIGNATURE", message: new RegExp(name), hint: /another mirror/ });
    }
    assert.equal(hashOf(file), before);
  });

  it("a package that does not exist: near names are offered", () =>
    refuses(
      { more: ["--package", "crony", "--package", "jqq"] },
      { code: "E_PACKAGE_MISSING", message: /crony.*jqq|jqq.*crony/, hint: /chrony.*jq|jq.*chrony/ },
    ));

  it("a kernel flavour that does not exist", () =>
    refuses({ flavor: "vrt" }, { code: "E_PACKAGE_MISSING", message: /linux-vrt/, hint: /linux-virt/ }));

  it("a kernel flavour that brings no vmlinuz", () =>
    removes(
      { flavor: "broken" },
      { code: "E_BOOT_FILES", message: /linux-broken.*\/boot\/vmlinuz-broken.*would not boot/, hint: /--flavor/ },
    ));

  it("a package whose script fails", () =>
    removes(
      { more: ["--package", "firn-test-failing-script"] },
      { code: "E_PACKAGE_SCRIPT", message: /firn-test-failing-script-1-r0: its post-install script exited/ },
    ));

  it("a service that no package brings", () =>
    removes({ more: ["--service", "sshdd"] }, { code: "E_CONFIG_VALUE", message: /sshdd/, hint: /package/ }));

  it("a user whose shell no package brings", async () => {
    const config = join(work, "shell.toml");
    writeFileSync(config, '[[identity.users]]\nname = "ann"\nshell = "/bin/zsh"\n');
    await removes(
      { more: ["--config", config] },
      { code: "E_CONFIG_VALUE", message: /The shell of ann, \/bin\/zsh, does not exist/, hint: /package/ },
    );
  });

  it("a time zone or keymap that its package does not know: near names are offered", async () => {
    await refuses(
      { more: ["--timezone", "Europe/Berln"] },
      { code: "E_TIMEZONE", message: /Europe\/Berln/, hint: /Europe\/Berlin/ },
    );
    await refuses(
      { more: ["--keymap", "de de-nodeadkey"] },
      { code: "E_KEYMAP", message: /de de-nodeadkey/, hint: /"de de-nodeadkeys"/ },
    );
  });

  it("rEFInd without a btrfs driver, or none at all", async () => {
    const dir = join(work, "refind");
    mkdirSync(dir);
    await refuses(
      { more: ["--refind", dir] },
      { code: "E_BOOT_LOADER", message: new RegExp(`refind_x64\\.efi.*${dir}`), hint: /--refind DIR/ },
    );
    cpSync("/usr/share/refind/refind/refind_x64.efi", join(dir, "refind_x64.efi"));
    await refuses(
      { more: ["--refind", dir] },
      { code: "E_BOOT_LOADER", message: /has no btrfs driver \(drivers_x64\/btrfs_x64\.efi\)/ },
    );
    await refuses({ more: ["--refind", join(dir, "no")] }, { code: "E_BOOT_LOADER", message: /no such directory/ });
  });

  it("another architecture", () =>
    refuses({ more: ["--arch", "aarch64"] }, { code: "E_ARCH", message: /x86_64.*aarch64/, hint: /machine/ }));
});
