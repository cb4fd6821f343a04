import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { IndexRecord } from "./package.ts";
import type { Signer } from "./sign.ts";
import { signatureMember } from "./sign.ts";
import type { Entry } from "./tar.ts";
import { END_OF_ARCHIVE, tarBlocks } from "./tar.ts";

/**
 * One record of an APKINDEX, its lines in apk's own order. `arch` replaces `noarch`: apk takes the folder's name from
 * it.
 */
export function indexText(record: IndexRecord, arch: string): string {
  const lines: [string, string | number | undefined][] = [
    ["C", record.checksum],
    ["P", record.name],
    ["V", record.version],
    ["A", arch],
    ["S", record.size],
    ["I", record.installedSize],
    ["T", record.description],
    ["U", record.url],
    ["L", record.license],
    ["o", record.origin],
    ["m", record.maintainer],
    ["t", record.buildDate],
    ["c", record.commit],
    ["k", record.providerPriority],
    ["D", record.depends.join(" ")],
    ["p", record.provides.join(" ")],
    ["i", record.installIf.join(" ")],
  ];
  return lines
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([key, value]) => `${key}:${value}\n`)
    .join("");
}

/**
 * Writes `DIR/APKINDEX.tar.gz`, signed, in place of an older one. DIR is the folder of one architecture (`…/x86_64`),
 * and holds the packages. Records are sorted by name and version, so the same set gives the same bytes.
 */
export function writeIndex(
  dir: string,
  records: readonly IndexRecord[],
  signer: Signer,
  description: string,
  options: { readonly arch?: string; readonly sourceDate?: number } = {},
): void {
  const text = [...records]
    .sort((a, b) => (a.file < b.file ? -1 : 1))
    .map((record) => indexText(record, options.arch ?? "x86_64") + "\n")
    .join("");
  const entries: Entry[] = [
    { type: "file", path: "DESCRIPTION", source: { bytes: Buffer.from(description) } },
    { type: "file", path: "APKINDEX", source: { bytes: Buffer.from(text) } },
  ];
  const mtime = options.sourceDate ?? Number(process.env["SOURCE_DATE_EPOCH"] ?? 0);
  const blocks = [...tarBlocks(entries, { mtime, checksums: false }), END_OF_ARCHIVE];
  const index = gzipSync(Buffer.concat(blocks), { level: 9 });
  mkdirSync(dir, { recursive: true });
  const file = join(dir, "APKINDEX.tar.gz");
  writeFileSync(`${file}.new`, Buffer.concat([signatureMember(signer, index), index]));
  renameSync(`${file}.new`, file);
}
