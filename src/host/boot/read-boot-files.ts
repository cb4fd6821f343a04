import { enterRoot } from "../kernel/chroot.ts";
import { copyFile, exists, insideRoot, isDirectory, names, readBytes, readTextIfAny, rename } from "../kernel/files.ts";
import { run, runPiped } from "../kernel/run.ts";
import { copyNature, lstat, typeOf } from "../kernel/stat.ts";
import { fileLayout } from "../kernel/subvolumes.ts";
import {
  bootCheckNames,
  bootChecks,
  releaseOf,
  type BootCheck,
  type BootFacts,
  type BootSubject,
  type KernelFacts,
} from "../../model/boot/checks.ts";
import {
  initramfsContent,
  initramfsFormat,
  kernelRelease,
  unreadable,
  type InitramfsContent,
} from "../../model/boot/kernel-image.ts";
import { peLength } from "../../model/boot/pe.ts";
import { FirnError, orThrow, type Refusal } from "../../model/problem.ts";

/** Bytes of a kernel that hold the PE header and the version string. */
const HEAD = 65_536;

/** Kernel flavours with a kernel in /boot: lts, virt, … */
export function kernelFlavors(root: string): string[] {
  return names(insideRoot(root, "/boot")).flatMap((name) => /^vmlinuz-(.+)$/.exec(name)?.[1] ?? []);
}

/**
 * Bytes of the initramfs images in a root: what a change of its kernel or of mkinitfs writes anew, which apk does not
 * count.
 */
export function initramfsBytes(root: string): number {
  const images = names(insideRoot(root, "/boot")).filter((name) => name.startsWith("initramfs-"));
  return images.reduce((sum, name) => sum + (lstat(insideRoot(root, `/boot/${name}`))?.size ?? 0), 0);
}

export interface BootFiles {
  kernel: string;
  initramfs: string;
}

/** Named as the boot loader does, which takes no link inside a generation for what it is there. */
export function bootFiles(root: string, flavor: string): BootFiles {
  const boot = `${root}/boot`;
  return { kernel: `${boot}/vmlinuz-${flavor}`, initramfs: `${boot}/initramfs-${flavor}` };
}

/** Where the files of one kernel lie. */
interface Place {
  /** The volume's top level. */
  top: string;
  root: string;
  flavor: string;
}

/** What such a file is called inside the root. */
const nameIn = ({ root }: Place, path: string): string => path.slice(root.length);

function kernelFacts(place: Place): KernelFacts {
  const { kernel } = bootFiles(place.root, place.flavor);
  const head = readBytes(kernel, 0, HEAD);
  return {
    name: nameIn(place, kernel),
    bytes: lstat(kernel)?.size ?? 0,
    peBytes: peLength(head),
    stated: kernelRelease(head),
    noted: readTextIfAny(insideRoot(place.root, `/usr/share/kernel/${place.flavor}/kernel.release`))?.trim(),
  };
}

/** `uname -r` of a kernel that passed its check. */
function releaseIn(place: Place): string {
  return releaseOf(kernelFacts(place)) ?? "";
}

/** Read by the generation's own programs, to the end; undefined where they cannot. */
function readInitramfs({ top, root }: Place, path: string, release: string): InitramfsContent | undefined {
  const inside = path.slice(root.length);
  const format = initramfsFormat(readBytes(path, 0, 16));
  if (format === undefined) return undefined;
  // busybox's programs want a /dev, which the root of a generation made by hand need not have.
  using chroot = enterRoot({ top, root, commons: [], readonly: true });
  const where = { chroot: chroot.path };
  try {
    if (format !== "cpio") run([format, "-t", inside], where);
    const unpack = format === "cpio" ? ["cat"] : [format, "-dc"];
    const { stdout } = runPiped([...unpack, inside], ["cpio", "-t"], where);
    const builtin = readTextIfAny(insideRoot(root, `/lib/modules/${release}/modules.builtin`)) ?? "";
    return initramfsContent(stdout, release, builtin);
  } catch (error) {
    // It is damaged, or cpio met the end of the file before the end of the archive.
    if (error instanceof FirnError && error.problem.code === "E_PROGRAM_FAILED") return undefined;
    throw error;
  }
}

type Asked = (place: Place, subject: BootSubject) => Refusal | undefined;

/** A check with what gathers its facts, which happens only where it applies. */
function asked<Facts>(check: BootCheck<Facts>, gather: (place: Place) => Facts): Asked {
  return (place, subject) => (check.when(subject) ? check.judge(gather(place), subject) : undefined);
}

