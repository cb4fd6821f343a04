import { existsSync } from "node:fs";
import { appendFile, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { hostApk } from "./alpine.ts";
import { cached, cacheKey } from "../cache.ts";
import { runProgram } from "../program.ts";

export interface LiveSystemOptions {
  /** Becomes /usr/sbin/firn. */
  readonly firnBinary?: string;
  /** Folders as apk's -X takes them; one must hold linux-virt or another kernel package. */
  readonly repositories: readonly string[];
  /** Public keys; they are also /etc/apk/keys of the live system. */
  readonly keysDir: string;
  /** Besides alpine-base and the kernel. */
  readonly packages: readonly string[];
  /** Default linux-virt. */
  readonly kernelPackage?: string;
  /** Path in the live system → file of the host, with its mode. */
  readonly extraFiles?: Readonly<Record<string, string>>;
}

export interface LiveSystem {
  readonly kernel: string;
  readonly initrd: string;
  /** The kernel's command line, for startMachine's `append`. */
  readonly append: string;
}

/**
 * Loaded before OpenRC starts; what they need comes along. Modules a kernel has built in, or lacks, are passed over.
 */
const modules =
  "virtio_pci virtio_blk virtio_net virtio_rng nvme loop efivarfs btrfs ext4 vfat nls_cp437 nls_iso8859_1 nls_utf8 overlay";

/**
 * What the kernel starts: it unpacks the system into a tmpfs and goes there, as Alpine's own live media do. The
 * kernel's first root file system would hold it as well, but df and mount do not see that one, and nothing can be
 * pivoted out of it.
 */
const init = `#!/bin/busybox sh
/bin/busybox mkdir -p /system
/bin/busybox mount -t tmpfs -o mode=755,size=75% system /system
cd /system
/bin/busybox gunzip -c /system.cpio.gz | /bin/busybox cpio -idm
[ ! -d /top ] || /bin/busybox cp -a /top/. /system/
cd /
exec /bin/busybox switch_root /system /sbin/start
`;

/** Then this, before OpenRC. */
const start = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t devtmpfs -o nosuid dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620 devpts /dev/pts
for module in ${modules}; do modprobe -q "$module"; done
mount -t efivarfs efivarfs /sys/firmware/efi/efivars 2>/dev/null
exec /sbin/init
`;

/** Only what a shell on the serial console needs: each service costs seconds under emulation. */
const inittab = `::sysinit:/sbin/openrc sysinit
::sysinit:/sbin/openrc boot
::wait:/sbin/openrc default
ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100
::ctrlaltdel:/sbin/reboot
::shutdown:/sbin/openrc shutdown
`;

const runlevels: Readonly<Record<string, readonly string[]>> = {
  sysinit: ["devfs", "dmesg", "mdev"],
  boot: ["hostname", "bootmisc"],
  shutdown: ["killprocs", "mount-ro"],
};

/**
 * Builds an Alpine live system that lives in RAM: real packages, installed by real apk; OpenRC; root logs in on ttyS0
 * without a password. Cached by content: the packages once (20 s), firn's binary and extra files on top at each change
 * (1 s). Give the machine 2048 MiB. Throws what apk says when a package is missing or a signature does not verify.
 */
export async function buildLiveSystem(options: LiveSystemOptions): Promise<LiveSystem> {
  const kernelPackage = options.kernelPackage ?? "linux-virt";
  const packages = ["alpine-base", kernelPackage, ...options.packages].toSorted();
  const key = cacheKey(
    await readFile(import.meta.filename),
    packages.join(" "),
    ...(await Promise.all(options.repositories.map((folder) => readFile(join(folder, "x86_64/APKINDEX.tar.gz"))))),
    ...(await readdir(options.keysDir)).toSorted(),
  );
  const base = await cached("live", key, (folder) => buildBase(folder, packages, options));
  const kernel = join(base, "vmlinuz");
  const append = "console=ttyS0 quiet";

  const files = { ...options.extraFiles };
  if (options.firnBinary !== undefined) files["/usr/sbin/firn"] = options.firnBinary;
  if (Object.keys(files).length === 0) return { kernel, initrd: join(base, "initrd"), append };
  const contents = await Promise.all(Object.values(files).map((file) => readFile(file)));
  const topKey = cacheKey(key, Object.keys(files).join("\n"), ...contents);
  const top = await cached("live-top", topKey, (folder) => addFiles(folder, join(base, "initrd"), files));
  return { kernel, initrd: join(top, "initrd"), append };
}

async function buildBase(folder: string, packages: readonly string[], options: LiveSystemOptions): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), "firn-live-"));
  try {
    const root = join(work, "root");
    await mkdir(join(root, "etc/mkinitfs"), { recursive: true });
    // The live system is its own initramfs: the kernel package's trigger would build another for nothing.
    await writeFile(join(root, "etc/mkinitfs/mkinitfs.conf"), 'features="base"\ndisable_trigger=yes\n');
    const apk = [...(await hostApk(options.repositories)), "--root", root, "--keys-dir", options.keysDir, "--no-cache"];
    const sources = options.repositories.flatMap((repository) => ["-X", repository]);
    const { stderr } = await runProgram([...apk, ...sources, "--initdb", "add", ...packages]);
    // apk warns of a missing or untrusted repository and exits 0.
    if (stderr.includes("WARNING")) throw new Error(`apk: ${stderr}`);
    await configure(root, options.keysDir);
    const boot = await readdir(join(root, "boot"));
    const kernel = boot.find((name) => name.startsWith("vmlinuz-"));
    if (kernel === undefined) throw new Error(`no kernel among ${packages.join(" ")}: /boot has ${boot.join(" ")}`);
    await copyFile(join(root, "boot", kernel), join(folder, "vmlinuz"));
    await rm(join(root, "boot"), { recursive: true });
    await packArchive(root, join(work, "system.cpio"));
    await runProgram(["gzip", "-1", "-n", join(work, "system.cpio")]);
    await packArchive(await outer(root, work), join(folder, "initrd"));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function configure(root: string, keysDir: string): Promise<void> {
  await writeFile(join(root, "sbin/start"), start, { mode: 0o755 });
  await writeFile(join(root, "etc/inittab"), inittab);
  await writeFile(join(root, "etc/hostname"), "live\n");
  await mkdir(join(root, "boot"), { recursive: true });
  await mkdir(join(root, "media/mirror"), { recursive: true });
  const shadow = join(root, "etc/shadow");
  const accounts = await readFile(shadow, "utf8");
  if (!/^root:/m.test(accounts)) throw new Error(`no root in ${shadow}`);
  await writeFile(shadow, accounts.replace(/^root:[^:]*:/m, "root::"));
  await mkdir(join(root, "etc/apk/keys"), { recursive: true });
  for (const key of await readdir(keysDir)) await copyFile(join(keysDir, key), join(root, "etc/apk/keys", key));
  for (const [runlevel, services] of Object.entries(runlevels)) {
    for (const service of services) {
      if (!existsSync(join(root, "etc/init.d", service))) throw new Error(`alpine-base brings no service ${service}`);
      await runProgram(["ln", "-sf", `/etc/init.d/${service}`, join(root, "etc/runlevels", runlevel, service)]);
    }
  }
}

/** The tree of the initramfs proper: init, busybox and the packed system. */
async function outer(root: string, work: string): Promise<string> {
  const tree = join(work, "outer");
  for (const name of ["bin", "dev", "lib"]) await mkdir(join(tree, name), { recursive: true });
  await writeFile(join(tree, "init"), init, { mode: 0o755 });
  for (const file of ["bin/busybox", "lib/ld-musl-x86_64.so.1"]) await copyFile(join(root, file), join(tree, file));
  await runProgram(["mv", join(work, "system.cpio.gz"), tree]);
  // What init says goes here: devtmpfs is not mounted yet.
  await runProgram(["mknod", "-m", "600", join(tree, "dev/console"), "c", "5", "1"]);
  return tree;
}

/** Everything below `tree` as a cpio archive in the form the kernel unpacks. */
async function packArchive(tree: string, file: string): Promise<void> {
  const { stdout: names } = await runProgram(["find", ".", "-mindepth", "1"], { cwd: tree });
  await runProgram(["cpio", "--quiet", "-o", "-H", "newc", "-F", file], { cwd: tree, input: names });
}

/** The kernel unpacks archives one after another: a second one adds to the first, or replaces in it. */
async function addFiles(folder: string, base: string, files: Readonly<Record<string, string>>): Promise<void> {
  const root = join(folder, "root");
  for (const [target, source] of Object.entries(files)) {
    const place = join(root, "top", target);
    await mkdir(dirname(place), { recursive: true });
    await runProgram(["cp", "--preserve=mode", source, place]);
  }
  const top = join(folder, "top");
  await packArchive(root, top);
  await rm(root, { recursive: true });
  await copyFile(base, join(folder, "initrd"));
  await appendFile(join(folder, "initrd"), await readFile(top));
  await rm(top);
}
