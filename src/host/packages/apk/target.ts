import { apkTrouble, startsScript, type ApkTrouble } from "../../../model/packages/trouble.ts";
import { isLocalRepository, repositoryPlace } from "../../../model/packages/conf.ts";
import { isPackageFile } from "../../../model/packages/constraint.ts";
import { FirnError, type Problem } from "../../../model/problem.ts";
import {
  filesystemSpace,
  isDirectory,
  makeDirectories,
  makeDirectory,
  names,
  newName,
  removeDirectory,
} from "../../kernel/files.ts";
import { isSysError } from "../../kernel/failure.ts";
import { scratch } from "../../kernel/mounts.ts";
import { Within } from "../../kernel/within.ts";
import { programFailed, tryRun, type Finished } from "../../kernel/run.ts";
import { hostArchitecture, type ApkTool } from "./bootstrap.ts";
import { download, proxySettings } from "./download.ts";
import { installedPackages } from "./installed.ts";
import { given } from "../../../model/given.ts";

/** An apk, the root it works on, and what it may install from. All paths are as that apk sees them. */
export interface ApkTarget {
  /** Default: the program `apk`. */
  readonly tool?: ApkTool;
  /** Run apk inside this root, which then is its `/`: a generation's own apk. */
  readonly chroot?: string;
  /** Work on another root than `/`: a new one, filled by a host's apk. */
  readonly root?: string;
  /** `URL`, `/folder` or `@tag …`, in place of the root's own list. */
  readonly repositories: readonly string[];
  readonly keysDir: string;
  /** Default: what the root says, else this machine's. */
  readonly arch?: string;
  /** Where indexes and packages that are fetched are kept. Without it packages are not kept. */
  readonly cacheDir?: string;
  /** The cache folder is only looked into: indexes go to memory, and packages are not kept. */
  readonly lookOnly?: boolean;
  /** How the user spelled a repository, by what `repositories` calls it: for messages. */
  readonly shown?: Readonly<Record<string, string>>;
}

/** A path of the target as seen from outside. A symlink in a chroot leads where it leads inside it. */
export function outside(target: ApkTarget, path: string): string {
  if (target.chroot === undefined) return path;
  using root = Within.root(target.chroot);
  return root.locate(path);
}

/** Looks into the target's root; undefined where there is none yet. */
export function inRoot<T>(target: ApkTarget, look: (root: Within) => T): T | undefined {
  const path = outside(target, target.root ?? "/");
  if (!isDirectory(path)) return undefined;
  using root = Within.root(path);
  return look(root);
}

export function architectureOf(target: ApkTarget): string {
  return target.arch ?? inRoot(target, (root) => root.text("/etc/apk/arch"))?.trim() ?? hostArchitecture();
}

/** A folder in memory for firn's own use, as the target's apk sees it. */
export function scratchFolder(target: ApkTarget): string {
  if (target.chroot === undefined) return scratch();
  makeDirectories(outside(target, "/run/firn"), 0o700);
  return "/run/firn";
}

/** Bytes: what the indexes of main and community take, several times. */
const INDEX_ROOM = 16 << 20;

/**
 * True when apk can keep files in the cache folder, which is made when it is missing. On a full disk it cannot, and
 * says of an index that it cannot keep that there is none: then indexes are read into memory.
 */
export function cacheUsable(target: ApkTarget): boolean {
  if (target.cacheDir === undefined || target.lookOnly) return false;
  const folder = outside(target, target.cacheDir);
  try {
    makeDirectories(folder);
    const probe = `${folder}/firn-${newName()}`;
    makeDirectory(probe, 0o700);
    removeDirectory(probe);
    return filesystemSpace(folder).free >= INDEX_ROOM;
  } catch (error) {
    if (isSysError(error)) return false;
    throw error;
  }
}

/** Else apk 3 takes options from /etc/apk/config, of which `allow-untrusted` is one. */
const UNCONFIGURED = { APK_CONFIG: "/dev/null" };

export interface Invocation {
  /** In place of the target's root. */
  root?: string;
  /** In place of the target's cache; null for none. */
  cacheDir?: string | null;
  onLine?: (line: string) => void;
}

