import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readFileSync, readdirSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { alpineMirror, fixtures, type Fixtures } from "../../fixtures/fixtures.ts";
import { espIn, fatFile, partitions, sh, withVolume } from "../../kit/disk.ts";
import { firn } from "../../kit/firn.ts";
import { PASSWORD_HASH } from "../../kit/image.ts";
import { nothingLeft } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { workFolder } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

const MiB = 2 ** 20;
const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA7XVgXmM2jsfH4nrM92MTPCPaO/QXxtggsPIcMROuGx alex@example.com";

/** What differs between any two installations: ids, keys, and archives that hold the time of their making. */
const UNIQUE = /^\/(etc\/(machine-id|fstab|ssh\/ssh_host_.*)|boot\/initramfs-.*|lib\/apk\/db\/scripts\.tar)$/;

/** Every file of a tree: path, mode, owner, and content or target. */
function manifest(root: string, folder = ""): string[] {
  return readdirSync(join(root, folder)).flatMap((name) => {
    const path = `${folder}/${name}`;
    const stat = lstatSync(join(root, path));
    const head = `${path} ${stat.mode.toString(8)} ${stat.uid}:${stat.gid}`;
    if (stat.isDirectory()) return [head, ...manifest(root, path)];
    if (stat.isSymbolicLink()) return [`${head} -> ${readlinkSync(join(root, path))}`];
    if (!stat.isFile() || UNIQUE.test(path)) return [head];
    // A date in days: two runs around midnight would differ.
    const bytes = readFileSync(join(root, path), "latin1");
    const content = path === "/etc/shadow" ? bytes.replace(/^([^:]*:[^:]*:)\d+/gm, "$1") : bytes;
    return [`${head} ${createHash("sha256").update(content, "latin1").digest("hex")}`];
  });
}

const rootOf = (top: string): string => join(top, "current/0/@");

