import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readFileSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { alpineMirror, fixtures } from "../../fixtures/fixtures.ts";
import { checkVolume, espIn, espOf, fatFile, fatFiles, part, partitions, sh, withVolume } from "../../kit/disk.ts";
import { firn, firnBinary, type Ran } from "../../kit/firn.ts";
import { PASSWORD_HASH, machineFlags } from "../../kit/image.ts";
import { nothingLeft } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { templateAt } from "../../kit/volume.ts";
import { workFolder } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

const MiB = 2 ** 20;
const ID = /^\d{14}[A-Za-z]{8}$/;
const COMMONS = ["@home", "@root", "@srv", "@var@cache", "@var@lib", "@var@log", "@var@spool", "@var@tmp"];

describe("firn image makes what the volume format says", { skip }, () => {
  const work = workFolder("image");
  const image = join(work, "snow.img");
  let made: Ran;
  const look = <T>(use: (top: string, root: string, id: string) => T): T =>
    withVolume(image, work, (top) => {
      const [id = ""] = readdirSync(join(top, "snapshots"));
      return use(top, join(top, "snapshots", id, "@"), id);
    });
  const inRoot = <T>(use: (at: (path: string) => string, read: (path: string) => string) => T): T =>
    look((_, root) =>
      use(
        (path) => join(root, path),
        (path) => readFileSync(join(root, path), "utf8"),
      ),
    );

  before(async () => {
    made = await firn(["image", image, "--size", "1G", ...(await machineFlags())]);
    assert.equal(made.status, 0, made.stderr);
  });

  it("an image is readable by its owner alone, as large as asked for, and sparse", () => {
    const stat = statSync(image);
    assert.deepEqual([stat.mode, stat.uid, stat.size], [0o100600, 0, 2 ** 30]);
    assert.ok(stat.blocks * 512 < 200 * MiB, `${stat.blocks * 512} bytes are used`);
  });

  it("a run leaves no mount, no loop device and no process", () => nothingLeft(work));

  it("the answer on stdout says what boots, the slots and the login; the talk has a line for each of the 19 steps", () => {
    const [boots = "", menu = "", login = "", ...rest] = made.stdout.trimEnd().split("\n");
    assert.match(
      boots,
      /snow\.img boots Alpine 3\.19\.1 \(kernel 6\.1\.\S+\), read-only, as generation \d{14}\w{8}\.$/,
    );
    assert.match(menu, /^Boot menu: 4 slots.*console on ttyS0/);
    assert.match(login, /^Log in: root, by password\.$/);
    assert.deepEqual(rest, []);
    const steps = made.stderr.split("\n").flatMap((line) => /^\[(\d+)\/19\] /.exec(line)?.[1] ?? []);
    assert.deepEqual(
      steps,
      Array.from({ length: 19 }, (_, index) => String(index + 1)),
    );
  });

  it("the partition table is a sound GPT: EFI and ROOT, aligned to 1 MiB, without swap", () => {
    assert.match(sh("sgdisk", "--verify", image), /No problems found/);
    const found = partitions(image);
    assert.deepEqual(
      found.map(({ name, code }) => [name, code]),
      [
        ["EFI", "EF00"],
        ["ROOT", "8300"],
      ],
    );
    for (const { name, startByte, bytes } of found) assert.equal((startByte % MiB) + (bytes % MiB), 0, name);
    const [esp, root] = found;
    assert.equal(esp?.bytes, 200 * MiB);
    assert.equal(root?.startByte, 201 * MiB);
    assert.ok(2 ** 30 - (root?.startByte ?? 0) - (root?.bytes ?? 0) < 2 * MiB, "ROOT does not reach to the end");
  });

  it("the volume is a clean btrfs labelled ROOT whose default subvolume is the top level", () => {
    checkVolume(image);
    look((top) => {
      assert.match(sh("btrfs", "subvolume", "get-default", top), /^ID 5 /);
      assert.equal(sh("btrfs", "filesystem", "label", top).trim(), "ROOT");
    });
  });

  it("the top level holds what the format names and nothing else", () =>
    look((top, _, id) => {
      assert.deepEqual(readdirSync(top).sort(), [
        "commons",
        "current",
        "fstab",
        "links",
        "next",
        "reserve",
        "snapshots",
      ]);
      assert.deepEqual(readdirSync(join(top, "next")), []);
      assert.deepEqual(readdirSync(join(top, "commons")).sort(), COMMONS);
      assert.match(id, ID);
      assert.deepEqual(readdirSync(join(top, "snapshots")), [id]);
      assert.deepEqual(readdirSync(join(top, "snapshots", id)).sort(), ["@", "generation.json"]);
      const [set = ""] = readdirSync(join(top, "links"));
      assert.match(set, ID);
      assert.deepEqual(readdirSync(join(top, "links")), [set]);
      assert.equal(readlinkSync(join(top, "current")), `./links/${set}`);
      assert.deepEqual(readdirSync(join(top, "links", set)).sort(), ["0", "1", "2", "3"]);
      for (const slot of ["0", "1", "2", "3"])
        assert.equal(readlinkSync(join(top, "links", set, slot)), `../../snapshots/${id}`);
    }));

  it("the generation is a read-only subvolume, and generation.json says what it is", () =>
    look((top, root, id) => {
      assert.match(sh("btrfs", "property", "get", "-ts", root, "ro"), /ro=true/);
      const record = JSON.parse(readFileSync(join(top, "snapshots", id, "generation.json"), "utf8")) as {
        created: string;
        installedBytes: number;
        indexes: Record<string, number>;
      };
      const { created, installedBytes, indexes, ...rest } = record;
      assert.equal(indexes[join(alpineMirror, "v3.19.1")], Date.parse("2023-12-27T12:33:10Z") / 1000);
      assert.equal(created.replace(/\D/g, "").slice(0, 12).length, 12);
      assert.ok(installedBytes > 20 * MiB);
      const [kernel] = readdirSync(join(root, "lib/modules"));
      const release = "3.19.1";
      assert.deepEqual(rest, { kernel, flavor: "virt", release, description: "Installed", command: "firn image" });
      assert.ok(!existsSync(join(root, "generation.json")));
    }));

  it("the fstab template mounts root read-only and the commons read-write; the generation's own names the generation", () =>
    look((top, root, id) => {
      const template = templateAt(top);
      const uuid = /uuid: (\S+)/.exec(sh("btrfs", "filesystem", "show", top))?.[1];
      const rows = template.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
      const shared = COMMONS.map((name) => [
        ...[`UUID=${uuid}`, name.replaceAll("@", "/"), "btrfs"],
        ...[`subvol=/commons/${name},rw,noatime,compress=zstd`, "0 0"],
      ]);
      assert.deepEqual(
        rows.map((row) => row.split("\t")),
        [
          [`UUID=${uuid}`, "/", "btrfs", "subvol=CURRENT_SNAPSHOTS_PATH/@,ro,noatime,compress=zstd", "0 0"],
          ...shared,
          ["tmpfs", "/tmp", "tmpfs", "mode=1777,nosuid,nodev", "0 0"],
        ],
      );
      const own = readFileSync(join(root, "etc/fstab"), "utf8");
      assert.equal(own, template.replaceAll("CURRENT_SNAPSHOTS_PATH", `/snapshots/${id}`));
      assert.equal(spawnMountCheck(join(root, "etc/fstab")), "");
    }));

  /** What util-linux has to say of an fstab's syntax. */
  function spawnMountCheck(fstab: string): string {
    const wrong = sh("findmnt", "--tab-file", fstab, "--noheadings", "--output", "TARGET").trim().split("\n");
    return wrong.length === COMMONS.length + 2 ? "" : wrong.join(" ");
  }

  it("each commons is a writable subvolume with the owners and modes of the folder that it covers", () =>
    look((top, root) => {
      for (const name of COMMONS) {
        const folder = join(top, "commons", name);
        assert.match(sh("btrfs", "subvolume", "show", folder), new RegExp(`Name:\\s+${name}`));
        assert.match(sh("btrfs", "property", "get", "-ts", folder, "ro"), /ro=false/);
        const [made, covered] = [folder, join(root, name.replaceAll("@", "/"))].map((path) => statSync(path));
        assert.deepEqual([made?.mode, made?.uid, made?.gid], [covered?.mode, covered?.uid, covered?.gid], name);
      }
      const mode = (path: string): number => lstatSync(join(top, "commons", path)).mode & 0o7777;
      assert.equal(mode("@var@tmp"), 0o1777);
      assert.equal(mode("@root"), 0o700);
      assert.equal(mode("@var@log"), 0o755);
      assert.equal(readlinkSync(join(top, "commons/@var@spool/mail")), "/var/mail");
      assert.equal(readlinkSync(join(top, "commons/@var@spool/cron/crontabs")), "/etc/crontabs");
    }));

  it("rEFInd can read the boot files: whole, without holes, not LZO; initramfs and modules are of the same kernel", () =>
    inRoot((at) => {
      for (const name of ["boot/vmlinuz-virt", "boot/initramfs-virt"]) {
        const { size } = statSync(at(name));
        assert.ok(size > MiB, `${name} has ${size} bytes`);
        const extents = sh("filefrag", "-v", at(name));
        const covered = [...extents.matchAll(/^\s+\d+:\s+(\d+)\.\.\s*(\d+):/gm)].map(([, a, b]) => [
          Number(a),
          Number(b),
        ]);
        let next = 0;
        for (const [from = -1, to = -1] of covered) {
          assert.equal(from, next, `a hole in ${name}`);
          next = to + 1;
        }
        assert.equal(next, Math.ceil(size / 4096));
        assert.doesNotMatch(extents, /unwritten/);
      }
      assert.equal(readFileSync(at("boot/vmlinuz-virt")).subarray(0, 2).toString(), "MZ");
      const [release = ""] = readdirSync(at("lib/modules"));
      const listed = sh(
        "sh",
        "-c",
        `{ zcat "$1" 2>/dev/null || zstdcat "$1" 2>/dev/null || cat "$1"; } | cpio -t --quiet`,
        "sh",
        at("boot/initramfs-virt"),
      );
      assert.match(listed, new RegExp(`lib/modules/${release}/.*/btrfs\\.ko`));
    }));

  it("the root has the repositories, the keys and what mkinitfs is to put into an initramfs", async () => {
    const [flags, { keysDir }] = [await machineFlags(), await fixtures()];
    inRoot((at, read) => {
      const wanted = flags.flatMap((word, index) => (flags[index - 1] === "-X" ? [word] : []));
      assert.equal(read("etc/apk/repositories"), wanted.map((line) => `${line}\n`).join(""));
      const keys = readdirSync(at("etc/apk/keys"));
      for (const name of readdirSync(keysDir)) assert.ok(keys.includes(name), name);
      assert.equal(read("etc/mkinitfs/mkinitfs.conf"), 'features="ata base ide scsi usb virtio btrfs nvme mmc"\n');
    });
  });

  it("the root is ready to be read-only", () =>
    inRoot((at, read) => {
      assert.equal(readlinkSync(at("var/lock")), "../run/lock");
      assert.equal(readlinkSync(at("etc/resolv.conf")), "../run/resolv.conf");
      assert.match(read("etc/udhcpc/udhcpc.conf"), /^RESOLV_CONF="\/run\/resolv\.conf"$/m);
      assert.match(read("etc/machine-id"), /^[0-9a-f]{32}\n$/);
      const level = (name: string): string[] => readdirSync(at(`etc/runlevels/${name}`)).sort();
      assert.deepEqual(level("shutdown"), ["killprocs", "mount-ro"]);
      assert.deepEqual(level("sysinit"), ["devfs", "dmesg", "hwdrivers", "mdev"]);
      for (const service of ["bootmisc", "hostname", "networking", "seedrng", "swap"])
        assert.ok(level("boot").includes(service), service);
      for (const service of ["firstboot", "modloop", "tiny-cloud"])
        assert.ok(!["sysinit", "boot", "default"].some((name) => level(name).includes(service)), service);
      for (const name of ["sysinit", "boot", "default", "shutdown"])
        for (const service of level(name))
          assert.ok(existsSync(at(`etc/init.d/${service}`)), `${service} has no script`);
    }));

  it("the root knows its name, its serial console and root's password", () =>
    inRoot((at, read) => {
      assert.equal(read("etc/hostname"), "snow\n");
      assert.match(read("etc/hosts"), /^127\.0\.0\.1\tsnow /);
      assert.match(read("etc/inittab"), /^ttyS0::respawn:\/sbin\/getty -L 115200 ttyS0 vt100$/m);
      assert.ok(read("etc/securetty").split("\n").includes("ttyS0"));
      assert.ok(read("etc/shadow").startsWith(`root:${PASSWORD_HASH}:`));
      assert.equal(statSync(at("etc/shadow")).mode & 0o777, 0o640);
    }));

  it("a system without the package gets this very program, its service and its configuration", async () => {
    const hash = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");
    const own = hash(await firnBinary());
    inRoot((at, read) => {
      assert.equal(hash(at("usr/sbin/firn")), own);
      assert.equal(statSync(at("usr/sbin/firn")).mode, 0o100755);
      assert.match(read("etc/firn/firn.toml"), /keep-count = 10/);
      assert.equal(readlinkSync(at("etc/runlevels/default/firn")), "/etc/init.d/firn");
      assert.equal(statSync(at("etc/init.d/firn")).mode, 0o100755);
    });
  });

  it("the EFI partition is a sound FAT32 with rEFInd, its btrfs driver and the menu, in both of its places", () => {
    const esp = espOf(image, work);
    sh("fsck.fat", "-n", esp);
    assert.equal(readFileSync(esp).subarray(82, 90).toString(), "FAT32   ");
    const beside = ["drivers_x64/btrfs_x64.efi", "refind.conf"];
    assert.deepEqual(fatFiles(esp), [
      ...["BOOTX64.EFI", ...beside].map((name) => `EFI/BOOT/${name}`),
      ...[...beside, "refind_x64.efi"].map((name) => `EFI/firn/${name}`),
    ]);
    assert.deepEqual(fatFile(esp, "EFI/BOOT/BOOTX64.EFI"), fatFile(esp, "EFI/firn/refind_x64.efi"));
    for (const name of beside) assert.deepEqual(fatFile(esp, `EFI/BOOT/${name}`), fatFile(esp, `EFI/firn/${name}`));
  });

  it("refind.conf names the volume by partition GUID and filesystem UUID, one entry a slot", () => {
    const conf = fatFile(espIn(image), "EFI/BOOT/refind.conf").toString();
    const { guid } = part(image, "ROOT");
    const uuid = look((top) => /uuid: (\S+)/.exec(sh("btrfs", "filesystem", "show", top))?.[1]);
    const entries = conf.split(/^menuentry /m);
    assert.equal(entries.length, 5);
    entries.slice(1).forEach((entry, slot) => {
      assert.deepEqual(
        entry
          .split("\n")
          .map((line) => line.trim())
          .slice(0, 5),
        [
          `"Alpine ${slot}" {`,
          `volume ${guid}`,
          `loader /current/${slot}/@/boot/vmlinuz-virt`,
          `initrd /current/${slot}/@/boot/initramfs-virt`,
          `options "root=UUID=${uuid} rootfstype=btrfs rootflags=subvol=current/${slot}/@,ro ` +
            `modules=sd-mod,usb-storage,btrfs,nvme console=tty0 console=ttyS0,115200 quiet"`,
        ],
      );
    });
  });
});
