import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildPackages } from "../../scripts/package.ts";
import { firnBinary } from "../kit/firn.ts";
import { PASSWORD, imageWith, machineFlags } from "../kit/image.ts";
import { requires } from "../kit/requires.ts";
import { alpineMirror, fixtures } from "../fixtures/fixtures.ts";
import { cached, cacheKey } from "./harness/cache.ts";
import { type Machine, type MachineOptions, startMachine } from "./harness/machine.ts";
import { mirrorDisk } from "./harness/media/mirror-disk.ts";

/** Why no installed system can be booted here, or false. */
export const skip = requires("qemu", "disks", "mirror", "apt");

export interface Sources {
  /** firn's own packages, made of the binary under test. */
  readonly firn: string;
  /** Alpine's keys, the fixtures' and that of firn's packages. */
  readonly keysDir: string;
}

/** Where the systems under test get firn from: as an Alpine package, the way its users do. */
export async function sources(): Promise<Sources> {
  const { keysDir } = await fixtures();
  const packages = await buildPackages({ binary: await firnBinary() });
  const all = await cached("keys", cacheKey(readFileSync(packages.publicKey), keysDir), async (folder) => {
    for (const from of [keysDir, packages.keysDir]) await cp(from, folder, { recursive: true });
  });
  return { firn: packages.repository, keysDir: all };
}

/** The flags of test/kit/image.ts, with firn from its own packages. */
export async function systemFlags(): Promise<string[]> {
  const { firn, keysDir } = await sources();
  const flags = await machineFlags();
  flags[flags.indexOf("--keys-dir") + 1] = keysDir;
  return [...flags, "-X", firn];
}

/** A cached image of a system that has firn as a package. Lay an overlay over it. */
export async function systemImage(size = "2G", extra: readonly string[] = []): Promise<string> {
  return imageWith(size, [...(await systemFlags()), ...extra]);
}

/** An SSH key pair that is the same in every run, so that the images which hold it can be cached. */
export async function sshKey(): Promise<{ readonly privateKey: string; readonly publicKey: string }> {
  const folder = await cached("ssh", cacheKey("rsa 2048"), async (target) => {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const { e = "", n = "" } = publicKey.export({ format: "jwk" });
    const parts = [Buffer.from("ssh-rsa"), ...[e, n].map((text) => positive(Buffer.from(text, "base64url")))];
    const line = Buffer.concat(parts.flatMap((part) => [length(part), part])).toString("base64");
    await writeFile(join(target, "id"), privateKey.export({ type: "pkcs1", format: "pem" }), { mode: 0o600 });
    await writeFile(join(target, "id.pub"), `ssh-rsa ${line} tester\n`);
  });
  return {
    privateKey: readFileSync(join(folder, "id"), "utf8"),
    publicKey: readFileSync(join(folder, "id.pub"), "utf8").trim(),
  };
}

/** RFC 4251, 5: a number's first bit is its sign. */
function positive(bytes: Buffer): Buffer {
  return (bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Buffer.from([0]), bytes]);
}

function length(bytes: Buffer): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(bytes.length);
  return out;
}

/** Logs root in with the password of test/kit/image.ts. */
export async function loginRoot(machine: Machine): Promise<void> {
  await machine.login("root", PASSWORD, { timeoutSeconds: 120 });
}

/**
 * What OpenRC calls a failure in a boot under Debian's kernel, and nothing but this: the kernel is built without
 * UEVENT_HELPER, which Alpine's has, so mdev finds no `/proc/sys/kernel/hotplug`.
 */
export const debianKernelFailure =
  /^ \* Starting busybox mdev .*\/proc\/sys\/kernel\/hotplug: nonexistent directory \[ !! \]$/;

/** What OpenRC called a failure on the console since `from`, a line each. */
export function failures(machine: Machine, from = 0): string[] {
  const lines = machine.text.slice(from).split("\n");
  return lines.flatMap((line, at) => {
    if (!line.includes("[ !! ]")) return [];
    // What a service prints pushes its verdict to a line of its own.
    return [line.trimStart().startsWith("[") ? `${lines[at - 1] ?? ""} ${line.trim()}` : line];
  });
}

