/** `uname -r` in a bzImage: the 16-bit pointer at 0x20e, relative to 0x200, see Documentation/arch/x86/boot.rst. */
const VERSION_POINTER = 0x20e;
const SETUP = 0x200;

/**
 * The release of an x86 kernel that UEFI can start: `MZ` at the start (the EFI stub), `HdrS` at 0x202. For other
 * PE kernels (arm64), and where the pointer is 0, the release stands in no header: "" then. Undefined when it is no PE
 * file.
 */
export function kernelRelease(head: Uint8Array): string | undefined {
  const text = (from: number, length: number): string => String.fromCharCode(...head.subarray(from, from + length));
  if (text(0, 2) !== "MZ") return undefined;
  if (text(0x202, 4) !== "HdrS") return "";
  const pointer = (head[VERSION_POINTER] ?? 0) + 256 * (head[VERSION_POINTER + 1] ?? 0);
  return pointer === 0 ? "" : /^[!-.0-~]+/.exec(text(SETUP + pointer, 128))?.[0];
}

/** The program that unpacks an initramfs, from its first bytes; "cpio" for one that is not packed. */
export function initramfsFormat(head: Uint8Array): "gzip" | "zstd" | "xz" | "lz4" | "cpio" | undefined {
  const starts = (...bytes: number[]): boolean => bytes.every((byte, index) => head[index] === byte);
  if (starts(0x1f, 0x8b)) return "gzip";
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return "zstd";
  if (starts(0xfd, 0x37, 0x7a, 0x58, 0x5a)) return "xz";
  if (starts(0x02, 0x21, 0x4c, 0x18) || starts(0x04, 0x22, 0x4d, 0x18)) return "lz4";
  return starts(0x30, 0x37, 0x30, 0x37, 0x30) ? "cpio" : undefined;
}

/** What an initramfs holds of what a start from btrfs needs. */
export interface InitramfsContent {
  readonly init: boolean;
  /** Modules of the kernel's release. */
  readonly modules: boolean;
  /** As a module, or built into the kernel. */
  readonly btrfs: boolean;
}

/** From the list of an initramfs's files, a path a line, and the text of the kernel's modules.builtin. */
export function initramfsContent(listing: string, release: string, builtin: string): InitramfsContent {
  return {
    init: /^(\.?\/)?init$/m.test(listing),
    modules: listing.includes(`lib/modules/${release}/`),
    btrfs: /\/btrfs\.ko/.test(listing + builtin),
  };
}

/**
 * A file extent: offset, type (0 inline, 1 regular, 2 preallocated), compression (2 is LZO), disk address (0 is a
 * hole), length.
 */
export type Extent = readonly [offset: number, type: number, compression: number, disk: number, length: number];

/** Why rEFInd's btrfs driver could not read a file of these extents, or undefined when it can. */
export function unreadable(extents: readonly Extent[], size: number): string | undefined {
  let end = 0;
  for (const [offset, type, compression, disk, length] of extents) {
    if (type === 2) return "it has preallocated blocks";
    if (compression === 2) return "it is compressed with LZO";
    if (disk === 0 || offset > end) return "it has holes";
    end = offset + length;
  }
  return end < size ? "it has holes" : undefined;
}
