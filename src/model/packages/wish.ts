/** What is asked of a package manager, and what it answers, in words that are none of any one's. */
import type { PackageChange } from "./changes.ts";
import type { IndexStamp } from "./index.ts";

/** What is wanted of the packages of a root. */
export interface PackageWish {
  readonly verb: "upgrade" | "add" | "del";
  /** Names and constraints: see parsePackage. */
  readonly packages: readonly string[];
  /** Packages in files of the host, by absolute path. */
  readonly files?: readonly string[];
  /** The release to go to, as mirrors spell it: "v3.20". */
  readonly release?: string;
}

/** What packages may come from, beside what the root itself names. Folders here are the host's. */
export interface SourceWish {
  /** Absolute folders and URLs. */
  readonly repositories: readonly string[];
  /** A folder of public keys to trust beside the root's own. */
  readonly keysDir: string | undefined;
  /** What the root's firn.toml says of the two. */
  readonly own: { readonly repositories: readonly string[]; readonly keysDir?: string };
  /**
   * Where the folders lie that the root itself names: on the host when it is the running system's, or is just being
   * made; otherwise in itself.
   */
  readonly foldersOf: "host" | "root";
  /** Keep both in the root. */
  readonly save: boolean;
  /** Take an index that is older than the one used last. */
  readonly allowOlder: boolean;
  /** Look into the caches, and write nothing there. */
  readonly dryRun: boolean;
}

/** A package in a file, as it says itself: nothing of it was verified. */
export interface PackageFile {
  /** As the programs inside see it. */
  readonly path: string;
  readonly name: string;
  /** Bytes. */
  readonly installedBytes: number;
}

/** Where the packages of a root come from, as the programs inside it see them. */
export interface PackageSources {
  readonly wish: SourceWish;
  readonly repositories: readonly string[];
  readonly keysDir: string;
  /** The packages in files of the host that were asked for. */
  readonly files: readonly PackageFile[];
  /** Of repositories that are passed over. */
  readonly notes: readonly string[];
  /** How a person knows a repository or a file, by what it is called inside. */
  readonly shown: Readonly<Record<string, string>>;
  /** Folders of the host that the programs inside must see, by their path inside. */
  readonly binds: readonly { readonly from: string; readonly to: string }[];
}

/** What a change of packages would do. */
export interface Simulation {
  readonly changes: readonly PackageChange[];
  /** Bytes by which the root grows, as the packages tell; negative when it shrinks. */
  readonly installedBytesDelta: number;
  /**
   * Bytes of everything that is written anew: what a snapshot of the root grows by, since the old files stay in the
   * original.
   */
  readonly writtenBytes: number;
  /** Bytes to fetch over the network; packages in local folders or in the cache count nothing. */
  readonly downloadBytes: number;
}

/** What a change of a root that has packages would do. */
export interface Forecast extends Simulation {
  /** Packages that would become older without anybody having asked for it. */
  readonly unasked: readonly PackageChange[];
  /** What a person should know of it. */
  readonly notes: readonly string[];
}

/** What a change did, beside changing. */
export interface Changed {
  /** What scripts and warnings said. */
  readonly notes: readonly string[];
  /** Of when the indexes are that it used, which a mirror may have changed since the forecast. */
  readonly indexes: readonly IndexStamp[];
}

/** Whether boot files are made anew, which no package counts: the kernel changes, or what makes its initramfs. */
export function remakesBootFiles(changes: readonly PackageChange[]): boolean {
  return changes.some(({ name }) => name === "mkinitfs" || name.startsWith("linux-"));
}

/** A step of a change under way: its number, how many there are, and what is done. A self-upgrade counts twice. */
export type OnProgress = (n: number, of: number, text: string) => void;
