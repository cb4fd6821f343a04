/** Programs that firn runs, and the packages that carry them: [Alpine, Debian]. */
const packages: Record<string, readonly [alpine: string, debian: string]> = {
  apk: ["apk-tools", "none; firn fetches it from the mirror"],
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
  efibootmgr: ["efibootmgr", "efibootmgr"],
  openssl: ["openssl", "openssl"],
  wget: ["busybox", "wget"],
  tar: ["busybox", "tar"],
  gzip: ["busybox", "gzip"],
  diff: ["busybox", "diffutils"],
  cpio: ["busybox", "cpio"],
};

/** Which package to install for a program that is missing; undefined when firn does not know it. */
export function packageOf(program: string): string | undefined {
  const known = packages[program];
  if (known === undefined) return undefined;
  const [alpine, debian] = known;
  return `Install ${alpine === debian ? `${alpine} (Alpine and Debian)` : `${alpine} (Alpine) or ${debian} (Debian)`}.`;
}
