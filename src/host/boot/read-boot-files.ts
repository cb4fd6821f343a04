import { typeOf } from "../kernel/files.ts";
import { copyNature, thaw } from "../kernel/nature.ts";
import { fileLayout, type FileLayout } from "../kernel/subvolumes.ts";
import type { Within } from "../kernel/within.ts";
import {
  bootCheckNames,
  bootChecks,
  releaseOf,
  type BootCheck,
  type BootFacts,
  type BootSubject,
  type KernelFacts,
} from "../../model/boot/checks.ts";
import { kernelRelease, unreadable } from "../../model/boot/kernel-image.ts";
import { readInitramfs } from "./read-initramfs.ts";
import { peLength } from "../../model/boot/pe.ts";
import { orThrow, type Refusal } from "../../model/problem.ts";

/** Bytes of a kernel that hold the PE header and the version string. */
const HEAD = 65_536;

/** Kernel flavours with a kernel in /boot: lts, virt, … */
export function kernelFlavors(root: Within): string[] {
  return root.names("/boot").flatMap((name) => /^vmlinuz-(.+)$/.exec(name)?.[1] ?? []);
}

/**
 * Bytes of the initramfs images in a root: what a change of its kernel or of mkinitfs writes anew, which apk does not
 * count.
 */
export function initramfsBytes(root: Within): number {
  const images = root.names("/boot").filter((name) => name.startsWith("initramfs-"));
  return images.reduce((sum, name) => sum + (root.lstat(`/boot/${name}`)?.size ?? 0), 0);
}

export interface BootFiles {
  kernel: string;
  initramfs: string;
}

/** Named as the boot loader does, which takes no link inside a generation for what it is there. */
export function bootFiles(flavor: string): BootFiles {
  return { kernel: `/boot/vmlinuz-${flavor}`, initramfs: `/boot/initramfs-${flavor}` };
}

/** Where the files of one kernel lie. */
interface Place {
  /** The volume's top level. */
  top: Within;
  root: Within;
  flavor: string;
}

/** Read once a place: three checks ask for them. */
const kernels = new WeakMap<Place, KernelFacts>();

function kernelFacts(place: Place): KernelFacts {
  const facts = kernels.get(place) ?? readKernel(place);
  kernels.set(place, facts);
  return facts;
}

function readKernel({ root, flavor }: Place): KernelFacts {
  const { kernel } = bootFiles(flavor);
  using file = root.ownFile(kernel);
  const head = file.read(HEAD, 0);
  return {
    name: kernel,
    bytes: file.stat().size,
    peBytes: peLength(head),
    stated: kernelRelease(head),
    noted: root.text(`/usr/share/kernel/${flavor}/kernel.release`)?.trim(),
  };
}

function layoutOf(root: Within, name: string): FileLayout {
  using file = root.ownFile(name);
  return fileLayout(file);
}

/** `uname -r` of a kernel that passed its check. */
function releaseIn(place: Place): string {
  return releaseOf(kernelFacts(place)) ?? "";
}

type Asked = (place: Place, subject: BootSubject) => Refusal | undefined;

/** A check with what gathers its facts, which happens only where it applies. */
function asked<Facts>(check: BootCheck<Facts>, gather: (place: Place) => Facts): Asked {
  return (place, subject) => (check.when(subject) ? check.judge(gather(place), subject) : undefined);
}

/** The registry, with eyes: it does not compile when a check has nobody who gathers for it. */
const registry: { readonly [Name in keyof BootFacts]: Asked } = {
  folder: asked(bootChecks.folder, ({ root }) => {
    const found = root.lstat("/boot");
    return { name: "/boot", kind: found && typeOf(found) };
  }),
  files: asked(bootChecks.files, ({ root, flavor }) =>
    Object.values(bootFiles(flavor)).map((name) => {
      const found = root.lstat(name);
      return { name, kind: found && typeOf(found), bytes: found?.size ?? 0 };
    }),
  ),
  kernel: asked(bootChecks.kernel, kernelFacts),
  modules: asked(bootChecks.modules, (place) => {
    const release = releaseIn(place);
    return { release, present: place.root.isFile(`/lib/modules/${release}/modules.dep`) };
  }),
  initramfs: asked(bootChecks.initramfs, (place) => {
    const { initramfs } = bootFiles(place.flavor);
    const release = releaseIn(place);
    return { name: initramfs, release, content: readInitramfs(place.top, place.root, initramfs, release) };
  }),
  readable: asked(bootChecks.readable, ({ root, flavor }) =>
    Object.values(bootFiles(flavor)).map((name) => ({ name, ...layoutOf(root, name) })),
  ),
};

/** Asks every check that applies, in the registry's order, and gives `uname -r`. Throws the first refusal. */
function checked(place: Place, subject: BootSubject): string {
  for (const name of bootCheckNames) orThrow(registry[name](place, subject));
  return releaseIn(place);
}

function isRegular(root: Within, name: string): boolean {
  const found = root.lstat(name);
  return found !== undefined && typeOf(found) === "file";
}

/** Whether /boot is a directory of the generation's own, not a link that leads out of it. */
function isOwnFolder(root: Within): boolean {
  const boot = root.lstat("/boot");
  return boot !== undefined && typeOf(boot) === "directory";
}

function sameFiles(root: Within, base: Within, flavor: string): boolean {
  if (!isOwnFolder(root) || !isOwnFolder(base)) return false;
  return Object.values(bootFiles(flavor)).every(
    (name) =>
      isRegular(root, name) &&
      isRegular(base, name) &&
      JSON.stringify(layoutOf(root, name)) === JSON.stringify(layoutOf(base, name)),
  );
}

/**
 * Looks at the files that a boot menu entry names, without reading all of them: regular, not empty, the kernel a whole
 * PE file. Gives `uname -r`. Throws E_BOOT_FILES.
 */
export function requireBootFiles(root: Within, flavor: string): string {
  return checked({ top: root, root, flavor }, { flavor, draft: false, unchanged: false });
}

/**
 * Checks one kernel of a draft as the boot loader and the kernel will read it: PE magic, its modules, an initramfs for
 * the same release, no holes, no LZO. Files that are those of `base`, extent by extent, were checked when firn sealed
 * that. Gives `uname -r`. Everything must have been flushed. Throws E_BOOT_FILES.
 */
export function checkBootFiles(top: Within, root: Within, flavor: string, base: Within | undefined): string {
  const unchanged = base !== undefined && sameFiles(root, base, flavor);
  return checked({ top, root, flavor }, { flavor, draft: true, unchanged });
}

/**
 * Writes anew what rEFInd's driver could not read: files with holes, preallocated tails or LZO. Everything must have
 * been flushed, and must be again when this gives the path of something: what it wrote, as inside the root.
 */
export function makeBootFilesReadable(root: Within, flavors: readonly string[]): string[] {
  if (!isOwnFolder(root)) return [];
  const written = flavors
    .flatMap((flavor) => Object.values(bootFiles(flavor)))
    .filter((name) => {
      if (!isRegular(root, name)) return false;
      const { extents, bytes } = layoutOf(root, name);
      return unreadable(extents, bytes) !== undefined;
    });
  for (const name of written) {
    const beside = `${name}.firn-new`;
    using file = root.ownFile(name);
    root.copy(file, beside, file.stat().mode & 0o7777);
    // Not how it is to be compressed: LZO is what the driver could not read.
    copyNature(root.locate(name), root.locate(beside), (attribute) => attribute !== "btrfs.compression");
    // What chattr(1) froze could not be replaced.
    thaw(root.locate(name));
    root.rename(beside, name);
  }
  return written;
}
