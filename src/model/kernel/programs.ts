/** Programs that firn runs, and the packages that carry them: [Alpine, Debian]. */
const packages: Record<string, readonly [alpine: string, debian: string]> = {
  "mkfs.btrfs": ["btrfs-progs", "btrfs-progs"],
  "mkfs.fat": ["dosfstools", "dosfstools"],
  mkswap: ["busybox", "util-linux"],
  sgdisk: ["sgdisk", "gdisk"],
  mcopy: ["mtools", "mtools"],
  mmd: ["mtools", "mtools"],
  mdir: ["mtools", "mtools"],
  mattrib: ["mtools", "mtools"],
  mdel: ["mtools", "mtools"],
  mren: ["mtools", "mtools"],
  openssl: ["openssl", "openssl"],
  wget: ["busybox", "wget"],
  tar: ["busybox", "tar"],
  gzip: ["busybox", "gzip"],
  diff: ["busybox", "diffutils"],
  cpio: ["busybox", "cpio"],
};

/** What to do about a program that is missing, a sentence; undefined when firn does not know it. */
export function packageOf(program: string): string | undefined {
  const known = Object.hasOwn(packages, program) ? packages[program] : undefined;
  if (known === undefined) return undefined;
  const [alpine, debian] = known;
  return `Install ${alpine === debian ? `${alpine} (Alpine and Debian)` : `${alpine} (Alpine) or ${debian} (Debian)`}.`;
}
