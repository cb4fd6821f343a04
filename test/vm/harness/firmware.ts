import { accessSync, constants, existsSync } from "node:fs";
import { findProgram } from "./program.ts";

/** UEFI firmware for QEMU: the code, and the template that every machine's variables start from. */
export interface Firmware {
  readonly code: string;
  readonly variables: string;
}

/** Where distributions put x86_64 OVMF without Secure Boot; code and variables must be of the same build and size. */
const places: readonly Firmware[] = [
  // Debian, Ubuntu
  { code: "/usr/share/OVMF/OVMF_CODE_4M.fd", variables: "/usr/share/OVMF/OVMF_VARS_4M.fd" },
  // Alpine, older Debian
  { code: "/usr/share/OVMF/OVMF_CODE.fd", variables: "/usr/share/OVMF/OVMF_VARS.fd" },
  // Arch
  { code: "/usr/share/edk2/x64/OVMF_CODE.4m.fd", variables: "/usr/share/edk2/x64/OVMF_VARS.4m.fd" },
  { code: "/usr/share/edk2-ovmf/x64/OVMF_CODE.fd", variables: "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd" },
  // Fedora
  { code: "/usr/share/edk2/ovmf/OVMF_CODE.fd", variables: "/usr/share/edk2/ovmf/OVMF_VARS.fd" },
  // openSUSE
  { code: "/usr/share/qemu/ovmf-x86_64-code.bin", variables: "/usr/share/qemu/ovmf-x86_64-vars.bin" },
  // QEMU's own build; the i386 template serves both (QEMU's descriptor 60-edk2-x86_64.json)
  { code: "/usr/share/qemu/edk2-x86_64-code.fd", variables: "/usr/share/qemu/edk2-i386-vars.fd" },
];

/** The first complete firmware of this host, or undefined. */
export function findFirmware(): Firmware | undefined {
  return places.find((place) => existsSync(place.code) && existsSync(place.variables));
}

/** QEMU's program name for the only architecture that is tested. */
export const qemuProgram = "qemu-system-x86_64";

/**
 * Why no virtual machine can run here, in words for a test's `skip`, with what to install; undefined when one can.
 * Hardware virtualisation is not needed.
 */
export function vmUnavailable(): string | undefined {
  if (findProgram(qemuProgram) === undefined)
    return `${qemuProgram} is missing: install qemu-system-x86 (Debian) or qemu-system-x86_64 (Alpine)`;
  if (findProgram("qemu-img") === undefined)
    return "qemu-img is missing: install qemu-utils (Debian) or qemu-img (Alpine)";
  if (findFirmware() === undefined) return "no UEFI firmware for QEMU: install ovmf (Debian, Alpine)";
  return undefined;
}

/** Why no disk image can be built here (loop mounts and their tools), or undefined. */
export function disksUnavailable(): string | undefined {
  if (process.getuid?.() !== 0) return "not root: btrfs images are filled through a loop mount";
  const missing = ["sgdisk", "mkfs.fat", "mcopy", "mkfs.btrfs", "unshare", "nsenter", "losetup"].filter(
    (name) => findProgram(name) === undefined,
  );
  if (missing.length > 0)
    return `missing programs: ${missing.join(", ")} (packages gdisk or sgdisk, dosfstools, mtools, btrfs-progs, util-linux)`;
  try {
    accessSync("/dev/loop-control", constants.W_OK);
  } catch {
    return "no loop devices: /dev/loop-control cannot be written";
  }
  return undefined;
}
