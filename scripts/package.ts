/** `npm run package`: dist/firn → signed Alpine packages and their index in dist/packages/x86_64. */
import { createHash, randomBytes } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { exampleOf } from "../src/model/config/example.ts";
import { firnToml } from "../src/model/machine/firn-toml.ts";
import { writeIndex } from "./apk/index.ts";
import { buildPackage, type PackageSpec } from "./apk/package.ts";
import { createKey, loadKey, type Signer } from "./apk/sign.ts";
import type { Entry } from "./apk/tar.ts";
import { buildFirn } from "./build.ts";
import { bashCompletion } from "./completions/bash.ts";
import { fishCompletion } from "./completions/fish.ts";
import { commandTree, type Tree } from "./completions/tree.ts";
import { zshCompletion } from "./completions/zsh.ts";

const root = dirname(import.meta.dirname);
const cacheFolder = (): string => process.env["FIRN_CACHE"] ?? join(root, ".cache");
const ARCH = "x86_64";

export interface PackageOptions {
  /** The program to pack. Default: what `npm run build` makes. */
  readonly binary?: string;
  /**
   * Where to put a copy; its `x86_64` and `keys` are replaced. Default: only the cache, whose folder nobody must
   * change.
   */
  readonly outDir?: string;
  /** The private key (PEM). Default: `FIRN_KEY`, else a development key that stays in `.cache/keys`. */
  readonly keyFile?: string;
}

export interface Packages {
  /** For apk's `-X`: the folder that holds `x86_64`. */
  readonly repository: string;
  /** For apk's `--keys-dir`: holds the public key and nothing else. */
  readonly keysDir: string;
  readonly publicKey: string;
  /** Alpine's form: `0.1.0-r0`. */
  readonly version: string;
}

function file(path: string, content: string | Uint8Array, mode = 0o644): Entry {
  return { type: "file", path, mode, source: { bytes: Buffer.from(content) } };
}

/** `firn.toml.5` → `usr/share/man/man5/firn.toml.5.gz`. zlib writes no time into the header. */
function manPages(): Entry[] {
  const folder = join(root, "docs/man");
  return readdirSync(folder)
    .sort()
    .map((name) => {
      const page = gzipSync(readFileSync(join(folder, name)), { level: 9 });
      return file(`usr/share/man/man${name.split(".").at(-1)}/${name}.gz`, page);
    });
}

function specs(version: string, binary: string, tree: Tree): PackageSpec[] {
  const about = {
    version,
    url: "https://wiki.alpinelinux.org/wiki/Immutable_root_with_atomic_upgrades",
    license: "MIT",
    origin: "firn",
  };
  const what = "Immutable root with atomic upgrades";
  // abuild's order: what is waited for, then what it belongs to.
  const beside = (other: string) => ({ installIf: [other, `firn=${version}`] });
  return [
    {
      ...about,
      name: "firn",
      description: what,
      arch: ARCH,
      provides: [`cmd:firn=${version}`],
      entries: [file("usr/sbin/firn", readFileSync(binary), 0o755), file("etc/firn/firn.toml", exampleOf(firnToml))],
    },
    {
      ...about,
      ...beside("openrc"),
      name: "firn-openrc",
      description: `${what} (OpenRC init scripts)`,
      arch: "noarch",
      entries: [file("etc/init.d/firn", readFileSync(join(root, "system/firn.initd")), 0o755)],
    },
    {
      ...about,
      ...beside("docs"),
      name: "firn-doc",
      description: `${what} (documentation)`,
      arch: "noarch",
      entries: manPages(),
    },
    {
      ...about,
      ...beside("bash-completion"),
      name: "firn-bash-completion",
      description: "Bash completions for firn",
      arch: "noarch",
      entries: [file("usr/share/bash-completion/completions/firn", bashCompletion(tree))],
    },
    {
      ...about,
      ...beside("zsh"),
      name: "firn-zsh-completion",
      description: "Zsh completions for firn",
      arch: "noarch",
      entries: [file("usr/share/zsh/site-functions/_firn", zshCompletion(tree))],
    },
    {
      ...about,
      ...beside("fish"),
      name: "firn-fish-completion",
      description: "Fish completions for firn",
      arch: "noarch",
      entries: [file("usr/share/fish/vendor_completions.d/firn.fish", fishCompletion(tree))],
    },
  ];
}

const DEVELOPMENT_KEY = /^firn-dev@localhost-[0-9a-f]{8}\.rsa$/;

