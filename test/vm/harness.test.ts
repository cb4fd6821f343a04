import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFile, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { alpineMirror, fixtures } from "../fixtures/fixtures.ts";
import { requires } from "../kit/requires.ts";
import { packageFile, unpackPackage } from "./harness/media/alpine.ts";
import * as disk from "./harness/media/disk.ts";
import { startMachine } from "./harness/machine.ts";
import { mirrorDisk } from "./harness/media/mirror-disk.ts";
import { runProgram } from "./harness/program.ts";
import { buildLiveSystem } from "./harness/media/live.ts";

const mirror = join(alpineMirror, "v3.19.1");

const skip = requires("qemu", "disks", "mirror", "apt");

/** The machine's only program: it says what it was booted with, then offers a login on the serial console. */
const init = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t proc proc /proc
mount -t devtmpfs dev /dev
echo "firn-marker $(cat /proc/cmdline)"
while :; do getty -L 115200 /dev/ttyS0 vt100; done
`;

describe("a volume made by hand boots in a virtual machine", { skip }, () => {
  let folder: Awaited<ReturnType<typeof disk.temporaryFolder>>;
  let image = "";

  before(async () => {
    folder = await disk.temporaryFolder();
    image = await makeImage(folder.path);
  });
  after(() => folder[Symbol.asyncDispose]());

  test("slot 0 boots by itself; commands run in it; it switches itself off", async () => {
    await using machine = await startMachine({ disks: [await disk.overlay(image, folder.path)] });
    const { match } = await machine.waitFor(/firn-marker (.*)/);
    assert.match(match[1] ?? "", /slot=0 .*initrd=\\current\\0\\@\\boot\\initramfs-virt/);

    await machine.login("root", "snow");
    assert.deepEqual(await machine.run("printf 'no line end'; exit 7"), { status: 7, stdout: "no line end" });
    assert.deepEqual(await machine.run(`echo "it's \\$0"\ncat\necho $((6 * 7)) >&2`), {
      status: 0,
      stdout: "it's $0\n42\n",
    });
    const long = await machine.check("seq 1 20000");
    assert.equal(long, Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join(""));

    const asking = machine.run("printf 'name? '; read -r NAME; echo hello $NAME", { interactive: true });
    await machine.waitFor("name? ");
    machine.send("firn\n");
    assert.deepEqual(await asking, { status: 0, stdout: "name? hello firn\n" });

    await assert.rejects(machine.waitFor("never printed", { timeoutSeconds: 0.1 }), /never printed[^]*hello firn/);
    machine.start("poweroff -f");
    await machine.waitForPowerOff();
    await assert.rejects(machine.waitFor("anything"), /the machine ended/);
  });

  test("slot 1 boots when it is chosen in the menu; a power cut keeps what was written, beside the base image", async () => {
    const top = await disk.overlay(image, folder.path);
    const before_ = await checksum(image);
    await using machine = await startMachine({ disks: [top] });
    const entries = await machine.menu();
    assert.deepEqual(entries.slice(0, 2), [
      { text: "Boot Alpine 0 from ROOT", selected: true },
      { text: "Boot Alpine 1 from ROOT", selected: false },
    ]);
    const picture = join(folder.path, "menu.png");
    await machine.screenshot(picture);
    assert.equal((await readFile(picture)).subarray(1, 4).toString(), "PNG");
    await machine.chooseMenuEntry(1);
    assert.match((await machine.waitFor(/firn-marker (.*)/)).match[1] ?? "", /slot=1 .*\\current\\1\\/);

    await machine.reset();
    await machine.menu();
    await machine.key("down");
    await machine.key("ret");
    assert.match((await machine.waitFor(/firn-marker (.*)/)).match[1] ?? "", /slot=1 /);
    await machine.powerCut();

    // rEFInd notes on the ESP what it booted (use_nvram false): a write of the guest's own.
    const seen = join(folder.path, "seen.raw");
    await disk.flatten(top.file, seen);
    const esp = await disk.readPartition(seen, 1);
    const { stdout } = await runProgram(["mdir", "-b", "-i", `${seen}@@${esp.start}`, "::/EFI/BOOT/vars"]);
    assert.match(stdout, /PreviousBoot/);
    assert.equal(await checksum(image), before_);
  });

  test("no machine outlives the process that started it, not even a killed one", async () => {
    const program = [
      `import { startMachine } from ${JSON.stringify(join(import.meta.dirname, "harness/machine.ts"))};`,
      "const machine = await startMachine({ disks: [], memoryMiB: 128 });",
      "console.log(machine.pid);",
      "setInterval(() => {}, 1000);",
    ].join("\n");
    const file = join(folder.path, "starter.mts");
    await writeFile(file, program);
    const starter = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), file], {
      stdio: ["ignore", "pipe", "inherit"],
      // Killed, it cannot remove its temporary files.
      env: { ...process.env, TMPDIR: folder.path },
    });
    const pid = Number(await new Promise((done) => starter.stdout.once("data", done)));
    assert.ok(isQemu(await commandLine(pid)), `process ${pid} is no QEMU`);
    starter.kill("SIGKILL");
    const deadline = Date.now() + 10_000;
    while (isQemu(await commandLine(pid)) && Date.now() < deadline) await new Promise((done) => setTimeout(done, 50));
    assert.equal(await commandLine(pid), "");
  });
});

describe("an Alpine live system in RAM", { skip }, () => {
  test("boots to a root shell with a mirror on a second disk, EFI variables, and the disks that firn works on", async () => {
    await using folder = await disk.temporaryFolder();
    const { v1, keysDir } = await fixtures();
    const greeting = join(folder.path, "greeting");
    await writeFile(greeting, "#!/bin/sh\necho firn and snow\n", { mode: 0o755 });
    const live = await buildLiveSystem({
      repositories: [mirror, join(alpineMirror, "extras"), v1],
      keysDir,
      packages: ["sgdisk", "dosfstools", "btrfs-progs", "mtools", "efibootmgr"],
      firnBinary: greeting,
      extraFiles: { "/root/notes/greeting": greeting },
    });
    const packages = await mirrorDisk({ "v3.19.1": mirror, fixtures: v1, keys: keysDir });
    const target = join(folder.path, "target.raw");
    await disk.blankImage(target, 512);
    const other = join(folder.path, "other.raw");
    await disk.blankImage(other, 1);
    const firmwareVars = join(folder.path, "vars.fd");
    await using machine = await startMachine({
      ...live,
      memoryMiB: 2048,
      network: "user",
      firmwareVars,
      disks: [
        { file: target, format: "raw" },
        { file: packages, format: "raw", readonly: true },
        { file: other, format: "raw", interface: "nvme", snapshot: true },
      ],
    });
    await machine.login();
    assert.equal(await machine.check("firn; /root/notes/greeting"), "firn and snow\nfirn and snow\n");
    assert.match(await machine.check("cat /etc/alpine-release"), /^3\.19\.1\n/);
    await machine.check("mount -t ext4 -o ro /dev/vdb /media/mirror");
    const add = "apk add --no-network --repositories-file /dev/null -X /media/mirror/v3.19.1";
    await machine.check(`${add} tzdata && ls /usr/share/zoneinfo/UTC`);
    await machine.check("sgdisk -n 1:0:+64M -t 1:ef00 -n 2:0:0 /dev/vda && mkfs.btrfs -q /dev/vda2");
    await machine.check("mkdir /mnt/v && mount /dev/vda2 /mnt/v && btrfs subvolume create /mnt/v/@ && umount /mnt/v");
    await machine.check("test -b /dev/nvme0n1");
    const entry =
      "efibootmgr --create --disk /dev/vda --part 1 --label 'firn test' --loader '\\EFI\\firn\\refind_x64.efi'";
    assert.match(await machine.check(entry), /Boot\d{4}\* firn test\t.*HD\(1,GPT,/);
    assert.match(await machine.check("ip link set eth0 up && udhcpc -i eth0 -n -q"), /lease of 10\.0\.2\.\d+ obtained/);
    assert.match(await machine.check("df -k / | tail -n 1"), /\d{6,} +\d+ +\d{6,}/);
    machine.start("poweroff");
    await machine.waitForPowerOff();
    assert.ok(
      (await readFile(firmwareVars)).includes(Buffer.from("firn test", "utf16le")),
      "the boot entry is not in NVRAM",
    );
  });
});

/** A GPT disk with rEFInd on its ESP and a volume with two generations, in the layout of the wiki page. */
async function makeImage(folder: string): Promise<string> {
  const file = join(folder, "disk.raw");
  await disk.blankImage(file, 256);
  const [esp, volume] = await disk.partitionImage(file, [
    { name: "EFI", type: "ef00", mebibytes: 40 },
    { name: "ROOT", type: "8300", mebibytes: 0 },
  ]);
  assert.ok(esp !== undefined && volume !== undefined);
  await disk.makeBtrfs(file, volume, ["--label", "ROOT"]);
  const initramfs = await makeInitramfs(folder);
  const { v1 } = await fixtures();
  const packages = join(folder, "packages");
  for (const name of ["linux-virt", "refind"]) await unpackPackage(await packageFile([v1], name), packages);
  {
    await using top = await disk.mountImage(file, { where: volume, options: ["compress=zstd"] });
    await mkdir(join(top.path, "next"));
    await mkdir(join(top.path, "links/20210411213742qwrXAJBz"), { recursive: true });
    for (const [slot, id] of ["20210411212549sdBXyLxg", "20210410101010abcdefgh"].entries()) {
      await mkdir(join(top.path, "snapshots", id), { recursive: true });
      await top.run(["btrfs", "subvolume", "create", `snapshots/${id}/@`]);
      const boot = join(top.path, "snapshots", id, "@/boot");
      await mkdir(boot);
      await copyFile(join(packages, "boot/vmlinuz-virt"), join(boot, "vmlinuz-virt"));
      await copyFile(initramfs, join(boot, "initramfs-virt"));
      await symlink(`../../snapshots/${id}`, join(top.path, "links/20210411213742qwrXAJBz", String(slot)));
    }
    await symlink("./links/20210411213742qwrXAJBz", join(top.path, "current"));
  }
  const refind = join(packages, "usr/share/refind");
  const configuration = join(folder, "refind.conf");
  await writeFile(configuration, bootMenu(volume.guid));
  await disk.makeEsp(file, esp, {
    "/EFI/BOOT/BOOTX64.EFI": join(refind, "refind_x64.efi"),
    "/EFI/BOOT/drivers_x64/btrfs_x64.efi": join(refind, "drivers_x86_64/btrfs_x64.efi"),
    "/EFI/BOOT/refind.conf": configuration,
  });
  return file;
}

function bootMenu(partitionGuid: string): string {
  const entries = [0, 1].map((slot) =>
    [
      `menuentry "Alpine ${slot}" {`,
      `    volume ${partitionGuid}`,
      `    loader /current/${slot}/@/boot/vmlinuz-virt`,
      `    initrd /current/${slot}/@/boot/initramfs-virt`,
      `    options "console=ttyS0 quiet slot=${slot}"`,
      "}",
    ].join("\n"),
  );
  return ["timeout 5", "textonly", "use_nvram false", "scanfor manual", "default_selection 1", ...entries, ""].join(
    "\n",
  );
}

/** musl and busybox of the real packages, and init. */
async function makeInitramfs(folder: string): Promise<string> {
  const root = join(folder, "initramfs");
  for (const name of ["bin", "dev", "etc", "lib", "proc"]) await mkdir(join(root, name), { recursive: true });
  await unpackPackage(await packageFile([mirror], "musl"), root, ["lib"]);
  await unpackPackage(await packageFile([mirror], "busybox"), root, ["bin"]);
  await runProgram(["mknod", join(root, "dev/console"), "c", "5", "1"]);
  await writeFile(join(root, "init"), init, { mode: 0o755 });
  const { stdout: hash } = await runProgram(["openssl", "passwd", "-6", "snow"]);
  await writeFile(join(root, "etc/passwd"), `root:${hash.trim()}:0:0:root:/:/bin/sh\n`);
  const { stdout: names } = await runProgram(["find", "."], { cwd: root });
  const file = join(folder, "initramfs.cpio");
  await runProgram(["cpio", "--quiet", "-o", "-H", "newc", "-F", file], { cwd: root, input: names });
  return file;
}

async function checksum(file: string): Promise<string> {
  return (await runProgram(["sha256sum", file])).stdout.split(" ")[0] ?? "";
}

async function commandLine(pid: number): Promise<string> {
  return await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
}

function isQemu(line: string): boolean {
  return line.startsWith("qemu-system-");
}