/** A run of apk: what it printed, and of its stderr the lines that came before any script ran. */
type ApkRun = Finished & { readonly beforeScripts?: number };

/** Runs apk and gives what it printed, whatever that was. */
export function invoke(target: ApkTarget, args: readonly string[], options: Invocation = {}): ApkRun {
  const tool = target.tool ?? { argv: ["apk"] };
  const root = options.root ?? target.root;
  const cache = options.cacheDir === undefined ? (cacheUsable(target) ? target.cacheDir : null) : options.cacheDir;
  const argv = [
    ...tool.argv,
    ...(root === undefined ? [] : ["--root", root, "--arch", architectureOf(target)]),
    ...["--keys-dir", target.keysDir, "--repositories-file", "/dev/null"],
    ...target.repositories.flatMap((repository) => ["-X", repository]),
    ...(cache === null || cache === undefined ? ["--no-cache"] : ["--cache-dir", cache]),
    ...["--no-progress", "--no-interactive"],
    ...args,
  ];
  let beforeScripts: number | undefined;
  const onLine = (line: string, saidBefore: number): void => {
    if (startsScript(line)) beforeScripts ??= saidBefore;
    options.onLine?.(line);
  };
  const env = { ...UNCONFIGURED, ...proxySettings(), ...tool.env };
  const finished = tryRun(argv, { env, onLine, ...given({ chroot: target.chroot }) });
  return { ...finished, ...given({ beforeScripts }) };
}

/** Killed by SIGSEGV. */
const CRASHED = 128 + 11;

function crash({ shown = {} }: ApkTarget): Problem {
  const files = Object.entries(shown).flatMap(([told, file]) => (isPackageFile(told) ? [file] : []));
  return {
    code: "E_SIGNATURE",
    message: `${files.join(", ")}: the generation's apk crashes when it checks this signature.`,
    hint: "apk 2 cannot take a package with the newer kind of signature (RSA256) as a file. Lay it into a folder with an index (`apk index`), and name that with -X.",
  };
}

/** The error for a run that went wrong, or undefined. apk's own exit code says too little: see apkTrouble. */
export function troubleOf(target: ApkTarget, finished: ApkRun): ApkTrouble | undefined {
  const trouble = apkTrouble(finished, {
    shown: target.shown ?? {},
    keys: () => names(outside(target, target.keysDir)),
  });
  if (trouble !== undefined) return trouble;
  if (finished.status === 0) return undefined;
  if (finished.status === CRASHED && finished.argv.some((word) => isPackageFile(word)))
    return { problem: crash(target) };
  const broken = (inRoot(target, installedPackages) ?? []).filter((known) => known.broken !== "");
  if (broken.length > 0 && finished.stderr.trim() === "") {
    const list = broken.map(({ name }) => name).join(", ");
    return {
      problem: {
        code: "E_PACKAGE_SCRIPT",
        message: `An earlier run of apk left ${list} half installed, and apk counts that as an error in every run.`,
        hint: `Repair it first: apk fix ${broken.map(({ name }) => name).join(" ")}`,
      },
    };
  }
  return { problem: programFailed(finished).problem };
}

/** Throws E_MIRROR for a mirror from which nothing comes. A host without a program that asks finds out nothing. */
function askMirror(target: ApkTarget, place: string): void {
  try {
    download(`${place}/${architectureOf(target)}/APKINDEX.tar.gz`, `${scratch()}/asked`);
  } catch (error) {
    if (!(error instanceof FirnError) || error.problem.code !== "E_PROGRAM_MISSING") throw error;
  }
}

/** Throws the error of a run that went wrong. Where apk's words may mean the network, the mirrors are asked first. */
export function orThrowTrouble(target: ApkTarget, trouble: ApkTrouble | undefined): void {
  if (trouble === undefined) return;
  if (trouble.unsure === true)
    for (const place of target.repositories.map(repositoryPlace))
      if (!isLocalRepository(place)) askMirror(target, place);
  throw FirnError.of(trouble.problem);
}
