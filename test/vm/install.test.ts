import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { firnBinary } from "../kit/firn.ts";
import { PASSWORD_HASH } from "../kit/image.ts";
import { alpineMirror, fixtures } from "../fixtures/fixtures.ts";
import * as disk from "./harness/media/disk.ts";
import { buildLiveSystem } from "./harness/media/live.ts";
import { type Machine, type MachineDisk, startMachine } from "./harness/machine.ts";
import { runProgram } from "./harness/program.ts";
import type { CommandResult } from "./harness/shell.ts";
import { failures, Held, lean, loginRoot, mirror, mountMirror, skip, sources, status } from "./system.ts";

const repositories = ["v3.19.1", "extras", "v1", "firn"].flatMap((name) => ["-X", `/media/mirror/${name}`]);
const flags = [
  ...[
    ...repositories,
    "--keys-dir",
    "/media/mirror/keys",
    "--flavor",
    "virt",
    "--serial",
    "ttyS0",
    "--hostname",
    "ice",
  ],
  ...["--root-password-hash", PASSWORD_HASH, ...lean],
]
  .map((word) => `'${word}'`)
  .join(" ");

/** An installation takes a minute here. */
const patient = { timeoutSeconds: 400 };

describe("an Alpine live system installs itself", { skip }, () => {
  const open = new Held();
  let live: Machine;
  let virtio: MachineDisk;
  let nvme: MachineDisk;
  let firmwareVars = "";

  before(async () => {
    const { v1 } = await fixtures();
    const { keysDir } = await sources();
    const system = await buildLiveSystem({
      repositories: [join(alpineMirror, "v3.19.1"), join(alpineMirror, "extras"), v1],
      keysDir,
      packages: ["sgdisk", "dosfstools", "btrfs-progs", "mtools", "efibootmgr", "openssl"],
      firnBinary: await firnBinary(),
    });
    const folder = open.use(await disk.temporaryFolder());
    firmwareVars = join(folder.path, "vars.fd");
    virtio = { file: join(folder.path, "virtio.raw"), format: "raw" };
    nvme = { file: join(folder.path, "nvme.raw"), format: "raw", interface: "nvme" };
    for (const { file } of [virtio, nvme]) await disk.blankImage(file, 2048);
    const disks = [virtio, { file: await mirror(), format: "raw", readonly: true } as const, nvme];
    live = open.use(await startMachine({ ...system, disks, firmwareVars, memoryMiB: 2048 }));
    await live.login("root", undefined, { timeoutSeconds: 120 });
    await mountMirror(live);
  });
  after(() => open[Symbol.asyncDispose]());

  /** Sectors that the kernel has written to a disk since the boot (Documentation/block/stat.rst, field 7). */
  async function written(name: string): Promise<number> {
    return Number(await live.check(`set -- $(cat /sys/block/${name}/stat); echo $7`));
  }

  /** Runs an installation up to its question, where `answer` is typed, and to its end. */
  async function answered(target: string, answer: string): Promise<CommandResult> {
    const asking = live.run(`firn install ${target} ${flags}`, { ...patient, interactive: true });
    const early = asking.then(({ stdout }) => new Error(`it ended without a question:\n${stdout}`));
    const first = await Promise.race([early, live.waitFor(/will be lost\. Type \w+ to go on: $/, patient)]);
    if (first instanceof Error) throw first;
    live.send(`${answer}\n`);
    return asking;
  }

  /**
   * Runs an installation that must be refused, with nothing written to the disk. Without an answer there is no
   * terminal.
   */
  async function refused(target: string, code: string, exit: number, answer?: string): Promise<string> {
    const name = /nvme0n1|vda/.exec(target)?.[0] ?? "";
    const before_ = await written(name);
    const { status: ended, stdout } =
      answer === undefined
        ? await live.run(`firn install ${target} ${flags}`, patient)
        : await answered(target, answer);
    assert.equal(ended, exit, stdout);
    assert.match(stdout, new RegExp(`${code}: `));
    assert.match(stdout, /Nothing was changed/);
    await live.check("sync");
    assert.equal(await written(name), before_, `${target} was written to`);
    return stdout;
  }

  test("a partition, a disk in use, and a disk that nobody confirmed are refused, and nothing is written to them", async () => {
    await live.check("sgdisk -n 1:0:+512M -c 1:DATA /dev/nvme0n1 && mkfs.btrfs -q -L precious /dev/nvme0n1p1 && sync");
    assert.match(await refused("/dev/nvme0n1p1", "E_DISK_PARTITION", 21), /firn install \/dev\/nvme0n1\b/);
    await live.check("mkdir -p /mnt/data && mount /dev/nvme0n1p1 /mnt/data && sync");
    assert.match(await refused("/dev/nvme0n1", "E_DISK_BUSY", 22), /\/mnt\/data/);
    await live.check("umount /mnt/data && sync");
    assert.match(await refused("/dev/nvme0n1", "E_DISK_FULL_OF_DATA", 24), /precious[^]*--yes/);
    assert.match(await refused("/dev/vda", "E_CONFIRM", 28), /--yes/);
    assert.match(await refused("/dev/vda", "E_CONFIRM", 28, "vdb"), /Everything on \/dev\/vda will be lost/);
    await live.check("mount /dev/nvme0n1p1 /mnt/data && umount /mnt/data");
  });

  test("an installation that is killed leaves no mount, no process and no loop device, and says how far it came", async () => {
    const mounts = await live.check("cat /proc/mounts");
    const log = "/tmp/killed";
    const kill = `until grep -q 'Install packages' ${log} || ! kill -0 $firn; do sleep 0.1; done; kill -9 $firn; wait $firn`;
    const ended = await live.run(`firn install /dev/nvme0n1 ${flags} --yes >${log} 2>&1 & firn=$!; ${kill}`, patient);
    assert.equal(ended.status, 137, await live.check(`cat ${log}`));
    await live.check("sleep 1");
    assert.equal(await live.check("cat /proc/mounts"), mounts);
    assert.equal(await live.check("losetup -a"), "");
    assert.equal((await live.run("ps -o comm | grep -E '^(firn|apk|mkinitfs)'")).stdout, "");
    const told = await live.check("firn status --volume /dev/nvme0n1");
    assert.match(told, /stopped at step "(base|commons|packages)"/);
    await live.check("sync");
  });

  test("the disk of a killed installation boots nothing", async () => {
    // The live system has the disk itself open.
    const copy = join(dirname(nvme.file), "killed.raw");
    await runProgram(["cp", "--sparse=always", nvme.file, copy]);
    await using machine = await startMachine({ disks: [{ ...nvme, file: copy }] });
    const { text } = await machine.waitFor(/No bootable option or device was found|Shell>|UEFI Interactive Shell/);
    assert.doesNotMatch(text, /rEFInd|Booting OS/);
  });

  test("firn install asks for the disk's name, installs, and adds a boot entry", async () => {
    const { status: ended, stdout } = await answered("/dev/vda", "vda");
    assert.match(stdout, /Everything on \/dev\/vda will be lost\. Type vda to go on: /);
    assert.equal(ended, 0, stdout);
    assert.match(stdout, /\/dev\/vda boots Alpine 3\.19\.1/);
    assert.match(await live.check("efibootmgr -v"), /Boot\d{4}\* firn\t.*\\EFI\\firn\\refind_x64\.efi/i);
    assert.deepEqual(await partitions("/dev/vda"), ["EFI", "ROOT", "SWAP"]);
  });

  test("the disk of a killed installation takes another one", async () => {
    const { status: ended, stdout } = await live.run(`firn install /dev/nvme0n1 ${flags} --yes`, patient);
    assert.equal(ended, 0, stdout);
    await live.check("test -b /dev/nvme0n1p1 && test -b /dev/nvme0n1p2");
    assert.deepEqual(await partitions("/dev/nvme0n1"), ["EFI", "ROOT", "SWAP"]);
    live.start("poweroff");
    await live.waitForPowerOff();
  });

  async function partitions(device: string): Promise<string[]> {
    const listed = await live.check(`sgdisk -p ${device}`);
    return [...listed.matchAll(/^ +\d+ .* (\S+)$/gm)].map(([, name]) => name ?? "");
  }

  test("the machine boots from that disk alone, by its boot entry, with its swap", async () => {
    await using machine = await startMachine({ disks: [virtio], firmwareVars });
    await machine.waitFor(/BdsDxe: starting Boot\d{4} "firn"/);
    await loginRoot(machine);
    assert.deepEqual(failures(machine), []);
    assert.equal(await machine.check("hostname"), "ice\n");
    assert.match(await machine.check("cat /proc/swaps"), /^\/dev\/vda3\s+partition\s+\d+/m);
    assert.equal((await machine.run("touch /x")).status, 1);
    const { booted, slots, unfinished } = await status(machine);
    assert.deepEqual([slots, unfinished], [[booted, booted, booted, booted], null]);
    machine.start("poweroff");
    await machine.waitForPowerOff();
  });

  test("a machine that never saw it boots it too, and so one with an NVMe disk", async () => {
    {
      await using machine = await startMachine({ disks: [{ ...virtio, snapshot: true }] });
      await machine.waitFor("Boot Alpine 0 from ROOT");
      assert.doesNotMatch(machine.text, /"firn"/);
    }
    await using machine = await startMachine({ disks: [nvme] });
    await loginRoot(machine);
    assert.match(await machine.check("mount | grep ' on / '"), /^\/dev\/nvme0n1p2 on \/ type btrfs \(ro,/);
    assert.match(await machine.check("cat /proc/swaps"), /^\/dev\/nvme0n1p3\s/m);
    assert.equal((await status(machine)).unfinished, null);
  });
});
