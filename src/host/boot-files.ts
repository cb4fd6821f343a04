import { flush } from "./btrfs.ts";
import { Fd, copyFile, exists, insideRoot, isDirectory, names, readBytes, readTextIfAny } from "./files.ts";
import { runPiped } from "./run.ts";
import { O, isSysError, sys } from "./sys.ts";
import { initramfsFormat, kernelRelease, unreadable } from "../model/boot-files.ts";
import { peLength } from "../model/pe.ts";
import { FirnError } from "../model/problem.ts";

/** Bytes of a kernel that hold the PE header and the version string. */
const HEAD = 65_536;

/** Kernel flavours with a kernel in /boot: lts, virt, … */
export function kernelFlavors(root: string): string[] {
  return names(insideRoot(root, "/boot")).flatMap((name) => /^vmlinuz-(.+)$/.exec(name)?.[1] ?? []);
}

/** Bytes of the initramfs images in a root: what a change of its kernel or of mkinitfs writes anew, which apk does not count. */
export function initramfsBytes(root: string): number {
  const boot = insideRoot(root, "/boot");
  const images = names(boot).filter((name) => name.startsWith("initramfs-"));
  return images.reduce((sum, name) => sum + (sys.stat(`${boot}/${name}`, true)?.size ?? 0), 0);
}

export interface BootFiles {
  kernel: string;
  initramfs: string;
}

export function bootFiles(root: string, flavor: string): BootFiles {
  const boot = insideRoot(root, "/boot");
  return { kernel: `${boot}/vmlinuz-${flavor}`, initramfs: `${boot}/initramfs-${flavor}` };
}

function layoutProblem(path: string): string | undefined {
  using fd = Fd.open(path, O.RDONLY);
  const stat = sys.fstat(fd.number);
  return unreadable(sys.extents(fd.number, stat.ino), stat.size);
}

function sameExtents(a: string, b: string): boolean {
  if (!exists(b)) return false;
  using first = Fd.open(a, O.RDONLY);
  using second = Fd.open(b, O.RDONLY);
  const [x, y] = [sys.fstat(first.number), sys.fstat(second.number)];
  if (x.size !== y.size || x.mtime !== y.mtime || x.ino !== y.ino) return false;
  return JSON.stringify(sys.extents(first.number, x.ino)) === JSON.stringify(sys.extents(second.number, y.ino));
}

/** rEFInd's driver cannot read holes, preallocated tails or LZO: such a file is written anew. */
function makeReadable(path: string, top: string): void {
  const problem = layoutProblem(path);
  if (problem === undefined) return;
  const beside = `${path}.firn-new`;
  copyFile(path, beside);
  sys.rename(beside, path, 0);
  flush(top);
  const still = layoutProblem(path);
  if (still !== undefined) {
    throw new FirnError(
      "E_BOOT_FILES",
      `${path}: ${still}, which the boot loader cannot read, and writing it anew did not help.`,
    );
  }
}

/** Whether an initramfs carries modules of this kernel: its table of contents, read by the generation's own programs. */
function carriesModules(root: string, path: string, release: string): boolean {
  const inside = path.slice(root.length);
  const format = initramfsFormat(readBytes(path, 0, 16));
  if (format === undefined) return false;
  const unpack = format === "cpio" ? ["cat"] : [format, "-dc"];
  try {
    const { stdout } = runPiped([...unpack, inside], ["cpio", "-t"], { chroot: root });
    return stdout.includes(`lib/modules/${release}/`);
  } catch (error) {
    // cpio met the end of the file before the end of the archive.
    if (error instanceof FirnError && error.problem.code === "E_PROGRAM_FAILED") return false;
    throw error;
  }
}

/**
 * Checks one kernel of a draft as the boot loader and the kernel will read it: PE magic, its modules, an initramfs for the
 * same release, no holes, no LZO. Files that are those of `base`, extent by extent, were checked when that was sealed.
 * Gives `uname -r`. Everything must have been flushed. Throws E_BOOT_FILES.
 */
export function checkBootFiles(top: string, root: string, flavor: string, base: string | undefined): string {
  const files = bootFiles(root, flavor);
  const refuse = (what: string): never => {
    throw new FirnError(
      "E_BOOT_FILES",
      `${what} What boots now was not touched.`,
      `Look at the kernel package linux-${flavor} and mkinitfs.`,
    );
  };
  for (const path of [files.kernel, files.initramfs]) {
    const name = path.slice(root.length);
    const stat = sys.stat(path, true);
    if (stat === null) return refuse(`The new generation has no ${name}, which the boot menu names.`);
    if (stat.size === 0) return refuse(`${name} is empty.`);
  }
  const head = readBytes(files.kernel, 0, HEAD);
  const stated = kernelRelease(head);
  const length = peLength(head);
  if (stated === undefined || length === undefined)
    return refuse(`${files.kernel.slice(root.length)} is no kernel that UEFI can start.`);
  if (length > (sys.stat(files.kernel, true)?.size ?? 0))
    return refuse(`${files.kernel.slice(root.length)} is cut short.`);
  const release = stated || readTextIfAny(insideRoot(root, `/usr/share/kernel/${flavor}/kernel.release`))?.trim();
  if (!release) return refuse(`Nothing says of which release ${files.kernel.slice(root.length)} is.`);
  const before = base === undefined ? undefined : bootFiles(base, flavor);
  const unchanged =
    before !== undefined && sameExtents(files.kernel, before.kernel) && sameExtents(files.initramfs, before.initramfs);
  if (unchanged && isDirectory(insideRoot(root, `/lib/modules/${release}`))) return release;
  if (!isDirectory(insideRoot(root, `/lib/modules/${release}`))) {
    return refuse(`The kernel is ${release}, but /lib/modules/${release} is missing.`);
  }
  if (!carriesModules(root, files.initramfs, release)) {
    return refuse(`${files.initramfs.slice(root.length)} is cut short, or has no modules for the kernel ${release}.`);
  }
  makeReadable(files.kernel, top);
  makeReadable(files.initramfs, top);
  return release;
}

/** Alpine's release as the generation itself says. */
export function alpineRelease(root: string): string | undefined {
  try {
    return readTextIfAny(insideRoot(root, "/etc/alpine-release"))?.trim();
  } catch (error) {
    if (isSysError(error)) return undefined;
    throw error;
  }
}
