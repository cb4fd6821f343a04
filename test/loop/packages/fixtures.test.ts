import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { buildPackage } from "../../../scripts/apk/package.ts";
import { createKey } from "../../../scripts/apk/sign.ts";
import { runWithMounts, unpackApk } from "../../fixtures/apk.ts";
import type { Fixtures } from "../../fixtures/fixtures.ts";
import { alpineMirror, exportFixtures, fixtures } from "../../fixtures/fixtures.ts";
import { requires } from "../../kit/requires.ts";

const skip = requires("root", "mirror", "apt");

describe("the stand-ins, with Alpine's own apk and base", { skip }, () => {
  let work: string;
  let root: string;
  let made: Fixtures;
  let apk: readonly string[];

  before(async () => {
    work = mkdtempSync(join(tmpdir(), "firn-fixtures-"));
    root = join(work, "root");
    made = await fixtures();
    apk = unpackApk(join(work, "apk"));
  });
  // `root` holds mounts in namespaces that are gone by now; --one-file-system for the day that is not so.
  after(() => work && execFileSync("rm", ["-rf", "--one-file-system", work]));

  function run(repositories: readonly string[], ...args: string[]) {
    const sources = [`${alpineMirror}/v3.19.1`, ...repositories].flatMap((one) => ["-X", one]);
    const common = ["--root", root, "--arch", "x86_64", "--keys-dir", made.keysDir, "--repositories-file", "/dev/null"];
    const result = runWithMounts(root, [...apk, ...common, ...sources, ...args]);
    return { code: result.status, talk: result.stdout + result.stderr };
  }

  function chroot(...argv: string[]): string {
    const result = spawnSync("chroot", [root, ...argv], {
      encoding: "utf8",
      env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" },
    });
    assert.equal(result.status, 0, `${argv.join(" ")}: ${result.stderr}`);
    return result.stdout;
  }

  /** Names in an initramfs, through the chroot's own busybox. */
  function inInitramfs(flavor: string): string[] {
    return chroot("sh", "-c", `zcat /boot/initramfs-${flavor} | cpio -t 2>/dev/null`).split("\n");
  }

  it("install with every script run, and leave a kernel with an initramfs that matches it", () => {
    const added = run([made.v1], "add", "--initdb", "alpine-base", "mkinitfs", "btrfs-progs", "mtools", "refind");
    assert.equal(added.code, 0, added.talk);
    assert.doesNotMatch(added.talk, /ERROR|WARNING/);
    writeFileSync(join(root, "etc/mkinitfs/mkinitfs.conf"), 'features="ata base scsi virtio btrfs"\n');
    const kernel = run([made.v1], "add", "linux-virt");
    assert.equal(kernel.code, 0, kernel.talk);
    assert.match(kernel.talk, /Executing mkinitfs-.*\.trigger/);
    const { release, version } = made.kernels.v1;
    assert.match(run([], "list", "--installed", "linux-virt").talk, new RegExp(`linux-virt-${version}`));
    assert.equal(readFileSync(join(root, "boot/vmlinuz-virt")).subarray(0, 2).toString(), "MZ");
    assert.equal(readFileSync(join(root, "usr/share/kernel/virt/kernel.release"), "utf8").trim(), release);
    const names = inInitramfs("virt");
    for (const name of [
      "init",
      "bin/busybox",
      "sbin/btrfs",
      `lib/modules/${release}/modules.dep`,
      `lib/modules/${release}/kernel/fs/btrfs/btrfs.ko`,
      `lib/modules/${release}/kernel/drivers/block/virtio_blk.ko`,
    ])
      assert.ok(names.includes(name), `${name} in the initramfs`);
  });

  it("write an initramfs without holes, which rEFInd could not read", () => {
    const { size, blocks } = statSync(join(root, "boot/initramfs-virt"));
    assert.ok(blocks * 512 >= size, `${size} bytes in ${blocks} blocks`);
  });

  it("bring programs that run beside Alpine's musl", () => {
    assert.match(chroot("btrfs", "--version"), /^btrfs-progs v\d/);
    assert.match(chroot("mkfs.btrfs", "--version"), /btrfs-progs v\d/);
    assert.match(chroot("mtools", "--version"), /^mtools/);
    chroot("mformat", "-C", "-i", "/tmp/esp", "-F", "-T", "131072", "::");
    chroot("mcopy", "-i", "/tmp/esp", "/etc/alpine-release", "::/release.txt");
    assert.equal(chroot("mtype", "-i", "/tmp/esp", "::/release.txt"), "3.19.1\n");
    const driver = readFileSync(join(root, "usr/share/refind/drivers_x86_64/btrfs_x64.efi"));
    assert.equal(driver.subarray(0, 2).toString(), "MZ");
  });

  it("honour the configuration: features, disable_trigger, -F and -o", () => {
    chroot("mkinitfs", "-F", "base", "-o", "/tmp/small", made.kernels.v1.release);
    assert.ok(statSync(join(root, "tmp/small")).size < statSync(join(root, "boot/initramfs-virt")).size / 2);
    const conf = join(root, "etc/mkinitfs/mkinitfs.conf");
    const before = statSync(join(root, "boot/initramfs-virt")).mtimeMs;
    appendFileSync(conf, "disable_trigger=yes\n");
    const fixed = run([made.v1], "fix", "linux-virt");
    assert.equal(fixed.code, 0, fixed.talk);
    assert.equal(statSync(join(root, "boot/initramfs-virt")).mtimeMs, before);
    writeFileSync(conf, readFileSync(conf, "utf8").replace("disable_trigger=yes\n", ""));
    const unknown = spawnSync("chroot", [root, "/sbin/mkinitfs", "-o", "/tmp/none", "0.0.0-none"], {
      encoding: "utf8",
    });
    assert.notEqual(unknown.status, 0);
    assert.ok(!existsSync(join(root, "tmp/none")));
  });

  it("upgrade from v1 to v2: a new kernel with its own initramfs, and .apk-new for what was edited", () => {
    const added = run([made.v1], "add", "firn-test-conf", "firn-test-service");
    assert.equal(added.code, 0, added.talk);
    appendFileSync(join(root, "etc/firn-test.conf"), "edited = yes\n");
    const program = readFileSync(join(root, "usr/bin/firn-test-daemon"));
    const upgraded = run([made.v1, made.v2], "upgrade");
    assert.equal(upgraded.code, 0, upgraded.talk);
    const { release, version } = made.kernels.v2;
    assert.match(upgraded.talk, new RegExp(`Upgrading linux-virt \\(${made.kernels.v1.version} -> ${version}\\)`));
    assert.ok(existsSync(join(root, "lib/modules", release, "kernel")));
    assert.ok(!existsSync(join(root, "lib/modules", made.kernels.v1.release, "kernel")));
    assert.ok(inInitramfs("virt").includes(`lib/modules/${release}/kernel/fs/btrfs/btrfs.ko`));
    assert.match(readFileSync(join(root, "etc/firn-test.conf"), "utf8"), /^version = 1$[^]*edited/m);
    assert.match(readFileSync(join(root, "etc/firn-test.conf.apk-new"), "utf8"), /^version = 2$/m);
    assert.notDeepEqual(readFileSync(join(root, "usr/bin/firn-test-daemon")), program);
  });

  it("fail where they are made to fail", () => {
    const broken = run([made.v1], "add", "linux-broken");
    assert.equal(broken.code, 0, broken.talk);
    assert.ok(existsSync(join(root, "boot/initramfs-broken")));
    assert.ok(!existsSync(join(root, "boot/vmlinuz-broken")));
    for (const name of ["firn-test-failing-script", "firn-test-failing-pre-install"]) {
      const failing = run([made.v1], "add", name);
      assert.notEqual(failing.code, 0, name);
      assert.match(failing.talk, /script exited with error 1/);
      run([made.v1], "del", name);
    }
  });

  it("refuse a stranger: an index signed by an unknown key offers nothing", () => {
    const { code, talk } = run([made.badsig], "add", "firn-test-badsig");
    assert.notEqual(code, 0);
    assert.match(talk, /UNTRUSTED signature/);
    assert.ok(!existsSync(join(root, "usr/share/firn-test/firn-test-badsig")));
  });

  it("refuse what was tampered with: packages that are not what the index says", () => {
    for (const name of ["firn-test-swapped", "firn-test-damaged"]) {
      const { code, talk } = run([made.tampered], "add", name);
      assert.notEqual(code, 0, talk);
      assert.match(talk, /ERROR/);
      assert.ok(!existsSync(join(root, "usr/share/firn-test", name)), `${name} was installed`);
      run([], "del", name);
    }
  });

  it("carry signatures of their own that apk verifies, in both schemes, and only with the key", async () => {
    const signed = join(work, "signed");
    const keys = join(signed, "keys");
    const strangers = join(signed, "strangers");
    for (const scheme of ["RSA", "RSA256"] as const) {
      const signer = createKey(join(signed, scheme), `loop-${scheme}`, { bits: 2048, scheme });
      const stranger = createKey(join(signed, "other", scheme), `loop-${scheme}`, { bits: 2048 });
      for (const [dir, key] of [
        [keys, signer],
        [strangers, stranger],
      ] as const) {
        mkdirSync(dir, { recursive: true });
        writeFileSync(join(dir, key.keyName), key.publicKey);
      }
      const record = await buildPackage(
        { name: "signed", version: "1-r0", description: "For tests", entries: [] },
        join(signed, scheme),
        signer,
      );
      const verify = (keysDir: string) => {
        const [program, ...args] = apk;
        const file = join(signed, scheme, record.file);
        return spawnSync(program!, [...args, "--root", root, "--keys-dir", keysDir, "verify", file], {
          encoding: "utf8",
        });
      };
      const good = verify(keys);
      assert.equal(good.status, 0, good.stdout + good.stderr);
      assert.notEqual(verify(strangers).status, 0);
    }
  });

  it("are there for anyone: an exported folder is a repository", async () => {
    const target = join(work, "exported");
    mkdirSync(target);
    const { all, keysDir, publicKey } = await exportFixtures(target);
    assert.ok(existsSync(publicKey));
    const fresh = join(work, "fresh");
    const args = [
      "--root",
      fresh,
      "--arch",
      "x86_64",
      "--keys-dir",
      keysDir,
      "--repositories-file",
      "/dev/null",
      "-X",
      all,
    ];
    const added = runWithMounts(fresh, [...apk, ...args, "add", "--initdb", "refind", "linux-firmware-none"]);
    assert.equal(added.status, 0, added.stderr);
    rmSync(join(fresh, "usr/share/refind/refind_x64.efi"));
  });
});
