import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildPackages } from "../../scripts/package.ts";
import { firnBinary } from "../firn.ts";
import { alpineMirror, fixtures } from "../fixtures/fixtures.ts";
import { imageWith, machineFlags, PASSWORD } from "../image.ts";
import { cached, cacheKey } from "./harness/cache.ts";
import { disksUnavailable, vmUnavailable } from "./harness/firmware.ts";
import type { Machine } from "./harness/machine.ts";
import { findProgram } from "./harness/program.ts";

/** Why no installed system can be booted here, for a test's `skip`; false when one can. */
export const skip: string | false =
  vmUnavailable() ??
  disksUnavailable() ??
  (existsSync(alpineMirror) ? undefined : `no Alpine packages in ${alpineMirror}`) ??
  (findProgram("apt-get") === undefined
    ? "the fixture packages are made from Debian's, and there is no apt-get"
    : undefined) ??
  false;

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

/** The flags of test/image.ts, with firn from its own packages. */
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

/** Logs root in with the password of test/image.ts. */
export async function loginRoot(machine: Machine): Promise<void> {
  await machine.login("root", PASSWORD, { timeoutSeconds: 120 });
}

/**
 * The kernel's own failure, not firn's: Debian's kernel is built without UEVENT_HELPER, which Alpine's has, so OpenRC's mdev cannot
 * write `/proc/sys/kernel/hotplug`.
 */
const debianKernel = /hotplug/;

/** Throws when OpenRC called anything but mdev's hotplug a failure since `from`. */
export function assertNoFailures(machine: Machine, from = 0): void {
  const lines = machine.text.slice(from).split("\n");
  const failed = lines.flatMap((line, at) => (line.includes("[ !! ]") ? [lines.slice(at - 1, at + 1).join("\n")] : []));
  const others = failed.filter((text) => !debianKernel.test(text));
  assert.deepEqual(others, [], "OpenRC reported failures");
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