/**
 * The key of this checkout, made at the first call. Its name differs from checkout to checkout, so that a system can
 * trust several. When two processes make one at once, the first to rename its folder wins.
 */
function developmentKey(): string {
  const cache = cacheFolder();
  const folder = join(cache, "keys");
  const known = () => (existsSync(folder) ? readdirSync(folder).find((name) => DEVELOPMENT_KEY.test(name)) : undefined);
  if (known() === undefined) {
    mkdirSync(cache, { recursive: true });
    const draft = mkdtempSync(join(cache, "keys-"));
    try {
      createKey(draft, `firn-dev@localhost-${randomBytes(4).toString("hex")}`);
      renameSync(draft, folder);
    } catch (error) {
      rmSync(draft, { recursive: true, force: true });
      if (known() === undefined) throw error;
    }
  }
  return join(folder, known()!);
}

/** Names all that goes into the packages: equal names, equal bytes. */
function digest(all: readonly PackageSpec[], signer: Signer, sourceDate: number): string {
  const hash = createHash("sha256").update(
    JSON.stringify([sourceDate, signer.keyName, signer.publicKey, signer.scheme]),
  );
  for (const { entries, ...facts } of all) {
    hash.update(JSON.stringify(facts));
    for (const entry of entries) {
      const { source, ...rest } = entry as Entry & { source: { bytes: Uint8Array } };
      hash.update(`${JSON.stringify(rest)} ${source.bytes.length}\n`).update(source.bytes);
    }
  }
  const writer = join(root, "scripts/apk");
  for (const name of readdirSync(writer).sort()) hash.update(readFileSync(join(writer, name)));
  return hash.digest("hex").slice(0, 24);
}

async function write(dir: string, all: readonly PackageSpec[], signer: Signer, sourceDate: number): Promise<void> {
  const folder = join(dir, ARCH);
  const records = [];
  for (const spec of all) records.push(await buildPackage(spec, folder, signer, { sourceDate }));
  writeIndex(folder, records, signer, "firn", { arch: ARCH, sourceDate });
  mkdirSync(join(dir, "keys"));
  writeFileSync(join(dir, "keys", signer.keyName), signer.publicKey);
}

/** Drops what older inputs left in the cache. A day's grace, for a test that still reads it. */
function prune(folder: string): void {
  const limit = Date.now() - 24 * 60 * 60 * 1000;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).mtimeMs < limit) rmSync(path, { recursive: true, force: true });
  }
}

/**
 * The packages firn, firn-openrc, firn-doc and the completions, signed, in a repository with its index. Equal input
 * gives equal bytes, dated SOURCE_DATE_EPOCH or else 1970; what is in the cache (`.cache/packages`) is not built again.
 * Throws when the build fails and when the key is no RSA key.
 */
export async function buildPackages(options: PackageOptions = {}): Promise<Packages> {
  const binary = options.binary ?? (await buildFirn());
  const signer = loadKey(options.keyFile ?? process.env["FIRN_KEY"] ?? developmentKey());
  const { version: plain } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const version = `${plain}-r0`;
  const sourceDate = Number(process.env["SOURCE_DATE_EPOCH"] ?? 0);
  const all = specs(version, binary, await commandTree());
  const made = join(cacheFolder(), "packages", digest(all, signer, sourceDate));
  if (!existsSync(made)) {
    mkdirSync(dirname(made), { recursive: true });
    prune(dirname(made));
    const draft = mkdtempSync(join(dirname(made), "draft-"));
    try {
      await write(draft, all, signer, sourceDate);
      renameSync(draft, made);
    } catch (error) {
      rmSync(draft, { recursive: true, force: true });
      // Another process was faster, with the same bytes.
      if (!existsSync(made)) throw error;
    }
  }
  const repository = options.outDir === undefined ? made : resolve(options.outDir);
  if (repository !== made)
    for (const part of [ARCH, "keys"]) {
      rmSync(join(repository, part), { recursive: true, force: true });
      cpSync(join(made, part), join(repository, part), { recursive: true });
    }
  const keysDir = join(repository, "keys");
  return { repository, keysDir, publicKey: join(keysDir, signer.keyName), version };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { repository, publicKey, version } = await buildPackages({ outDir: join(root, "dist/packages") });
  console.log(`firn ${version}: apk add -X ${repository} firn, with ${publicKey} in /etc/apk/keys`);
}
