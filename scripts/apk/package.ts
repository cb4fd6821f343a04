import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip, gzipSync } from "node:zlib";
import type { Signer } from "./sign.ts";
import { signatureMember } from "./sign.ts";
import type { Entry } from "./tar.ts";
import { completeTree, contentOf, END_OF_ARCHIVE, tarBlocks } from "./tar.ts";
import { given } from "../../src/model/given.ts";

type ScriptName =
  | "pre-install"
  | "post-install"
  | "pre-upgrade"
  | "post-upgrade"
  | "pre-deinstall"
  | "post-deinstall"
  | "trigger";

/** A package as its author thinks of it. Lists are in apk's own notation: `foo>=1`, `cmd:foo=1-r0`, `!bar`. */
export interface PackageSpec {
  readonly name: string;
  /** Alpine's form, revision included: `1.2.3-r0`. */
  readonly version: string;
  readonly description: string;
  /** `x86_64`, `noarch`, … Default: x86_64. */
  readonly arch?: string;
  readonly url?: string;
  readonly license?: string;
  /** The source package; default: the name. */
  readonly origin?: string;
  readonly commit?: string;
  readonly maintainer?: string;
  readonly depends?: readonly string[];
  readonly provides?: readonly string[];
  readonly replaces?: readonly string[];
  readonly installIf?: readonly string[];
  readonly providerPriority?: number;
  /** Absolute directory globs; a `trigger` script must come with them. */
  readonly triggers?: readonly string[];
  readonly scripts?: Partial<Record<ScriptName, string>>;
  readonly entries: readonly Entry[];
}

export interface BuildOptions {
  /** Seconds since 1970: build date and every mtime. Default: SOURCE_DATE_EPOCH, else 0; never the clock. */
  readonly sourceDate?: number;
  /** 1 to 9; default 9. */
  readonly level?: number;
}

/** What an index says about one package. Plain JSON. */
export interface IndexRecord {
  readonly name: string;
  readonly version: string;
  readonly arch: string;
  /** `NAME-VERSION.apk`, the name under which apk looks for it. */
  readonly file: string;
  /** `Q1` and base64 of the SHA-1 of the control member: apk's identity of a package. */
  readonly checksum: string;
  /** Bytes of the .apk. */
  readonly size: number;
  /** Bytes that the files take, each rounded up to 4 KiB. */
  readonly installedSize: number;
  readonly description: string;
  readonly url: string;
  readonly license: string;
  readonly origin: string;
  readonly maintainer: string;
  readonly buildDate: number;
  readonly commit: string;
  readonly providerPriority?: number;
  readonly depends: readonly string[];
  readonly provides: readonly string[];
  readonly installIf: readonly string[];
}

