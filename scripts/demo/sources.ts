import { existsSync } from "node:fs";
import { join } from "node:path";
import { alpineMirror, fixtures } from "../../test/fixtures/fixtures.ts";
import { mirrorDisk } from "../../test/vm/harness/media/mirror-disk.ts";
import { findProgram } from "../../test/vm/harness/program.ts";

/** Where the packages of the demonstration come from. */
export interface Sources {
  /** A sentence about them. */
  readonly about: string;
  /** Flags of `firn image`. */
  readonly install: readonly string[];
  /** Flags of `firn upgrade`. */
  readonly upgrade: readonly string[];
  /** An ext4 image with the repositories, to be mounted at /mnt here and in the machine alike. */
  readonly packages: string | undefined;
}

/** Where the disk of packages is mounted: a folder that every Linux has. */
export const PACKAGES = "/mnt";

/**
 * Real Alpine packages beside the checkout, and stand-ins for the kernel and what else it lacks, on a disk of their
 * own.
 */
async function besideCheckout(): Promise<Sources> {
  const { v1, v2, keysDir, kernels } = await fixtures();
  const packages = await mirrorDisk({
    "v3.19.1": join(alpineMirror, "v3.19.1"),
    "v3.19.4": join(alpineMirror, "v3.19.4"),
    "kernel-1": v1,
    "kernel-2": v2,
    keys: keysDir,
  });
  return {
    about:
      `Alpine 3.19.1 from ../shared/alpine, and stand-ins made of Debian's binaries for what is not there: ` +
      `linux-virt (${kernels.v1.release}, later ${kernels.v2.release}), mkinitfs, btrfs-progs, refind.`,
    install: ["-X", `${PACKAGES}/v3.19.1`, "-X", `${PACKAGES}/kernel-1`, "--keys-dir", `${PACKAGES}/keys`],
    upgrade: ["-X", `${PACKAGES}/v3.19.4`, "-X", `${PACKAGES}/kernel-2`],
    packages,
  };
}

/** Alpine's own mirror: one release, and the next. */
const alpine: Sources = {
  about: "Alpine v3.20 from dl-cdn.alpinelinux.org, and v3.21 for the upgrade.",
  install: ["--release", "v3.20"],
  upgrade: ["--release", "v3.21"],
  packages: undefined,
};

/** The packages beside the checkout where they are, else Alpine's mirror. */
export async function findSources(): Promise<Sources> {
  return existsSync(alpineMirror) && findProgram("apt-get") !== undefined ? await besideCheckout() : alpine;
}
