/** What tests need of the machine they run on: the one place that decides whether one can run. */
import { existsSync } from "node:fs";
import { alpineMirror } from "../fixtures/fixtures.ts";
import { disksUnavailable, vmUnavailable } from "../vm/harness/firmware.ts";
import { findProgram } from "../vm/harness/program.ts";

function program(name: string): () => string | undefined {
  return () => (findProgram(name) === undefined ? `needs ${name}` : undefined);
}

function path(what: string, name = what): () => string | undefined {
  return () => (existsSync(name) ? undefined : `needs ${what}`);
}

/** Where Debian puts rEFInd; its copies are what the tests lay out in other ways. */
export const refindFolder = "/usr/share/refind/refind";

/** By requirement: why this machine does not meet it, or undefined. */
const missing = {
  root: () => (process.getuid?.() === 0 ? undefined : "needs root"),
  loop: path("loop devices", "/dev/loop-control"),
  mirror: path("the mirror of Alpine packages at ../shared/alpine", alpineMirror),
  refind: path(`rEFInd in ${refindFolder}`, `${refindFolder}/refind_x64.efi`),
  /** A folder of /dev, which a draft can share with the host. */
  shm: path("/dev/shm"),
  /** The stand-in packages are made from Debian's. */
  apt: program("apt-get"),
  /** Loop mounts, and the programs that fill disk images. */
  disks: disksUnavailable,
  /** QEMU with UEFI firmware. */
  qemu: vmUnavailable,
  strace: program("strace"),
  rsync: program("rsync"),
  setfattr: program("setfattr"),
  setfacl: program("setfacl"),
  mandoc: program("mandoc"),
  bash: program("bash"),
  fish: program("fish"),
  zsh: program("zsh"),
} as const satisfies Record<string, () => string | undefined>;

export type Requirement = keyof typeof missing;

/**
 * Why a test that needs these cannot run here, for its `skip`; false when it can. With FIRN_REQUIRE_ALL=1, which CI
 * sets, what is missing fails the file that asks.
 */
export function requires(...names: readonly Requirement[]): string | false {
  const reasons = names.flatMap((name) => missing[name]() ?? []);
  if (reasons.length === 0) return false;
  if (process.env["FIRN_REQUIRE_ALL"] === "1") throw new Error(`FIRN_REQUIRE_ALL=1: ${reasons.join("; ")}`);
  return reasons.join("; ");
}
