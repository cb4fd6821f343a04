import { FirnError } from "../../model/problem.ts";
import { flushDevice } from "../kernel/devices.ts";
import { readWhole, removeFile, writeText } from "../kernel/files.ts";
import { scratch } from "../kernel/mounts.ts";
import { programFailed, run, tryRun, type Finished } from "../kernel/run.ts";

/** A boot loader's parts on this machine, and what they are called on an EFI partition. */
export interface LoaderFiles {
  /** Path of the program here: "…/refind_x64.efi". */
  readonly loader: string;
  /** "refind_x64.efi" */
  readonly loaderName: string;
  /** What firmware starts from a disk that it has no entry for: "BOOTX64.EFI". */
  readonly removableName: string;
  /** What it loads from the folder that it lies in: a path here, and one below that folder. */
  readonly companions: readonly { readonly from: string; readonly to: string }[];
  /** What its menu is called there: "refind.conf". */
  readonly menuName: string;
  /** "0.13.2", where it is easily read out of the loader. */
  readonly version: string | undefined;
}

/** Where the loader lives, for the firmware's own boot entry. Slashes as mtools takes them. */
const FIRN = "EFI/firn";
/** Where firmware looks on a disk that it has no entry for. */
const REMOVABLE = "EFI/BOOT";

/** Neither a check of geometry from the days of floppies nor anybody's drive letters. */
const mtoolsEnv = { MTOOLS_SKIP_CHECK: "1", MTOOLSRC: "/dev/null" };

function mtools(device: string, [program, ...rest]: [program: string, ...rest: string[]]): Finished {
  return run([program, "-i", device, ...rest], { env: mtoolsEnv });
}

function isThere(device: string, path: string): boolean {
  // mattrib says nothing but whether the name is there.
  return tryRun(["mattrib", "-i", device, `::/${path}`], { env: mtoolsEnv }).status === 0;
}

function makeFolder(device: string, path: string): void {
  const parts = path.split("/");
  for (let depth = 1; depth <= parts.length; depth++) {
    const folder = parts.slice(0, depth).join("/");
    if (!isThere(device, folder)) mtools(device, ["mmd", `::/${folder}`]);
  }
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Reads a file back from the partition and compares. Throws E_BOOT_LOADER when it is not what was written. */
function verify(device: string, source: string, path: string): void {
  const copy = `${scratch()}/esp-readback`;
  const read = tryRun(["mcopy", "-n", "-i", device, `::/${path}`, copy], { env: mtoolsEnv });
  if (read.status !== 0) throw programFailed(read);
  const same = equalBytes(readWhole(source), readWhole(copy));
  removeFile(copy);
  if (!same) {
    throw new FirnError(
      "E_BOOT_LOADER",
      `/${path} on ${device} is not what was written there: the medium fails.`,
      "Choose another disk.",
    );
  }
}

/** A file for the EFI partition: where it comes from, where it goes. */
type Copy = readonly [source: string, path: string];

function put(device: string, copies: readonly Copy[]): void {
  for (const [source, path] of copies) mtools(device, ["mcopy", "-o", source, `::/${path}`]);
  flushDevice(device);
  for (const [source, path] of copies) verify(device, source, path);
}

function writeMenu(menu: string): string {
  const path = `${scratch()}/boot-menu`;
  writeText(path, menu, 0o600);
  return path;
}

/**
 * A loader takes its menu and drivers from beside itself, so each of its two places holds all of it. Makes the folders
 * for them.
 */
function companions(device: string, files: LoaderFiles, menu: string, folder: string): Copy[] {
  const copies: Copy[] = [
    ...files.companions.map(({ from, to }): Copy => [from, `${folder}/${to}`]),
    [writeMenu(menu), `${folder}/${files.menuName}`],
  ];
  for (const [, path] of copies) makeFolder(device, path.slice(0, path.lastIndexOf("/")));
  return copies;
}

/**
 * Writes a boot loader, what it loads and its menu into `\EFI\firn\` of the FAT on `device`, through mtools: the
 * partition is never mounted. Reads back what it wrote. Nothing starts it yet. Files of that name are replaced. To be
 * called in a mount namespace of its own. Gives the loader's path as the firmware spells it. Throws E_PROGRAM_FAILED,
 * E_BOOT_LOADER.
 */
export function writeBootLoader(device: string, files: LoaderFiles, menu: string): string {
  const loader = `${FIRN}/${files.loaderName}`;
  put(device, [...companions(device, files, menu, FIRN), [files.loader, loader]]);
  return `\\${loader.replaceAll("/", "\\")}`;
}

/**
 * Makes the disk bootable by itself: `\EFI\BOOT\`, with the program that firmware starts as the very last name to
 * appear, after all of it was flushed and compared. To be called when everything else of an installation is done: what
 * stops before this does not boot at all.
 */
export function enableRemovablePath(device: string, files: LoaderFiles, menu: string): void {
  const program = `${REMOVABLE}/${files.removableName}`;
  const beside = `${REMOVABLE}/${files.removableName.replace(/EFI$/, "NEW")}`;
  put(device, [...companions(device, files, menu, REMOVABLE), [files.loader, beside]]);
  if (isThere(device, program)) mtools(device, ["mdel", `::/${program}`]);
  mtools(device, ["mren", `::/${beside}`, `::/${program}`]);
  flushDevice(device);
  verify(device, files.loader, program);
}
