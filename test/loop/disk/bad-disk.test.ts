import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, statfsSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, before, describe, it } from "node:test";
import { attached, hashOf, sh } from "../../kit/disk.ts";
import { firn, firnBehind } from "../../kit/firn.ts";
import { machineFlags } from "../../kit/image.ts";
import { nothingLeft } from "../../kit/left.ts";
import { assertNoImage, assertUntouched, type Expected } from "../../kit/refused.ts";
import { requires } from "../../kit/requires.ts";
import { workFolder } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

const MiB = 2 ** 20;

describe("a disk or image that cannot be had is refused, and nothing is changed", { skip }, () => {
  const work = workFolder("bad-disk");
  const file = join(work, "disk.img");
  const image = join(work, "new.img");
  let flags: string[];
  let release: (() => void)[] = [];

  before(async () => void (flags = await machineFlags()));
  afterEach(async () => {
    for (const one of release.toReversed()) one();
    release = [];
    await nothingLeft(work);
  });

  /** A disk of `mebibytes` with an ext4, attached until the test ends. */
  function disk(mebibytes: number, ...options: string[]): string {
    writeFileSync(file, "");
    truncateSync(file, mebibytes * MiB);
    sh("mkfs.ext4", "-q", "-L", "family", file);
    const held = attached(file, options);
    release.push(() => held[Symbol.dispose]());
    return held.device;
  }

  /** `script` is what was done in a mount namespace before. */
  async function refusesDisk(device: string, expected: Expected, script?: string): Promise<string> {
    const before = hashOf(file);
    const args = ["install", device, "--yes", ...flags];
    const ran = script === undefined ? await firn(args) : await firnBehind(script, args);
    assertUntouched(ran, expected);
    assert.equal(hashOf(file), before, "the disk was written to");
    return ran.stderr;
  }

  it("a user who is not root is told so, for a disk and for an image", async () => {
    const device = disk(16);
    execFileSync("chmod", ["755", work]);
    const prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    const where = join(work, "theirs");
    mkdirSync(where);
    execFileSync("chmod", ["777", where]);
    const binary = `cp "$1" ${work}/firn; chmod 755 ${work}/firn`;
    const before = hashOf(file);
    for (const args of [
      ["install", device, "--yes"],
      ["image", join(where, "new.img"), "--size", "1G"],
    ]) {
      // The binary may lie in a folder that only root can enter.
      const ran = await firnBehind(
        `set -- "$@"; shift 4; ${binary}; shift; set -- ${prefix.join(" ")} ${work}/firn "$@"`,
        [...args, ...flags],
        prefix,
      );
      assertUntouched(ran, { code: "E_NOT_ROOT", message: /root/, hint: /doas|sudo/ });
    }
    assertNoImage(join(where, "new.img"));
    assert.equal(hashOf(file), before);
  });

  it("a disk that does not exist: the near name is offered", async () => {
    const names = execFileSync("ls", ["/sys/block"], { encoding: "utf8" }).split("\n");
    const real = names.find((name) => /^(vd|sd|nvme|xvd|mmcblk)/.test(name)) ?? "";
    const wrong = real === "" ? "/dev/sdq" : `/dev/${real.slice(0, -1)}q`;
    const ran = await firn(["install", wrong, "--yes", ...flags]);
    const hint = real === "" ? /no disk|There are/ : new RegExp(`/dev/${real}`);
    assertUntouched(ran, { code: "E_DISK_MISSING", message: new RegExp(`^${wrong}: no such disk`), hint });
  });

  it("what is no disk is refused by its kind: a file, a directory, a terminal", async () => {
    writeFileSync(file, "data");
    await refusesDisk(file, { code: "E_DISK_MISSING", message: /is a regular file/, hint: /firn image FILE/ });
    await refusesDisk(work, { code: "E_DISK_MISSING", message: /is a directory/, hint: /whole disk/ });
    await refusesDisk("/dev/null", { code: "E_DISK_MISSING", message: /\/dev\/null is no block device/ });
  });

  it("a mounted disk is refused with the folder it is mounted on", async () => {
    const device = disk(16);
    const folder = join(work, "home");
    mkdirSync(folder, { recursive: true });
    sh("mount", device, folder);
    release.push(() => void sh("umount", folder));
    sh("sync", "-f", folder);
    const said = await refusesDisk(device, {
      code: "E_DISK_BUSY",
      message: new RegExp(`${device} is mounted on ${folder}`),
      hint: new RegExp(`umount ${folder}`),
    });
    assert.doesNotMatch(said, /loop device of/);
  });

  it("a disk that is swap is refused", async () => {
    const device = disk(16);
    sh("mkswap", device);
    const expected: Expected = {
      code: "E_DISK_BUSY",
      message: /is in use as swap/,
      hint: new RegExp(`swapoff ${device}`),
    };
    // proc(5): a line for each, below one of titles. It serves where the kernel was built without swap, too.
    const swaps = join(work, "swaps");
    writeFileSync(swaps, `Filename\tType\tSize\tUsed\tPriority\n${device}\tpartition\t16380\t0\t-2\n`);
    await refusesDisk(device, expected, `mount --bind ${swaps} /proc/swaps`);
    if (spawnSync("swapon", [device]).status !== 0) return;
    release.push(() => void sh("swapoff", device));
    await refusesDisk(device, expected);
  });

  it("a disk on which a loop device lies, or that another program holds, is refused", async () => {
    const device = disk(16);
    const above = attached(device, ["--offset=1048576"]);
    release.push(() => above[Symbol.dispose]());
    await refusesDisk(device, {
      code: "E_DISK_BUSY",
      message: new RegExp(`${device} is in use by the loop device ${above.device}`),
      hint: new RegExp(`losetup -d ${above.device}`),
    });
  });

  it("the disk of the running system is refused", async () => {
    const expected: Expected = { code: "E_DISK_BUSY", message: /holds the running system/, hint: /live system/ };
    const device = disk(16);
    // Mounted over / in a namespace of its own: to what runs there, it is where / comes from.
    await refusesDisk(device, expected, `mount -o ro ${device} /`);
    const source = sh("findmnt", "-no", "SOURCE", "/").trim();
    if (!/^\/dev\/[a-z]+$/.test(source)) return;
    assertUntouched(await firn(["install", source, "--dry-run", ...flags]), expected);
  });

  it("a write-protected disk is refused", async () => {
    await refusesDisk(disk(16, "--read-only"), { code: "E_DISK_BUSY", message: /is write-protected/ });
  });

  it("a disk that is too small is told how small is enough, and exactly that is enough", async () => {
    const said = await refusesDisk(disk(64), {
      code: "E_DISK_SMALL",
      message: /64 MiB; \d+ MiB \(\d+ bytes\) is enough: EFI/,
    });
    const bytes = Number(/\((\d+) bytes\) is enough/.exec(said)?.[1]);
    truncateSync(file, bytes - 512);
    for (const one of release.splice(0)) one();
    const smaller = attached(file);
    release.push(() => smaller[Symbol.dispose]());
    await refusesDisk(smaller.device, {
      code: "E_DISK_SMALL",
      message: new RegExp(`\\(${bytes} bytes\\) is enough`),
    });
    for (const one of release.splice(0)) one();
    truncateSync(file, bytes);
    const enough = attached(file);
    release.push(() => enough[Symbol.dispose]());
    const made = await firn(["install", enough.device, "--yes", ...flags]);
    assert.equal(made.status, 0, made.stderr);
    const state = JSON.parse((await firn(["status", "--volume", enough.device, "--json"])).stdout) as {
      space: { free: number };
    };
    assert.ok(state.space.free > 60 * MiB, `only ${state.space.free} bytes are left for an upgrade`);
  });

  it("an image that is too small is told the --size that is enough, and that is enough", async () => {
    const ran = await firn(["image", image, "--size", "100M", ...flags]);
    assertUntouched(ran, { code: "E_DISK_SMALL", message: /The image has 100 MiB/, hint: /--size \d+M/ });
    assertNoImage(image);
    const size = /--size (\d+M)/.exec(ran.stderr)?.[1] ?? "";
    const made = await firn(["image", image, "--size", size, ...flags]);
    assert.equal(made.status, 0, made.stderr);
    execFileSync("rm", [image]);
  });

  it("an image without a size, or with a size that is none, is refused", async () => {
    assertUntouched(await firn(["image", image, ...flags]), { code: "E_USAGE", message: /size/i, hint: /--size 4G/ });
    const odd = await firn(["image", image, "--size", "4X", ...flags]);
    assertUntouched(odd, { code: "E_CONFIG_VALUE", message: /^--size: "4X"/ });
    assertNoImage(image);
  });

  it("an image file that exists is kept", async () => {
    writeFileSync(image, "precious");
    const ran = await firn(["image", image, "--size", "1G", ...flags]);
    assertUntouched(ran, { code: "E_IMAGE_EXISTS", message: new RegExp(`${image} exists`) });
    assert.equal(readFileSync(image, "utf8"), "precious");
    execFileSync("rm", [image]);
  });

  it("an image in a folder that is not there is refused", async () => {
    const ran = await firn(["image", join(work, "none/new.img"), "--size", "1G", ...flags]);
    assertUntouched(ran, { code: "E_FILE", message: /none: no such directory/, hint: /mkdir -p/ });
  });

  it("an image on a filesystem without room for it is refused before it is begun", async () => {
    const small = join(work, "small");
    mkdirSync(small);
    sh("mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", small);
    release.push(() => void sh("umount", small));
    const ran = await firn(["image", join(small, "new.img"), "--size", "1G", ...flags]);
    assertUntouched(ran, { code: "E_IMAGE_SPACE", message: /20 MiB free; the image will take \d+ MiB/ });
    assertNoImage(join(small, "new.img"));
    assert.equal(statfsSync(small).bavail, statfsSync(small).blocks);
  });

  it("without loop devices: a refusal, and no image is left", async () => {
    const ran = await firnBehind(
      "mount --bind /dev/null /dev/loop-control; for one in /dev/loop[0-9]*; do mount --bind /dev/null $one; done",
      ["image", image, "--size", "1G", ...flags],
    );
    assertUntouched(ran, { code: "E_LOOP", message: /No loop device/, hint: /modprobe loop/ });
    assertNoImage(image);
  });

  it("a missing program is named with its packages on Alpine and Debian", async () => {
    const folder = join(work, "hidden");
    mkdirSync(folder);
    for (const [program, packages] of [
      ["sgdisk", /sgdisk \(Alpine\) or gdisk \(Debian\)/],
      ["mkfs.btrfs", /btrfs-progs \(Alpine and Debian\)/],
      ["mcopy", /mtools \(Alpine and Debian\)/],
      ["mkfs.fat", /dosfstools \(Alpine and Debian\)/],
    ] as const) {
      // A copy of each folder of programs, as links, without this one.
      const hide = `for d in $(realpath -e /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin | sort -u); do
        [ -e "$d/${program}" ] || continue
        mkdir -p ${folder}/$d ${folder}/real$d; mount --bind "$d" ${folder}/real$d
        for f in "$d"/*; do n=\${f##*/}; [ "$n" = "${program}" ] || echo "$n"; done > ${folder}/list
        (cd ${folder}/$d; xargs -d '\\n' -I{} printf '${folder}/real'"$d"'/{}\\n' < ${folder}/list | xargs -d '\\n' ln -sf -t .); mount --bind ${folder}/$d "$d"; done`;
      const ran = await firnBehind(hide, ["image", image, "--size", "1G", ...flags]);
      assertUntouched(ran, {
        code: "E_PROGRAM_MISSING",
        message: new RegExp(`^Not installed: ${program}\\.`),
        hint: packages,
      });
      execFileSync("rm", ["-rf", "--one-file-system", folder]);
      mkdirSync(folder);
    }
    assertNoImage(image);
    assert.ok(statSync("/usr/sbin/sgdisk").isFile());
  });
});