/** The generation ids in the slots, from 0, and what `firn status --json` says besides. */
export interface Status {
  readonly booted: string | null;
  readonly next: string | null;
  readonly slots: readonly string[];
  readonly drafts: readonly string[];
  readonly unfinished: string | null;
  readonly pending: {
    readonly action: string;
    readonly services: readonly { readonly name: string }[];
    readonly reasons: readonly string[];
  } | null;
}

export async function status(machine: Machine): Promise<Status> {
  return JSON.parse(await machine.check("firn status --json")) as Status;
}

/** Things that a whole suite shares, let go in reverse order at its end. Node 20 has no AsyncDisposableStack. */
export class Held implements AsyncDisposable {
  readonly #things: AsyncDisposable[] = [];

  use<T extends AsyncDisposable>(thing: T): T {
    this.#things.push(thing);
    return thing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let thing = this.#things.pop(); thing !== undefined; thing = this.#things.pop())
      await thing[Symbol.asyncDispose]();
  }
}

/**
 * A computer with its disks and its NVRAM, for tests that switch it on more than once. It holds the machine that runs.
 */
export class Computer implements AsyncDisposable {
  readonly #options: MachineOptions;
  #machine: Machine | undefined;

  constructor(options: MachineOptions) {
    this.#options = options;
  }

  async on(): Promise<Machine> {
    await this.#machine?.[Symbol.asyncDispose]();
    this.#machine = await startMachine({ ...this.#options, noReboot: true });
    return this.#machine;
  }

  /**
   * Lets the system reboot, and starts the machine anew once it has reset itself. QEMU 7.2 sometimes loops for ever in
   * the firmware after a reset within one process (TCG, in the list of translations of a page).
   */
  async reboot(machine: Machine): Promise<Machine> {
    machine.start("reboot");
    await machine.waitForPowerOff({ timeoutSeconds: 120 });
    assert.match(machine.text, /reboot: Restarting system/);
    return this.on();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#machine?.[Symbol.asyncDispose]();
  }
}

/** Flags for a system without the services that no test looks at: under emulation each costs seconds of a boot. */
export const lean: readonly string[] = [
  ...["mdev", "hwdrivers", "dmesg"].map((name) => `!sysinit/${name}`),
  ...["modules", "hwclock", "sysctl", "syslog", "seedrng", "networking"].map((name) => `!boot/${name}`),
  ...["crond", "acpid"].map((name) => `!default/${name}`),
].flatMap((word) => ["--service", word]);

/** Mounts the mirror, the second disk, where the tests name it. The root has no such folder, so a tmpfs lends one. */
export async function mountMirror(machine: Machine): Promise<void> {
  await machine.check(
    "mount -t tmpfs media /media && mkdir /media/mirror && mount -t ext4 -o ro /dev/vdb /media/mirror",
  );
}

/** A disk with all repositories below their own names, for mountMirror. */
export async function mirror(): Promise<string> {
  const { v1, v2 } = await fixtures();
  const { firn, keysDir } = await sources();
  const releases = ["v3.19.1", "extras", "v3.19.4", "v3.20.3"].map((name) => [name, join(alpineMirror, name)]);
  return mirrorDisk({ ...Object.fromEntries(releases), v1, v2, firn, keys: keysDir });
}

/**
 * The next generation takes its packages from the mirror disk, by default from where the running one came from. The
 * image was made on this host, whose folders its /etc/apk/repositories names.
 */
export async function useMirror(machine: Machine): Promise<void> {
  await mountMirror(machine);
  const lines = ["v3.19.1", "extras", "v1", "firn"].map((name) => `/media/mirror/${name}\\n`).join("");
  await machine.check(`firn run --description mirror -- sh -c 'printf "${lines}" >/etc/apk/repositories'`);
}
