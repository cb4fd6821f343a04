import { flush } from "../volume/btrfs.ts";
import { enterRoot } from "../kernel/chroot.ts";
import { Fd, copyFile, exists, insideRoot, isDirectory, names, readBytes, readTextIfAny } from "../kernel/files.ts";
import { run, runPiped } from "../kernel/run.ts";
import { isSysError } from "../kernel/failure.ts";
import { O, S, sys } from "../kernel/sys.ts";
import { initramfsFormat, kernelRelease, unreadable } from "../../model/boot/kernel-image.ts";
import { peLength } from "../../model/boot/pe.ts";
import { FirnError } from "../../model/problem.ts";

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

/**
 * Whether an initramfs can start this kernel: whole, with an init, modules of the release, and btrfs. Its table of contents is read by the
 * generation's own programs.
 */
function startsKernel(top: string, root: string, path: string, release: string): boolean {
  const inside = path.slice(root.length);
  const format = initramfsFormat(readBytes(path, 0, 16));
  if (format === undefined) return false;
  // busybox's programs want a /dev, which the root of a generation made by hand need not have.
  using chroot = enterRoot({ top, root, commons: [], readonly: true });
  const where = { chroot: chroot.path };
  try {
    if (format !== "cpio") run([format, "-t", inside], where);
    const unpack = format === "cpio" ? ["cat"] : [format, "-dc"];
    const { stdout } = runPiped([...unpack, inside], ["cpio", "-t"], where);
    const builtin = readTextIfAny(insideRoot(root, `/lib/modules/${release}/modules.builtin`)) ?? "";
    return (
      /^(\.?\/)?init$/m.test(stdout) &&
      stdout.includes(`lib/modules/${release}/`) &&
      /\/btrfs\.ko/.test(stdout + builtin)
    );
  } catch (error) {
    // It is damaged, or cpio met the end of the file before the end of the archive.
    if (error instanceof FirnError && error.problem.code === "E_PROGRAM_FAILED") return false;
    throw error;
  }
}

function refuseBoot(what: string, flavor: string): never {
  throw new FirnError(
    "E_BOOT_FILES",
    `${what} What boots now was not touched.`,
    `Look at the kernel package linux-${flavor} and mkinitfs.`,
  );
}

/**
 * Looks at the files that a boot menu entry names, without reading all of them: regular, not empty, the kernel a whole PE file. Gives
 * `uname -r`. Throws E_BOOT_FILES.
 */
export function requireBootFiles(root: string, flavor: string): string {
  const files = bootFiles(root, flavor);
  for (const path of [files.kernel, files.initramfs]) {
    const name = path.slice(root.length);
    const stat = sys.stat(path, false);
    if (stat === null) return refuseBoot(`The generation has no ${name}, which the boot menu names.`, flavor);
    if ((stat.mode & S.IFMT) !== S.IFREG) return refuseBoot(`${name} is no regular file.`, flavor);
    if (stat.size === 0) return refuseBoot(`${name} is empty.`, flavor);
  }
  const name = files.kernel.slice(root.length);
  const head = readBytes(files.kernel, 0, HEAD);
  const stated = kernelRelease(head);
  const length = peLength(head);
  if (stated === undefined || length === undefined)
    return refuseBoot(`${name} is no kernel that UEFI can start.`, flavor);
  if (length > (sys.stat(files.kernel, false)?.size ?? 0)) return refuseBoot(`${name} is cut short.`, flavor);
  const release = stated || readTextIfAny(insideRoot(root, `/usr/share/kernel/${flavor}/kernel.release`))?.trim();
  return release || refuseBoot(`Nothing says of which release ${name} is.`, flavor);
}

/**
 * Checks one kernel of a draft as the boot loader and the kernel will read it: PE magic, its modules, an initramfs for the
 * same release, no holes, no LZO. Files that are those of `base`, extent by extent, were checked when firn sealed that.
 * Gives `uname -r`. Everything must have been flushed. Throws E_BOOT_FILES.
 */
export function checkBootFiles(top: string, root: string, flavor: string, base: string | undefined): string {
  const release = requireBootFiles(root, flavor);
  const files = bootFiles(root, flavor);
  if (!isDirectory(insideRoot(root, `/lib/modules/${release}`)))
    return refuseBoot(`The kernel is ${release}, but /lib/modules/${release} is missing.`, flavor);
  const before = base === undefined ? undefined : bootFiles(base, flavor);
  const unchanged =
    before !== undefined && sameExtents(files.kernel, before.kernel) && sameExtents(files.initramfs, before.initramfs);
  if (unchanged) return release;
  if (!startsKernel(top, root, files.initramfs, release)) {
    const name = files.initramfs.slice(root.length);
    return refuseBoot(`${name} is damaged, or lacks its init, btrfs or modules for the kernel ${release}.`, flavor);
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
