import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

export const VERSION = "2025-04-26";
/** SHA-256 of upstream's sources as Debian trixie carries them (quickjs_2025.04.26.orig.tar.xz). */
const SHA256 = "ec81da5b3249ed648dbc7df4a1654988910e66a118d9b71cb63534216efcfbbe";
const FILE = "quickjs_2025.04.26.orig.tar.xz";
/** Where a machine without apt finds the same file, for as long as Debian trixie is kept. */
const POOL = "https://ftp.debian.org/debian/pool/main/q/quickjs/";

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

function run(command: string, args: string[], cwd?: string): void {
  execFileSync(command, args, { cwd, stdio: ["ignore", "ignore", "inherit"] });
}

/** Debian's source package, through an apt configuration of its own: the machine's sources stay as they are. */
function fetchFromDebian(into: string): string {
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  const targets = execFileSync("apt-get", ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"], {
    encoding: "utf8",
  });
  const mirror = targets.split("\n").find((uri) => uri.endsWith("/debian/"));
  if (mirror === undefined) throw new Error("apt knows no Debian archive; run apt-get update");
  mkdirSync(join(into, "state/lists/partial"), { recursive: true });
  mkdirSync(join(into, "cache/archives/partial"), { recursive: true });
  writeFileSync(join(into, "sources.list"), `deb-src [signed-by=${keyring}] ${mirror} trixie main\n`);
  const options = [
    `Dir::Etc::sourcelist=${into}/sources.list`,
    "Dir::Etc::sourceparts=/dev/null",
    `Dir::State=${into}/state`,
    `Dir::Cache=${into}/cache`,
    "APT::Sandbox::User=root",
  ].flatMap((option) => ["-o", option]);
  run("apt-get", [...options, "-qq", "update"], into);
  run("apt-get", [...options, "-qq", "source", "--download-only", "quickjs"], into);
  return join(into, FILE);
}

function fetchSource(cache: string): string {
  const kept = join(cache, FILE);
  if (existsSync(kept) && sha256(kept) === SHA256) return kept;
  const work = mkdtempSync(join(cache, "fetch-"));
  try {
    const file = existsSync("/usr/bin/apt-get") ? fetchFromDebian(work) : join(work, FILE);
    if (!existsSync(file)) run("wget", ["-q", "-O", file, POOL + FILE]);
    if (sha256(file) !== SHA256) throw new Error(`${FILE}: its SHA-256 is not the pinned one`);
    renameSync(file, kept);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return kept;
}

/** The compiler for static musl binaries: Debian's wrapper, or Alpine's own gcc. */
export function muslCompiler(): string {
  return existsSync("/usr/bin/musl-gcc") ? "musl-gcc" : "gcc";
}

/** How the engine is compiled: its archive's name in the cache, the compiler, the flags. */
export interface EngineBuild {
  readonly archive: string;
  readonly compiler: string;
  readonly flags: readonly string[];
}

/** For speed: 200 KiB more than -Os, and an interpreter that needs a seventh less time. */
export const fastEngine: EngineBuild = { archive: "libengine.a", compiler: muslCompiler(), flags: ["-O2"] };

const PARTS = ["quickjs", "dtoa", "libregexp", "libunicode", "cutils"];

/** Compiles the engine in its folder. The archive gets its name last: a build that was interrupted leaves none. */
function compileEngine(folder: string, build: EngineBuild): void {
  const work = mkdtempSync(join(folder, "objects-"));
  const flags = ["-fwrapv", "-ffunction-sections", "-fdata-sections", "-D_GNU_SOURCE", "-w"];
  const objects = PARTS.map((part) => join(work, `${part}.o`));
  for (const [index, part] of PARTS.entries())
    run(
      build.compiler,
      [
        ...[...build.flags, ...flags, `-DCONFIG_VERSION="${VERSION}"`],
        ...["-c", `${part}.c`, "-o", objects[index] ?? ""],
      ],
      folder,
    );
  run("ar", ["rcs", join(work, build.archive), ...objects]);
  renameSync(join(work, build.archive), join(folder, build.archive));
  rmSync(work, { recursive: true });
}

/**
 * QuickJS built in the cache: the folder with `qjsc`, the headers, and the library under the name that `build` gives
 * it. The library is built without the std and os modules: src/host/kernel/sys.ts has its own port. Throws when the
 * source cannot be had or its SHA-256 differs.
 */
export function quickjs(cache: string, build: EngineBuild): string {
  mkdirSync(cache, { recursive: true });
  const built = join(cache, `quickjs-${VERSION}-O2`);
  if (!existsSync(built)) {
    const source = fetchSource(cache);
    const work = mkdtempSync(join(cache, "build-"));
    run("tar", ["-xJf", source, "-C", work]);
    const folder = join(work, readdirSync(work)[0] ?? "");
    run("make", ["-s", "qjsc", "CONFIG_LTO="], folder);
    compileEngine(folder, build);
    renameSync(folder, built);
    rmSync(work, { recursive: true, force: true });
  }
  if (!existsSync(join(built, build.archive))) compileEngine(built, build);
  return built;
}
