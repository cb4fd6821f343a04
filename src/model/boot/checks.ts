/**
 * What must hold of the files that a boot menu names, each check by itself. host/boot/read-boot-files.ts gathers what
 * they judge.
 */
import { refuse, type Refusal } from "../problem.ts";
import { unreadable, type Extent, type InitramfsContent } from "./kernel-image.ts";

/** One kernel of a generation, as the checks see it. */
export interface BootSubject {
  readonly flavor: string;
  /** A draft about to be sealed; else a sealed generation that is to boot again, whose files are only looked at. */
  readonly draft: boolean;
  /** Kernel and initramfs are those of a generation that was checked when it was sealed, extent by extent. */
  readonly unchanged: boolean;
}

/** What a kernel's first bytes and its package say. Names are as inside the root. */
export interface KernelFacts {
  readonly name: string;
  /** Of the file. */
  readonly bytes: number;
  /** Where its last section ends; undefined for what is no PE file. */
  readonly peBytes: number | undefined;
  /** `uname -r` in its header: "" where the header has none, undefined where it is no kernel. */
  readonly stated: string | undefined;
  /** `uname -r` as its package wrote it down. */
  readonly noted: string | undefined;
}

/** What each check judges. */
export interface BootFacts {
  /** The folder of the boot files; its kind as lstat(2) tells it. */
  folder: { readonly name: string; readonly kind: string | undefined };
  files: readonly { readonly name: string; readonly kind: string | undefined; readonly bytes: number }[];
  kernel: KernelFacts;
  modules: { readonly release: string; readonly present: boolean };
  /** Undefined for an initramfs that cannot be unpacked to its end. */
  initramfs: { readonly name: string; readonly release: string; readonly content: InitramfsContent | undefined };
  readable: readonly { readonly name: string; readonly bytes: number; readonly extents: readonly Extent[] }[];
}

export interface BootCheck<Facts> {
  /** Whether it applies. */
  readonly when: (subject: BootSubject) => boolean;
  readonly judge: (facts: Facts, subject: BootSubject) => Refusal | undefined;
}

type BootChecks = { readonly [Name in keyof BootFacts]: BootCheck<BootFacts[Name]> };

/** `uname -r` of a kernel. */
export function releaseOf({ stated, noted }: KernelFacts): string | undefined {
  return stated || noted || undefined;
}

/** A check from what finds the fault in its facts, in words. */
function check<Facts>(when: BootCheck<Facts>["when"], faultIn: (facts: Facts) => string | undefined): BootCheck<Facts> {
  return {
    when,
    judge: (facts, { flavor }) => {
      const fault = faultIn(facts);
      if (fault === undefined) return undefined;
      return refuse("E_BOOT_FILES", fault, `Look at the kernel package linux-${flavor} and mkinitfs.`);
    },
  };
}

const always = (): boolean => true;
const forDrafts = ({ draft }: BootSubject): boolean => draft;
const whenChanged = ({ draft, unchanged }: BootSubject): boolean => draft && !unchanged;

/** The boot loader resolves a link from the volume's top level, not from the generation's root. */
function folderFault({ name, kind }: BootFacts["folder"]): string | undefined {
  if (kind === "directory") return undefined;
  if (kind === undefined) return `The generation has no ${name}.`;
  return `${name} is a ${kind}; the boot loader needs a directory of the generation's own there.`;
}

function fileFault({ name, kind, bytes }: BootFacts["files"][number]): string | undefined {
  if (kind === undefined) return `The generation has no ${name}, which the boot menu names.`;
  if (kind !== "file") return `${name} is no regular file.`;
  return bytes === 0 ? `${name} is empty.` : undefined;
}

function kernelFault(kernel: KernelFacts): string | undefined {
  const { name, bytes, peBytes, stated } = kernel;
  if (stated === undefined || peBytes === undefined) return `${name} is no kernel that UEFI can start.`;
  if (peBytes > bytes) return `${name} is cut short.`;
  return releaseOf(kernel) === undefined ? `Nothing says of which release ${name} is.` : undefined;
}

function initramfsFault({ name, release, content }: BootFacts["initramfs"]): string | undefined {
  if (content === undefined) return `${name} is damaged.`;
  const lacks = [
    ...(content.init ? [] : ["init"]),
    ...(content.btrfs ? [] : ["btrfs"]),
    ...(content.modules ? [] : [`modules for the kernel ${release}`]),
  ];
  return lacks.length === 0 ? undefined : `${name} lacks ${lacks.join(", ")}.`;
}

function layoutFault({ name, bytes, extents }: BootFacts["readable"][number]): string | undefined {
  const why = unreadable(extents, bytes);
  return why === undefined ? undefined : `${name}: ${why}, which the boot loader cannot read.`;
}

function firstFault<Fact>(facts: readonly Fact[], faultIn: (fact: Fact) => string | undefined): string | undefined {
  return facts.map(faultIn).find((fault) => fault !== undefined);
}

/** The registry, in the order in which they are asked: each may rely on those before it. */
export const bootChecks: BootChecks = {
  folder: check(always, folderFault),
  files: check(always, (facts) => firstFault(facts, fileFault)),
  kernel: check(always, kernelFault),
  modules: check(forDrafts, ({ release, present }) =>
    present ? undefined : `The kernel is ${release}, but /lib/modules/${release} is missing, or has no modules.dep.`,
  ),
  initramfs: check(whenChanged, initramfsFault),
  readable: check(whenChanged, (facts) => firstFault(facts, layoutFault)),
};

export const bootCheckNames = Object.keys(bootChecks) as readonly (keyof BootFacts)[];
