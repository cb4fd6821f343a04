import type { Arch } from "../../model/boot/menu.ts";
import { peMachine, peMachines } from "../../model/boot/pe.ts";
import { refuse, type Refusal } from "../../model/problem.ts";
import { isDirectory, isFile, readBytes, readWhole } from "../kernel/files.ts";
import type { LoaderFiles } from "./esp.ts";

/** EFI's name of an architecture, and what packagers call the drivers' folder: upstream and Debian, Alpine. */
const spellings = {
  x86_64: { efi: "x64", drivers: ["drivers_x64", "drivers_x86_64"] },
  aarch64: { efi: "aa64", drivers: ["drivers_aa64", "drivers_aarch64"] },
} as const;

/**
 * Where the loader lies below a folder: Alpine's package, Debian's and upstream's zip, and an unpacked package of
 * either.
 */
const below = ["", "/refind", "/usr/share/refind", "/usr/share/refind/refind"];

/** Where host packages put rEFInd. */
export const hostRefindFolders: readonly string[] = ["/usr/share/refind"];

/**
 * Finds rEFInd with its btrfs driver, in `dir` (--refind) alone when given, else in each of `packageDirs`: a folder of
 * rEFInd's, or the root of an unpacked package. A version number says nothing about the driver (some builds of Alpine's
 * left it out), so the files are looked at. Refuses with E_BOOT_LOADER, before anything is written.
 */
export function findRefind(wish: { dir?: string; packageDirs: readonly string[]; arch: Arch }): LoaderFiles | Refusal {
  const { dir, arch } = wish;
  const { efi, drivers } = spellings[arch];
  const loaderName = `refind_${efi}.efi`;
  const driverName = `btrfs_${efi}.efi`;
  if (dir !== undefined && !isDirectory(dir)) {
    return refuse("E_BOOT_LOADER", `--refind ${dir}: no such directory.`);
  }
  const faults: string[] = [];
  for (const base of dir === undefined ? wish.packageDirs : [dir]) {
    for (const folder of below.map((path) => base.replace(/\/+$/, "") + path)) {
      const loader = `${folder}/${loaderName}`;
      if (!isFile(loader)) continue;
      const driver = drivers.map((name) => `${folder}/${name}/${driverName}`).find(isFile);
      const fault =
        programFault(loader, arch) ??
        (driver === undefined
          ? `${folder} has no btrfs driver (${drivers[0]}/${driverName})`
          : programFault(driver, arch));
      if (fault === undefined && driver !== undefined) {
        return {
          ...{ loader, loaderName },
          removableName: `BOOT${efi.toUpperCase()}.EFI`,
          companions: [{ from: driver, to: `${drivers[0]}/${driverName}` }],
          menuName: "refind.conf",
          version: versionOf(loader),
        };
      }
      if (fault !== undefined) faults.push(fault);
    }
  }
  const looked = dir ?? wish.packageDirs.join(", ");
  const what =
    faults.length > 0
      ? `No usable rEFInd: ${faults.join("; ")}.`
      : `No rEFInd for ${arch} (${loaderName}) in ${looked}.`;
  return refuse(
    "E_BOOT_LOADER",
    what,
    arch === "x86_64"
      ? "Install refind (Alpine edge/testing, or Debian), or unpack rEFInd's binary zip and name its folder: --refind DIR."
      : "No distribution packages it: unpack rEFInd's binary zip and name its folder: --refind DIR.",
  );
}

function programFault(path: string, arch: Arch): string | undefined {
  const machine = peMachine(readBytes(path, 0, 4096));
  if (machine === undefined) return `${path} is no EFI program`;
  return machine === peMachines[arch] ? undefined : `${path} is not for ${arch}`;
}

/** Bytes before the text "rEFInd Version %s" in which the number was found: it is the string constant before it. */
const NEAR = 64;

function versionOf(loader: string): string | undefined {
  const bytes = readWhole(loader);
  const marker = Array.from("rEFInd Version %s", (letter) => [letter.charCodeAt(0), 0]).flat();
  for (let at = bytes.indexOf(marker[0] ?? 0); at >= 0; at = bytes.indexOf(marker[0] ?? 0, at + 1)) {
    if (!marker.every((byte, index) => bytes[at + index] === byte)) continue;
    let text = "";
    for (let i = Math.max(0, at - NEAR); i < at; i += 2) text += String.fromCharCode(bytes[i] || 32);
    return /(\d+\.\d+(?:\.\d+)*)\s*$/.exec(text)?.[1];
  }
  return undefined;
}