/** The registry, with eyes: it does not compile when a check has nobody who gathers for it. */
const registry: { readonly [Name in keyof BootFacts]: Asked } = {
  folder: asked(bootChecks.folder, ({ root }) => {
    const found = lstat(`${root}/boot`);
    return { name: "/boot", kind: found && typeOf(found) };
  }),
  files: asked(bootChecks.files, (place) =>
    Object.values(bootFiles(place.root, place.flavor)).map((path) => {
      const found = lstat(path);
      return { name: nameIn(place, path), kind: found && typeOf(found), bytes: found?.size ?? 0 };
    }),
  ),
  kernel: asked(bootChecks.kernel, kernelFacts),
  modules: asked(bootChecks.modules, (place) => {
    const release = releaseIn(place);
    return { release, present: isDirectory(insideRoot(place.root, `/lib/modules/${release}`)) };
  }),
  initramfs: asked(bootChecks.initramfs, (place) => {
    const { initramfs } = bootFiles(place.root, place.flavor);
    const release = releaseIn(place);
    return { name: nameIn(place, initramfs), release, content: readInitramfs(place, initramfs, release) };
  }),
  readable: asked(bootChecks.readable, (place) =>
    Object.values(bootFiles(place.root, place.flavor)).map((path) => ({
      name: nameIn(place, path),
      ...fileLayout(path),
    })),
  ),
};

/** Asks every check that applies, in the registry's order, and gives `uname -r`. Throws the first refusal. */
function checked(place: Place, subject: BootSubject): string {
  for (const name of bootCheckNames) orThrow(registry[name](place, subject));
  return releaseIn(place);
}

/** A regular file itself, not a symlink to one. */
function isRegular(path: string): boolean {
  const found = lstat(path);
  return found !== undefined && typeOf(found) === "file";
}

/** Whether /boot is a directory of the generation's own, not a link that leads out of it. */
function isOwnFolder(root: string): boolean {
  const boot = lstat(`${root}/boot`);
  return boot !== undefined && typeOf(boot) === "directory";
}

function sameExtents(a: string, b: string): boolean {
  if (!isRegular(a) || !exists(b)) return false;
  return JSON.stringify(fileLayout(a)) === JSON.stringify(fileLayout(b));
}

function sameFiles(root: string, base: string, flavor: string): boolean {
  if (!isOwnFolder(root)) return false;
  const [now, before] = [bootFiles(root, flavor), bootFiles(base, flavor)];
  return sameExtents(now.kernel, before.kernel) && sameExtents(now.initramfs, before.initramfs);
}

/**
 * Looks at the files that a boot menu entry names, without reading all of them: regular, not empty, the kernel a whole
 * PE file. Gives `uname -r`. Throws E_BOOT_FILES.
 */
export function requireBootFiles(root: string, flavor: string): string {
  return checked({ top: root, root, flavor }, { flavor, draft: false, unchanged: false });
}

/**
 * Checks one kernel of a draft as the boot loader and the kernel will read it: PE magic, its modules, an initramfs for
 * the same release, no holes, no LZO. Files that are those of `base`, extent by extent, were checked when firn sealed
 * that. Gives `uname -r`. Everything must have been flushed. Throws E_BOOT_FILES.
 */
export function checkBootFiles(top: string, root: string, flavor: string, base: string | undefined): string {
  const unchanged = base !== undefined && sameFiles(root, base, flavor);
  return checked({ top, root, flavor }, { flavor, draft: true, unchanged });
}

/**
 * Writes anew what rEFInd's driver could not read: files with holes, preallocated tails or LZO. Everything must have
 * been flushed, and must be again when this gives the path of something: what it wrote, as inside the root.
 */
export function makeBootFilesReadable(root: string, flavors: readonly string[]): string[] {
  if (!isOwnFolder(root)) return [];
  const written = flavors
    .flatMap((flavor) => Object.values(bootFiles(root, flavor)))
    .filter((path) => {
      if (!isRegular(path)) return false;
      const { extents, bytes } = fileLayout(path);
      return unreadable(extents, bytes) !== undefined;
    });
  for (const path of written) {
    const beside = `${path}.firn-new`;
    copyFile(path, beside);
    // Not how it is to be compressed: LZO is what the driver could not read.
    copyNature(path, beside, (attribute) => attribute !== "btrfs.compression");
    rename(beside, path);
  }
  return written.map((path) => path.slice(root.length));
}