describe("the wishes of an installation", { skip }, () => {
  const work = workFolder("options");
  const byFlags = join(work, "flags.img");
  let stand: Fixtures;
  let repositories: string[];
  let flags: string[];
  let answer: Record<string, unknown>;
  const inRoot = <T>(use: (at: (path: string) => string, read: (path: string) => string) => T): T =>
    withVolume(byFlags, work, (top) =>
      use(
        (path) => join(rootOf(top), path),
        (path) => readFileSync(join(rootOf(top), path), "utf8"),
      ),
    );

  before(async () => {
    stand = await fixtures();
    repositories = [join(alpineMirror, "v3.19.1"), join(alpineMirror, "extras"), stand.v1];
    const keyFile = join(work, "id.pub");
    writeFileSync(keyFile, `# a comment\n${KEY}\n`);
    flags = [
      ...[...repositories.flatMap((one) => ["-X", one]), "--keys-dir", stand.keysDir, "--flavor", "virt"],
      ...["--hostname", "firn.example.org", "--timezone", "Europe/Berlin", "--keymap", "de de-nodeadkeys"],
      ...["--user", "alex", "--ssh-key", keyFile, "--slots", "2", "--swap-size", "64M", "--esp-size", "64M"],
      ...["--common", "/var/lib/docker", "--compression", "zlib", "--package", "jq", "--cmdline", "panic=10"],
      ...["--interface", "eth0=192.0.2.10/24,192.0.2.1", "--dns", "192.0.2.53", "--search", "example.org"],
      ...["--service", "!acpid", "--root-password-hash", PASSWORD_HASH],
    ];
    const made = await firn(["image", byFlags, "--size", "1G", "--json", ...flags]);
    assert.equal(made.status, 0, made.stdout);
    assert.equal(made.stderr, "");
    answer = JSON.parse(made.stdout) as Record<string, unknown>;
    assert.equal(made.stdout.trimEnd().split("\n").length, 1);
  });

  it("--json gives one object, and nothing on stderr", () => {
    const { generation, kernel, ...rest } = answer;
    assert.match(String(generation), /^\d{14}\w{8}$/);
    assert.match(String(kernel), /^6\.1\./);
    assert.deepEqual(rest, {
      ...{ path: byFlags, release: "3.19.1", bootEntry: { status: "skipped", reason: "an image" }, slots: 2 },
      ...{ hostname: "firn.example.org", logins: ["root, by password", "alex, by SSH key"], unset: [] },
    });
  });

  it("machine.toml says the same as the flags, and a flag wins over it", async () => {
    const file = join(work, "machine.toml");
    writeFileSync(
      file,
      `[disk]
size = "1G"
esp-size = "64M"
swap-size = "64M"
slots = 2
compression = "zlib"
commons = ["/var/lib/docker"]
[system]
repositories = ${JSON.stringify(repositories)}
keys-dir = ${JSON.stringify(stand.keysDir)}
flavor = "virt"
packages = ["jq"]
cmdline = "quiet"
[identity]
hostname = "another"
timezone = "Europe/Berlin"
keymap = "de de-nodeadkeys"
[identity.root]
password-hash = "${PASSWORD_HASH}"
[[identity.users]]
name = "alex"
ssh-keys = ["${KEY}"]
[network]
dns = ["192.0.2.53"]
search = ["example.org"]
[[network.interfaces]]
name = "eth0"
method = "static"
addresses = ["192.0.2.10/24"]
gateways = ["192.0.2.1"]
[services]
default = ["!acpid"]
`,
    );
    const image = join(work, "toml.img");
    const over = ["--hostname", "firn.example.org", "--cmdline", "panic=10"];
    const made = await firn(["image", image, "--config", file, ...over]);
    assert.equal(made.status, 0, made.stderr);
    assert.deepEqual(
      partitions(image).map(({ guid: _, ...rest }) => rest),
      partitions(byFlags).map(({ guid: _, ...rest }) => rest),
    );
    const trees = [byFlags, image].map((one) =>
      withVolume(one, work, (top) => [
        ...manifest(rootOf(top)),
        ...["@var@lib", "@var@tmp", "@home", "@root", "@var@lib@docker"].flatMap((name) => [
          name,
          ...manifest(join(top, "commons", name)),
        ]),
      ]),
    );
    assert.ok((trees[0]?.length ?? 0) > 1000);
    const [one, other] = trees.map((lines) => new Set(lines));
    assert.deepEqual(
      [...(one ?? [])].filter((line) => !other?.has(line)),
      [],
    );
    assert.deepEqual(
      [...(other ?? [])].filter((line) => !one?.has(line)),
      [],
    );
    const menus = [byFlags, image].map((one) =>
      fatFile(espIn(one), "EFI/BOOT/refind.conf")
        .toString()
        .replaceAll(/volume \S+|UUID=\S+/g, ""),
    );
    assert.equal(menus[1], menus[0]);
  });

  it("--slots, --esp-size, --swap-size: two entries and two links, and a swap partition that fstab mounts", () => {
    const [esp, root, swap, ...rest] = partitions(byFlags);
    assert.deepEqual([esp?.bytes, swap?.name, swap?.code, swap?.bytes], [64 * MiB, "SWAP", "8200", 64 * MiB]);
    assert.equal(rest.length, 0);
    assert.equal(swap?.startByte, (root?.startByte ?? 0) + (root?.bytes ?? 0));
    assert.equal((swap?.startByte ?? 1) % MiB, 0);
    const conf = fatFile(espIn(byFlags), "EFI/BOOT/refind.conf").toString();
    assert.equal([...conf.matchAll(/^menuentry /gm)].length, 2);
    assert.match(conf, /nvme panic=10"/);
    const head = sh("dd", `if=${byFlags}`, "bs=1M", `skip=${(swap?.startByte ?? 0) / MiB}`, "count=1", "status=none");
    assert.ok(head.includes("SWAPSPACE2"));
    const uuid = sh(
      "blkid",
      "-p",
      "-O",
      String(swap?.startByte),
      "-S",
      String(swap?.bytes),
      "-s",
      "UUID",
      "-o",
      "value",
      byFlags,
    ).trim();
    withVolume(byFlags, work, (top) => {
      assert.deepEqual(readdirSync(join(top, "current/")).sort(), ["0", "1"]);
      assert.ok(readFileSync(join(top, "fstab"), "utf8").includes(`UUID=${uuid}\tnone\tswap\tsw\t0 0\n`));
      assert.match(readFileSync(join(top, "fstab"), "utf8"), /@,ro,noatime,compress=zlib\t/);
    });
  });

  it("--common: a subvolume of its own below /var/lib, mounted after it", () =>
    withVolume(byFlags, work, (top) => {
      assert.match(sh("btrfs", "subvolume", "show", join(top, "commons/@var@lib@docker")), /Name:\s+@var@lib@docker/);
      const paths = readFileSync(join(top, "fstab"), "utf8")
        .split("\n")
        .map((line) => line.split("\t")[1]);
      assert.ok(paths.indexOf("/var/lib/docker") > paths.indexOf("/var/lib"), paths.join(" "));
      assert.ok(statSync(join(top, "commons/@var@lib/docker")).isDirectory(), "nothing to mount it on");
    }));

  it("--user and --ssh-key: an account that its key opens, with sshd and its host keys there", () =>
    inRoot((at, read) => {
      assert.match(read("etc/passwd"), /^alex:x:1000:1000:alex:\/home\/alex:\/bin\/ash$/m);
      assert.match(read("etc/shadow"), /^alex:\*:/m);
      for (const group of ["wheel", "audio", "video", "netdev"])
        assert.match(read("etc/group"), new RegExp(`^${group}:.*alex`, "m"));
      assert.match(read("etc/doas.d/20-wheel.conf"), /permit persist :wheel/);
      const home = join(at("../../../commons/@home"), "alex");
      assert.deepEqual([statSync(home).uid, statSync(home).mode & 0o2], [1000, 0]);
      const file = join(home, ".ssh/authorized_keys");
      assert.equal(readFileSync(file, "utf8"), `${KEY}\n`);
      assert.deepEqual([statSync(file).mode & 0o777, statSync(file).uid], [0o600, 1000]);
      assert.deepEqual([statSync(join(home, ".ssh")).mode & 0o777, statSync(join(home, ".ssh")).uid], [0o700, 1000]);
      assert.equal(statSync(at("etc/ssh/ssh_host_ed25519_key")).mode & 0o777, 0o600);
      assert.match(read("etc/conf.d/sshd"), /^sshd_disable_keygen="yes"$/m);
      assert.ok(readdirSync(at("etc/runlevels/default")).includes("sshd"));
      assert.ok(!readdirSync(at("etc/runlevels/default")).includes("acpid"));
    }));

  it("--timezone and --keymap: the zone's own copy, and a keymap that the boot loads", () =>
    inRoot((at, read) => {
      assert.equal(readlinkSync(at("etc/localtime")), "zoneinfo/Europe/Berlin");
      assert.equal(read("etc/zoneinfo/Europe/Berlin").slice(0, 4), "TZif");
      assert.equal(read("etc/timezone"), "Europe/Berlin\n");
      assert.equal(read("etc/conf.d/loadkmap"), "KEYMAP=/etc/keymap/de-nodeadkeys.bmap.gz\n");
      assert.ok(existsSync(at("etc/keymap/de-nodeadkeys.bmap.gz")));
      assert.ok(readdirSync(at("etc/runlevels/boot")).includes("loadkmap"));
      assert.match(read("etc/mkinitfs/mkinitfs.conf"), / keymap"$/m);
    }));

  it("--interface, --dns and --search: a static address, and name servers that nothing overwrites", () =>
    inRoot((at, read) => {
      assert.match(
        read("etc/network/interfaces"),
        /iface eth0 inet static\n\taddress 192\.0\.2\.10\/24\n\tgateway 192\.0\.2\.1\n/,
      );
      assert.equal(read("etc/resolv.conf"), "search example.org\nnameserver 192.0.2.53\n");
      assert.ok(!lstatSync(at("etc/resolv.conf")).isSymbolicLink());
      assert.equal(
        read("etc/hosts").split("\n")[0],
        "127.0.0.1\tfirn.example.org firn localhost.localdomain localhost",
      );
    }));

  it("--dry-run shows the partitions and the steps, and makes nothing", async () => {
    const image = join(work, "dry.img");
    const dry = await firn(["image", image, "--size", "1G", "--dry-run", ...flags]);
    assert.equal(dry.status, 0, dry.stderr);
    assert.match(dry.stdout, /Would:\n1\. Make the image file\n2\. Partition: EFI 64 MiB, ROOT .*, SWAP 64 MiB\n/);
    assert.match(dry.stdout, /\n18\. Make the disk bootable\n19\. [^\n]*\n$/);
    assert.ok(!existsSync(image));
    const data = JSON.parse((await firn(["image", image, "--size", "1G", "--dry-run", "--json", ...flags])).stdout) as {
      dryRun: boolean;
      steps: string[];
      config: { identity: { root: { passwordHash: string } } };
    };
    assert.deepEqual([data.dryRun, data.steps.length], [true, 19]);
    assert.equal(data.config.identity.root.passwordHash, "(hidden)");
    assert.ok(!existsSync(image));
    await nothingLeft(work);
  });
});
