import { isLocalRepository, repositoryPlace } from "../../../model/packages/conf.ts";
import { cacheFile, dependencyName, packageFile, parseIndex, type IndexRecord } from "../../../model/packages/index.ts";
import { compareVersions } from "../../../model/packages/version.ts";
import { FirnError } from "../../../model/problem.ts";
import { machineName } from "../../kernel/process.ts";
import { copyFile, isFile, makeDirectories, names, rename } from "../../kernel/files.ts";
import { run, tryRun } from "../../kernel/run.ts";
import { removeTree } from "../../kernel/within.ts";
import { download } from "./download.ts";
import { temporaryFolder } from "./temporary.ts";
import { verifyIndex, verifyPackage } from "./verify.ts";
import { given } from "../../../model/given.ts";

/** A way to run apk. */
export interface ApkTool {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface BootstrapWish {
  /** Normalised: URLs and absolute folders, perhaps with a tag. Tagged ones are passed over. */
  repositories: readonly string[];
  /** The folder that assembleKeys filled. */
  keysDir: string;
  /** Which architecture's apk to fetch: one that this machine can run. Default: its own. */
  arch?: string;
  /** Downloaded packages are kept here under apk's own cache names, and verified again each time they are used. */
  cacheDir: string;
  /** The cache is only looked into. */
  lookOnly?: boolean;
  /** Where temporary files may lie and programs may run. */
  tmp: string;
}

/** What `uname -m` calls machines, in apk's words. */
const architectures: Record<string, string> = { x86_64: "x86_64", aarch64: "aarch64", arm64: "aarch64" };

/** apk's name of this machine's architecture. Throws E_ARCH for one that firn does not know. */
export function hostArchitecture(): string {
  const machine = machineName();
  const arch = architectures[machine];
  if (arch === undefined)
    throw new FirnError("E_ARCH", `${machine}: firn knows no Alpine for this machine.`, `It knows x86_64 and aarch64.`);
  return arch;
}

/** The host's own apk, or undefined. Another program of the same name does not count. */
function installedApk(): ApkTool | undefined {
  try {
    const { status, stdout } = tryRun(["apk", "--version"]);
    return status === 0 && stdout.startsWith("apk-tools ") ? { argv: ["apk"] } : undefined;
  } catch (error) {
    if (error instanceof FirnError && error.problem.code === "E_PROGRAM_MISSING") return undefined;
    throw error;
  }
}

interface Offer extends IndexRecord {
  /** The folder or URL that holds the package. */
  place: string;
}

/** Fetches and verifies the index of each repository and gives what they offer. */
function offers(wish: BootstrapWish, arch: string, tmp: string): Offer[] {
  const all: Offer[] = [];
  for (const repository of wish.repositories.filter((word) => !word.startsWith("@"))) {
    const place = `${repositoryPlace(repository)}/${arch}`;
    let file = `${place}/APKINDEX.tar.gz`;
    if (!isLocalRepository(repository)) {
      file = `${tmp}/APKINDEX.tar.gz`;
      download(`${place}/APKINDEX.tar.gz`, file);
    } else if (!isFile(file)) {
      throw new FirnError(
        "E_MIRROR",
        `${file}: there is no such index.`,
        "A repository is a folder that holds a folder for each architecture.",
      );
    }
    const { text } = verifyIndex(file, `${place}/APKINDEX.tar.gz`, wish.keysDir, tmp);
    for (const record of parseIndex(text)) all.push({ ...record, place });
  }
  return all;
}

/** The newest package of a name, or that provides it. */
function newest(all: readonly Offer[], name: string): Offer | undefined {
  const provides = (offer: Offer): boolean =>
    offer.name === name || offer.provides.some((word) => dependencyName(word) === name);
  return all
    .filter(provides)
    .reduce<Offer | undefined>(
      (best, offer) => (best !== undefined && compareVersions(best.version, offer.version) >= 0 ? best : offer),
      undefined,
    );
}

/**
 * apk and all it needs to run: the static one where the mirror has it. Libraries that nothing provides throw E_MIRROR.
 */
function apkAndLibraries(all: readonly Offer[], wish: BootstrapWish): Offer[] {
  const main = newest(all, "apk-tools-static") ?? newest(all, "apk-tools");
  if (main === undefined) {
    const where = wish.repositories.join(", ");
    throw new FirnError(
      "E_MIRROR",
      `Neither apk-tools-static nor apk-tools is in ${where}.`,
      "Add the repository that has it (Alpine's main) with -X, or install apk here.",
    );
  }
  // The certificates are for https repositories; the static apk does not depend on them.
  const chosen = new Map<string, Offer>([[main.name, main]]);
  const wanted = [...main.depends, "ca-certificates-bundle"];
  for (let word = wanted.shift(); word !== undefined; word = wanted.shift()) {
    if (word.startsWith("!")) continue;
    const name = dependencyName(word);
    const offer = newest(all, name);
    if (offer === undefined && name.startsWith("so:"))
      throw new FirnError(
        "E_MIRROR",
        `${main.name} needs ${name}, which no given repository provides.`,
        "Add Alpine's main repository with -X.",
      );
    if (offer === undefined || chosen.has(offer.name)) continue;
    chosen.set(offer.name, offer);
    wanted.push(...offer.depends.filter((other) => !other.startsWith("/")));
  }
  return [...chosen.values()];
}

/** The package's verified files as a .tar.gz: from the folder, from the cache, or fetched into the cache. */
function obtain(offer: Offer, { cacheDir, lookOnly }: BootstrapWish, tmp: string): string {
  const source = `${offer.place}/${packageFile(offer)}`;
  const file = `${tmp}/package.apk`;
  const data = `${tmp}/package.tar.gz`;
  if (offer.place.startsWith("/")) {
    if (!isFile(source))
      throw new FirnError(
        "E_MIRROR_STALE",
        `${source}: the repository's index names this package, but it is not there.`,
      );
    // A copy, so that what is verified is what is unpacked.
    copyFile(source, file, 0o600);
    verifyPackage(file, offer, tmp, data);
    return data;
  }
  const cached = `${cacheDir}/${cacheFile(offer)}`;
  if (isFile(cached)) {
    copyFile(cached, file, 0o600);
    try {
      verifyPackage(file, offer, tmp, data);
      return data;
    } catch (error) {
      if (!(error instanceof FirnError) || error.problem.code !== "E_SIGNATURE") throw error;
      if (!lookOnly) removeTree(cached);
    }
  }
  download(source, file);
  verifyPackage(file, offer, tmp, data);
  if (lookOnly) return data;
  const beside = temporaryFolder(cacheDir);
  try {
    copyFile(file, `${beside.path}/package`, 0o644);
    rename(`${beside.path}/package`, cached);
  } finally {
    beside[Symbol.dispose]();
  }
  return data;
}

function firstFile(root: string, paths: readonly string[]): string | undefined {
  return paths.map((path) => `${root}/${path}`).find((path) => isFile(path));
}

/** How to run the apk that was unpacked below `root`. Both layouts, before and after /usr-merge. */
function unpackedTool(root: string, tmp: string): ApkTool & Disposable {
  const env = certificates(root);
  const dispose = (): void => removeTree(tmp);
  const fixed = firstFile(root, ["sbin/apk.static", "usr/sbin/apk.static"]);
  if (fixed !== undefined) return { argv: [fixed], env, [Symbol.dispose]: dispose };
  const program = firstFile(root, ["sbin/apk", "usr/sbin/apk", "usr/bin/apk"]);
  const loader = ["lib", "usr/lib"]
    .flatMap((folder) => names(`${root}/${folder}`).map((name) => `${folder}/${name}`))
    .find((path) => /\/ld-musl-[a-z0-9_]+\.so\.1$/.test(path));
  if (program === undefined || loader === undefined)
    throw new FirnError("E_MIRROR", "The mirror's apk-tools or musl does not hold what firn needs to run apk.");
  return {
    argv: [`${root}/${loader}`, "--library-path", `${root}/lib:${root}/usr/lib`, program],
    env,
    [Symbol.dispose]: dispose,
  };
}

/** OpenSSL inside apk looks for certificates where Alpine keeps them; elsewhere it has to be told. */
function certificates(root: string): Record<string, string> {
  return given({ SSL_CERT_FILE: firstFile(root, ["etc/ssl/certs/ca-certificates.crt", "etc/ssl/cert.pem"]) });
}

/**
 * An apk for a machine without one: fetched from the repositories, with every signature and hash checked through
 * openssl, and unpacked into a temporary folder that goes when the result is disposed of. It is for new roots
 * (`--initdb`) and for looking into repositories; a root with an apk of its own is changed by that one, in a chroot.
 * Throws E_MIRROR, E_MIRROR_STALE, E_SIGNATURE, E_ARCH, E_PROGRAM_MISSING.
 */
export function fetchedApk(wish: BootstrapWish): ApkTool & Disposable {
  const arch = wish.arch ?? hostArchitecture();
  if (!wish.lookOnly) makeDirectories(wish.cacheDir, 0o755);
  const folder = temporaryFolder(wish.tmp);
  try {
    const root = `${folder.path}/root`;
    makeDirectories(root);
    for (const offer of apkAndLibraries(offers(wish, arch, folder.path), wish)) {
      const data = obtain(offer, wish, folder.path);
      run(["tar", "-xzf", data, "-C", root]);
    }
    const tool = unpackedTool(root, folder.path);
    const { stdout } = run([...tool.argv, "--version"]);
    if (!stdout.startsWith("apk-tools "))
      throw new FirnError("E_MIRROR", "The mirror's apk does not run here.", "Install apk on this machine.");
    return tool;
  } catch (error) {
    folder[Symbol.dispose]();
    throw error;
  }
}

/** The host's apk where there is one, else one that is fetched and verified: see fetchedApk. */
export function hostApk(wish: BootstrapWish): ApkTool & Disposable {
  const installed = installedApk();
  return installed === undefined ? fetchedApk(wish) : { ...installed, [Symbol.dispose]: () => {} };
}
