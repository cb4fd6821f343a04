import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { buildPackage } from "../../../scripts/apk/package.ts";
import { writeIndex } from "../../../scripts/apk/index.ts";
import { createKey } from "../../../scripts/apk/sign.ts";
import { buildPackages, type Packages } from "../../../scripts/package.ts";
import { parseFirnToml } from "../../../src/model/machine/firn-toml.ts";
import { isRefusal } from "../../../src/model/problem.ts";
import { runWithMounts, unpackApk } from "../../fixtures/apk.ts";
import { alpineMirror } from "../../fixtures/fixtures.ts";
import { requires } from "../../kit/requires.ts";

const skip = requires("root", "loop", "mirror", "apt");

const program = resolve(import.meta.dirname, "../../../dist/firn");
const GENERATION = "20260101000000abcdefgh";

describe("firn's own packages, with Alpine's apk and base", { skip }, () => {
  let work: string;
  let top: string;
  /** The root of a generation on a volume, mounted as a booted system has it. */
  let root: string;
  let device: string | undefined;
  let made: Packages;
  let keys: string;
  let apk: readonly string[];

  before(async () => {
    work = mkdtempSync(join(tmpdir(), "firn-package-"));
    // A run of all tests builds the program first; a test file alone takes it as it is.
    made = await buildPackages(existsSync(program) ? { binary: program } : {});
    apk = unpackApk(join(work, "apk"));
    keys = join(work, "keys");
    mkdirSync(keys);
    for (const dir of [join(alpineMirror, "keys"), made.keysDir])
      for (const name of readdirSync(dir)) copyFileSync(join(dir, name), join(keys, name));
    volume();
  });
  after(() => {
    if (!work) return;
    for (const dir of [root, top]) spawnSync("umount", [dir]);
    if (device !== undefined) execFileSync("losetup", ["--detach", device]);
    execFileSync("rm", ["-rf", "--one-file-system", work]);
  });

  function volume(): void {
    const image = join(work, "volume.img");
    [top, root] = [join(work, "top"), join(work, "root")];
    for (const dir of [top, root]) mkdirSync(dir);
    writeFileSync(image, "");
    truncateSync(image, 2 ** 30);
    execFileSync("mkfs.btrfs", ["-q", "-L", "ROOT", image]);
    device = execFileSync("losetup", ["--find", "--show", image], { encoding: "utf8" }).trim();
    execFileSync("mount", ["-o", "subvolid=5", device, top]);
    for (const dir of ["next", "commons", "links/set", `snapshots/${GENERATION}`])
      mkdirSync(join(top, dir), { recursive: true });
    execFileSync("btrfs", ["-q", "subvolume", "create", join(top, "snapshots", GENERATION, "@")]);
    symlinkSync(`../../snapshots/${GENERATION}`, join(top, "links/set/0"));
    symlinkSync("./links/set", join(top, "current"));
    execFileSync("mount", ["-o", `subvol=/snapshots/${GENERATION}/@`, device, root]);
  }

  function run(target: string, keysDir: string, repositories: readonly string[], ...args: string[]) {
    const common = ["--root", target, "--arch", "x86_64", "--keys-dir", keysDir, "--repositories-file", "/dev/null"];
    const result = runWithMounts(target, [...apk, ...common, ...repositories.flatMap((one) => ["-X", one]), ...args]);
    return { code: result.status, talk: result.stdout + result.stderr };
  }

  const install = (...args: string[]) => run(root, keys, [`${alpineMirror}/v3.19.1`, made.repository], ...args);

  function chroot(script: string, target = root): string {
    const result = runWithMounts(target, ["chroot", target, "/bin/sh", "-c", script]);
    assert.equal(result.status, 0, `${script}: ${result.stdout}${result.stderr}`);
    return result.stdout + result.stderr;
  }

  it("install by name; the service comes by itself, because openrc is there, and nothing else does", () => {
    const added = install("add", "--initdb", "alpine-base", "firn");
    assert.equal(added.code, 0, added.talk);
    assert.doesNotMatch(added.talk, /ERROR|WARNING/);
    const names = chroot("apk info")
      .split("\n")
      .filter((name) => name.startsWith("firn"));
    assert.deepEqual(names.sort(), ["firn", "firn-openrc"]);
  });

  it("bring a program that runs beside Alpine's musl and says its version", () => {
    assert.equal(chroot("/usr/sbin/firn --version").trim(), made.version.replace(/-r\d+$/, ""));
    assert.equal(
      chroot("apk info --who-owns /usr/sbin/firn").trim(),
      `/usr/sbin/firn is owned by firn-${made.version}`,
    );
    assert.match(chroot("apk info --depends firn"), /depends on:\s*$/);
  });

  it("leave on disk exactly what the database says, owned by root", () => {
    const changed = chroot("apk audit --system; apk audit")
      .split("\n")
      .filter((line) => line.includes("firn"));
    assert.deepEqual(changed, []);
    for (const [path, mode] of [
      ["usr/sbin/firn", 0o100755],
      ["etc/init.d/firn", 0o100755],
      ["etc/firn/firn.toml", 0o100644],
    ] as const) {
      const stat = statSync(join(root, path));
      assert.deepEqual([stat.mode, stat.uid, stat.gid], [mode, 0, 0], path);
    }
    for (const name of readdirSync(join(made.repository, "x86_64")).filter((one) => one.endsWith(".apk"))) {
      const { code, talk } = run(root, made.keysDir, [], "verify", join(made.repository, "x86_64", name));
      assert.equal(code, 0, `${name}: ${talk}`);
    }
  });

  it("bring a firn.toml that firn reads and that an upgrade does not overwrite", async () => {
    const path = join(root, "etc/firn/firn.toml");
    const text = readFileSync(path, "utf8");
    assert.ok(!isRefusal(parseFirnToml(text)));
    writeFileSync(path, text.replace("keep-count = 10", "keep-count = 3"));
    const next = join(work, "next");
    const signer = createKey(join(work, "signer"), "next", { bits: 2048 });
    writeFileSync(join(keys, signer.keyName), signer.publicKey);
    const record = await buildPackage(
      {
        name: "firn",
        version: "99-r0",
        description: "A later firn",
        entries: [{ type: "file", path: "etc/firn/firn.toml", source: { bytes: Buffer.from("# new\n") } }],
      },
      join(next, "x86_64"),
      signer,
    );
    writeIndex(join(next, "x86_64"), [record], signer, "next");
    const upgraded = run(root, keys, [next], "add", "firn=99-r0");
    assert.equal(upgraded.code, 0, upgraded.talk);
    assert.match(readFileSync(path, "utf8"), /keep-count = 3/);
    assert.equal(readFileSync(`${path}.apk-new`, "utf8"), "# new\n");
    const back = install("add", `firn=${made.version}`);
    assert.equal(back.code, 0, back.talk);
    assert.match(chroot("apk info"), /^firn-openrc$/m);
  });

  const record = () => {
    const file = join(top, "snapshots", GENERATION, "generation.json");
    return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { verdict?: string }) : {};
  };
  // What `openrc sysinit` leaves: OpenRC's own state, without which no service starts.
  const booted = "mkdir -p /run/openrc && echo default >/run/openrc/softlevel && rc-status >/dev/null 2>&1";

  it("have a service that is the last of its runlevel", () => {
    chroot("rc-update add crond default && rc-update add local default && rc-update add firn default");
    const order = chroot(`${booted}; /lib/rc/bin/rc-depend -t ineed -t iuse -t iafter firn local crond`);
    assert.equal(order.trim().split(" ").at(-1), "firn", order);
  });

  it("have a service that notes, without a word, that the booted generation works", () => {
    assert.equal(record().verdict, undefined);
    const talk = chroot(`${booted}; rc-service firn start && rc-service --quiet firn status >/dev/null`);
    assert.equal(talk.trim(), "");
    assert.equal(record().verdict, "good");
  });

  it("have a service that never fails a boot, but says why it could not note anything", () => {
    const talk = chroot(
      `${booted}; rc-service firn zap; mv /usr/sbin/firn /usr/sbin/gone; rc-service firn start; code=$?; mv /usr/sbin/gone /usr/sbin/firn; exit $code`,
    );
    assert.match(talk, /firn could not note that this generation works/);
  });

  it("have a service that keeps quiet on a system that runs from no generation", () => {
    const plain = join(work, "plain");
    execFileSync("cp", ["-a", "--one-file-system", root, plain]);
    const talk = chroot(`${booted}; rc-service firn zap >/dev/null; rc-service firn start`, plain);
    assert.equal(talk.trim(), "");
  });

  it("bring man pages that a pager can show", () => {
    const added = install("add", "firn-doc");
    assert.equal(added.code, 0, added.talk);
    for (const [page, title] of [
      ["man8/firn.8", "FIRN 8"],
      ["man5/firn.toml.5", "FIRN.TOML 5"],
      ["man5/machine.toml.5", "MACHINE.TOML 5"],
    ] as const) {
      const file = join(root, "usr/share/man", `${page}.gz`);
      assert.match(gunzipSync(readFileSync(file)).toString(), new RegExp(`^\\.Dt ${title}$`, "m"));
      const shown = spawnSync("man", ["-l", file], {
        encoding: "utf8",
        env: { ...process.env, MANWIDTH: "80", PAGER: "cat" },
      });
      if (shown.error !== undefined) continue;
      assert.equal(shown.status, 0, shown.stderr);
      assert.match(shown.stdout, /^NAME$/m);
    }
  });

  it("bring each completion when its shell is there", async () => {
    const shells = join(work, "shells");
    const signer = createKey(join(work, "signer"), "shells", { bits: 2048 });
    writeFileSync(join(keys, signer.keyName), signer.publicKey);
    const records = [];
    for (const name of ["bash-completion", "zsh", "fish", "docs"])
      records.push(
        await buildPackage(
          { name, version: "1-r0", description: "Stands in for a shell", entries: [] },
          join(shells, "x86_64"),
          signer,
        ),
      );
    writeIndex(join(shells, "x86_64"), records, signer, "shells");
    const target = join(work, "completed");
    const names = records.map(({ name }) => name);
    const added = run(target, keys, [shells, made.repository], "add", "--initdb", "firn", ...names);
    assert.equal(added.code, 0, added.talk);
    for (const path of [
      "usr/share/bash-completion/completions/firn",
      "usr/share/zsh/site-functions/_firn",
      "usr/share/fish/vendor_completions.d/firn.fish",
      "usr/share/man/man8/firn.8.gz",
    ])
      assert.ok(existsSync(join(target, path)), path);
    assert.ok(!existsSync(join(target, "etc/init.d/firn")), "the service without openrc");
  });

  it("are refused without their key", () => {
    const target = join(work, "stranger");
    const { code, talk } = run(target, join(alpineMirror, "keys"), [made.repository], "add", "--initdb", "firn");
    assert.notEqual(code, 0);
    assert.match(talk, /UNTRUSTED signature/);
    assert.ok(!existsSync(join(target, "usr/sbin/firn")));
  });

  it("are the same bytes when they are made again, and signed by the key that was asked for", async () => {
    const signer = createKey(join(work, "signer"), "release", { bits: 2048 });
    const options = { binary: join(root, "usr/sbin/firn"), keyFile: join(work, "signer/release.rsa") };
    const files = (dir: string) =>
      readdirSync(dir, { recursive: true, withFileTypes: true })
        .filter((one) => one.isFile())
        .map((one) => join(one.parentPath, one.name))
        .sort();
    const bytes = (dir: string) => files(dir).map((file) => [file.slice(dir.length), readFileSync(file, "base64")]);
    const first = await buildPackages({ ...options, outDir: join(work, "first") });
    const cached = process.env["FIRN_CACHE"];
    process.env["FIRN_CACHE"] = join(work, "cache");
    try {
      const second = await buildPackages({ ...options, outDir: join(work, "second") });
      assert.deepEqual(bytes(first.repository), bytes(second.repository));
    } finally {
      if (cached === undefined) delete process.env["FIRN_CACHE"];
      else process.env["FIRN_CACHE"] = cached;
    }
    assert.equal(first.publicKey, join(work, "first/keys", signer.keyName));
    const target = join(work, "released");
    const added = run(target, first.keysDir, [first.repository], "add", "--initdb", "firn");
    assert.equal(added.code, 0, added.talk);
  });
});
