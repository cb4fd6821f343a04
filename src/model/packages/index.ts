/** What a repository offers, and of when that is. Open to the other doors: a generation's record notes the latter. */
import { refuse, type Refusal } from "../problem.ts";
import { decodeBase64 } from "../text/base64.ts";
import { quoted } from "../text/complaint.ts";
import { hex } from "../text/hex.ts";
import { releaseNamed, releaseTold } from "./release.ts";

/** One record of an APKINDEX. */
export interface IndexRecord {
  name: string;
  version: string;
  arch: string;
  /** `Q1` and base64 of the SHA-1 of the package's control member. */
  checksum: string;
  /** Bytes of the .apk file. */
  packageBytes: number;
  /** Bytes. */
  installedBytes: number;
  depends: readonly string[];
  provides: readonly string[];
}

function parseRecord(text: string): IndexRecord {
  const found: IndexRecord = {
    name: "",
    version: "",
    arch: "",
    checksum: "",
    packageBytes: 0,
    installedBytes: 0,
    depends: [],
    provides: [],
  };
  for (const line of text.split("\n")) {
    const value = line.slice(2);
    if (line[1] !== ":") continue;
    switch (line[0]) {
      case "P":
        found.name = value;
        break;
      case "V":
        found.version = value;
        break;
      case "A":
        found.arch = value;
        break;
      case "C":
        found.checksum = value;
        break;
      case "S":
        found.packageBytes = Number(value) || 0;
        break;
      case "I":
        found.installedBytes = Number(value) || 0;
        break;
      case "D":
        found.depends = value.split(" ").filter(Boolean);
        break;
      case "p":
        found.provides = value.split(" ").filter(Boolean);
        break;
      default:
    }
  }
  return found;
}

/** All records of an APKINDEX text, in its order. */
export function parseIndex(text: string): IndexRecord[] {
  return text
    .split("\n\n")
    .map((part) => parseRecord(part))
    .filter(({ name }) => name !== "");
}

/** The records of some packages only: an index of Alpine's holds up to 25,000, of which an upgrade needs a few. */
export function recordsNamed(text: string, names: ReadonlySet<string>): IndexRecord[] {
  const found: IndexRecord[] = [];
  for (let at = text.indexOf("\nP:"); at >= 0; at = text.indexOf("\nP:", at + 3)) {
    const name = text.slice(at + 3, text.indexOf("\n", at + 3));
    if (!names.has(name)) continue;
    const before = text.lastIndexOf("\n\n", at);
    const after = text.indexOf("\n\n", at);
    found.push(parseRecord(text.slice(before < 0 ? 0 : before + 2, after < 0 ? undefined : after)));
  }
  return found;
}

/**
 * The name in a dependency or provision: `musl` of `musl>=1.2`, `so:libz.so.1` of `so:libz.so.1=1.3`; without a tag.
 */
export function dependencyName(dependency: string): string {
  const end = dependency.search(/[<>=~@]/);
  return end < 0 ? dependency : dependency.slice(0, end);
}

/** The name under which a repository holds a package. */
export function packageFile(record: { name: string; version: string }): string {
  return `${record.name}-${record.version}.apk`;
}

/** The SHA-1 of a `Q1…` checksum as 40 hexadecimal digits; undefined when it is none. */
export function checksumHex(checksum: string): string | undefined {
  // 20 bytes are 27 letters and one sign of padding.
  if (!/^Q1[A-Za-z0-9+/]{27}=$/.test(checksum)) return undefined;
  return hex(decodeBase64(checksum.slice(2)) ?? []);
}

/**
 * The name of a package in apk's cache folder (apk-tools, src/apk_package.h: PKG_FILE_FMT and the first 4 bytes of the
 * checksum).
 */
export function cacheFile(record: { name: string; version: string; checksum: string }): string {
  return `${record.name}-${record.version}.${(checksumHex(record.checksum) ?? "").slice(0, 8)}.apk`;
}

/** Of when an index is, and what it says that it is. Both are signed. */
export interface IndexStamp {
  /** The URL or folder, as a person knows it. */
  readonly place: string;
  /** Seconds since 1970; 0 where nobody noted it. */
  readonly written: number;
  readonly description: string;
}

/** When the index of each repository was written that was used last: seconds since 1970, by URL or folder. */
export type IndexTimes = Readonly<Record<string, number>>;

export function indexTimes(stamps: readonly IndexStamp[]): IndexTimes {
  return Object.fromEntries(
    stamps.flatMap(({ place, written }) => (written > 0 ? [[withoutUser(place), written]] : [])),
  );
}

/** An URL without `user:password@`, which a record that everybody may read would keep. */
function withoutUser(place: string): string {
  return place.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/, "$1");
}

function date(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/**
 * Why indexes, each signed by who may, are not to be used: a signature does not grow old, so whoever answers for a
 * mirror can offer one of long ago, with all that was mended since, or another release's.
 */
export function judgeIndexes(
  stamps: readonly IndexStamp[],
  last: IndexTimes,
  allowOlder: boolean,
): Refusal | undefined {
  for (const { place, written, description } of stamps) {
    const [wanted, told] = [releaseNamed(place), releaseTold(description)];
    if (wanted !== undefined && told !== undefined && wanted !== told)
      return refuse(
        "E_INDEX_RELEASE",
        `${withoutUser(place)}: what is there is of release ${told}, not ${wanted} (its index says ${quoted(description)}).`,
        "The mirror mixes releases up, or somebody does. Try another mirror.",
      );
    const before = last[withoutUser(place)] ?? 0;
    if (!allowOlder && written > 0 && written < before)
      return refuse(
        "E_INDEX_OLD",
        `${withoutUser(place)}: its index is of ${date(written)}, older than the one used last, of ${date(before)}.`,
        "The mirror is behind, or somebody offers an old one: try again later, or another mirror. If it is meant: --allow-downgrade.",
      );
  }
  return undefined;
}