/** apk's own grammars (src/package.c, src/version.c), without the rarer suffixes. */
const NAME = /^[a-zA-Z0-9_][a-zA-Z0-9._+-]*$/;
const VERSION = /^\d+(\.\d+)*[a-z]?(_(alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*-r\d+$/;
/**
 * The block size of btrfs and ext4; apk takes size 0 for a virtual package and extracts nothing, so 4096 is the least.
 */
const FILE_BLOCK = 4096;

function check(spec: PackageSpec): void {
  if (!NAME.test(spec.name)) throw new Error(`not a package name: ${JSON.stringify(spec.name)}`);
  if (!VERSION.test(spec.version)) throw new Error(`${spec.name}: not an Alpine version: ${spec.version}`);
  const lists = [spec.depends, spec.provides, spec.replaces, spec.installIf, spec.triggers];
  for (const word of lists.flatMap((list) => list ?? []))
    if (word === "" || /\s/.test(word)) throw new Error(`${spec.name}: not one word: ${JSON.stringify(word)}`);
  for (const text of [spec.description, spec.url, spec.license, spec.origin, spec.maintainer, spec.commit])
    if (text?.includes("\n")) throw new Error(`${spec.name}: a line break in ${JSON.stringify(text)}`);
  if ((spec.triggers !== undefined) !== (spec.scripts?.trigger !== undefined))
    throw new Error(`${spec.name}: triggers and a trigger script come together`);
  for (const entry of spec.entries)
    // apk takes every name with a leading dot in the root for metadata.
    if (entry.path.startsWith(".")) throw new Error(`${spec.name}: apk does not install ${entry.path}`);
}

function installedSize(entries: readonly Entry[]): number {
  let size = 0;
  for (const entry of entries)
    if (entry.type === "file") size += Math.ceil(contentOf(entry.source).length / FILE_BLOCK) * FILE_BLOCK;
  return Math.max(size, FILE_BLOCK);
}

function* dataBlocks(entries: readonly Entry[], mtime: number): Generator<Buffer> {
  yield* tarBlocks(completeTree(entries), { mtime, checksums: true });
  yield END_OF_ARCHIVE;
}

async function gzipped(blocks: Iterable<Buffer>, level: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  await pipeline(blocks, createGzip({ level }), async (stream: AsyncIterable<Buffer>) => {
    for await (const piece of stream) pieces.push(piece);
  });
  return Buffer.concat(pieces);
}

function pkgInfo(spec: PackageSpec, record: Omit<IndexRecord, "checksum" | "size">, dataHash: string): string {
  const lines: [string, string | number | undefined][] = [
    ["pkgname", spec.name],
    ["pkgver", spec.version],
    ["pkgdesc", record.description],
    ["url", record.url],
    ["builddate", record.buildDate],
    ["packager", record.maintainer],
    ["size", record.installedSize],
    ["arch", record.arch],
    ["origin", record.origin],
    ["commit", spec.commit],
    ["maintainer", record.maintainer],
    ["license", record.license],
    ["provider_priority", spec.providerPriority],
    ...(spec.replaces ?? []).map((word): [string, string] => ["replaces", word]),
    ...(spec.installIf?.length ? [["install_if", spec.installIf.join(" ")] as [string, string]] : []),
    ...(spec.triggers?.length ? [["triggers", spec.triggers.join(" ")] as [string, string]] : []),
    ...record.depends.map((word): [string, string] => ["depend", word]),
    ...record.provides.map((word): [string, string] => ["provides", word]),
    ["datahash", dataHash],
  ];
  return lines
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([key, value]) => `${key} = ${value}\n`)
    .join("");
}

/**
 * Writes `DIR/NAME-VERSION.apk` (apk's format version 2: signature, control and data as three gzip members) and returns
 * what an index says about it. Equal input gives equal bytes. Throws on a spec that apk would misread and on unreadable
 * files.
 */
export async function buildPackage(
  spec: PackageSpec,
  dir: string,
  signer: Signer,
  options: BuildOptions = {},
): Promise<IndexRecord> {
  check(spec);
  const mtime = options.sourceDate ?? Number(process.env["SOURCE_DATE_EPOCH"] ?? 0);
  const level = options.level ?? 9;
  const data = await gzipped(dataBlocks(spec.entries, mtime), level);
  const facts = {
    name: spec.name,
    version: spec.version,
    arch: spec.arch ?? "x86_64",
    file: `${spec.name}-${spec.version}.apk`,
    installedSize: installedSize(spec.entries),
    description: spec.description,
    url: spec.url ?? "https://alpinelinux.org",
    license: spec.license ?? "custom",
    origin: spec.origin ?? spec.name,
    maintainer: spec.maintainer ?? "nobody",
    buildDate: mtime,
    commit: spec.commit ?? "",
    ...given({ providerPriority: spec.providerPriority }),
    depends: spec.depends ?? [],
    provides: spec.provides ?? [],
    installIf: spec.installIf ?? [],
  };
  const info = pkgInfo(spec, facts, createHash("sha256").update(data).digest("hex"));
  const members: Entry[] = [{ type: "file", path: ".PKGINFO", source: { bytes: Buffer.from(info) } }];
  for (const [name, text] of Object.entries(spec.scripts ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)))
    members.push({ type: "file", path: `.${name}`, mode: 0o755, source: { bytes: Buffer.from(text) } });
  const control = gzipSync(Buffer.concat([...tarBlocks(members, { mtime, checksums: false })]), { level: 9 });
  const bytes = Buffer.concat([signatureMember(signer, control), control, data]);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, facts.file), bytes);
  const checksum = `Q1${createHash("sha1").update(control).digest("base64")}`;
  return { ...facts, checksum, size: bytes.length };
}
