import { checksumHex, type IndexRecord } from "../../../model/packages/index.ts";
import { FirnError } from "../../../model/problem.ts";
import { copyFrom, isFile, makeDirectory, names, readBytes, writeBytes } from "../../kernel/files.ts";
import { programFailed, run, tryRun, type Finished } from "../../kernel/run.ts";
import { Within } from "../../kernel/within.ts";
import { temporaryFolder } from "./temporary.ts";

/**
 * A signature or control member is far smaller: signatures have 1 KiB, the largest control members (scripts) some 100
 * KiB.
 */
const LARGEST_MEMBER = 4 << 20;

/** Where a gzip member may start: the magic number and "deflate", RFC 1952. False ones occur in compressed data too. */
function* candidates(bytes: Uint8Array): Generator<number> {
  for (let at = bytes.indexOf(0x1f, 1); at >= 0; at = bytes.indexOf(0x1f, at + 1))
    if (bytes[at + 1] === 0x8b && bytes[at + 2] === 8) yield at;
}

/**
 * The digest of a file as lower-case hexadecimal. An installed Alpine has no openssl program, but busybox has these.
 */
function digest(algorithm: "sha1" | "sha256", file: string): string {
  const words = run([`${algorithm}sum`, file]).stdout;
  return words.slice(0, words.indexOf(" "));
}

/** Ends of gzip members from `start`: the first end for which `isEnd` holds of the bytes before it. */
function memberEnd(
  bytes: Uint8Array,
  start: number,
  file: string,
  isEnd: (file: string) => boolean,
): number | undefined {
  for (const offset of candidates(bytes.subarray(start))) {
    writeBytes(file, bytes.subarray(start, start + offset));
    if (isEnd(file)) return start + offset;
  }
  return undefined;
}

/** Runs what judges bytes by its exit code: one that a signal ended has judged nothing. Throws E_PROGRAM_FAILED. */
function judge(argv: readonly string[]): Finished {
  const finished = tryRun(argv);
  if (finished.status >= 128) throw programFailed(finished);
  return finished;
}

const isGzip = (file: string): boolean => judge(["gzip", "-t", file]).status === 0;

function refuse(what: string, why: string, hint = "Try another mirror."): never {
  throw new FirnError("E_SIGNATURE", `${what}: ${why}.`, hint);
}

/**
 * The only name in a signature member. Nothing signs that member itself, so whatever else is in it comes from nobody
 * knows whom.
 */
function onlyEntry(member: string, what: string): string {
  const listed = judge(["tar", "-tzf", member]).stdout.split("\n").filter(Boolean);
  if (listed.length > 1) refuse(what, "there is more than a signature in the part that no signature covers");
  return listed[0] ?? "";
}

/** What the signed part of an index says. */
export interface SignedIndex {
  /** The text of its APKINDEX. */
  text: string;
  /** When it was written, in seconds since 1970: the time of APKINDEX in the archive. */
  written: number;
  /** What it says that it is: `v3.20.3-88-g2f1d7c5`. */
  description: string;
  /** The file name of the key that its signature names. */
  key: string;
}

/** Bytes. Alpine's descriptions have some twenty. */
const LARGEST_DESCRIPTION = 4096;

/** An index in its parts: the signature's name and the signed rest, as files in `folder`. */
interface IndexParts {
  /** `.SIGN.RSA.NAME`: the signature, unpacked into the folder. */
  signature: string;
  scheme: string;
  key: string;
  rest: string;
}

function splitIndex(file: string, what: string, folder: string): IndexParts {
  const head = readBytes(file, 0, LARGEST_MEMBER);
  const packed = `${folder}/signature.gz`;
  const end = memberEnd(head, 0, packed, isGzip);
  if (end === undefined) refuse(what, "the index carries no signature, or is damaged");
  const listed = onlyEntry(packed, what);
  const match = /^\.SIGN\.(RSA|RSA256)\.([A-Za-z0-9@._+-]+)$/.exec(listed);
  const [signature = "", scheme = "", key = ""] = match ?? [];
  if (match === null)
    refuse(what, `the index is signed in a way that firn does not know (${listed || "no signature"})`);
  run(["tar", "-xzf", packed, "-C", folder, signature]);
  const rest = `${folder}/rest`;
  copyFrom(file, end, rest);
  return { signature: `${folder}/${signature}`, scheme, key, rest };
}

function contentOf({ rest, key }: IndexParts, what: string): SignedIndex {
  const folder = `${rest}.d`;
  makeDirectory(folder, 0o700);
  run(["tar", "-xzf", rest, "-C", folder]);
  using inside = Within.volume(folder);
  const written = inside.lstat("APKINDEX")?.mtime;
  const text = inside.text("APKINDEX");
  if (written === undefined || text === undefined) refuse(what, "there is no index in it");
  return { text, written, description: inside.text("DESCRIPTION", LARGEST_DESCRIPTION) ?? "", key };
}

/**
 * What the signed part of an APKINDEX.tar.gz says, whose signature apk has just checked. Only that part is read:
 * nothing covers what else may have been put beside the signature. `what` names the index in errors. Throws
 * E_SIGNATURE.
 */
export function readIndex(file: string, what: string, tmp: string): SignedIndex {
  using folder = temporaryFolder(tmp);
  return contentOf(splitIndex(file, what, folder.path), what);
}

/**
 * Checks the signature of an APKINDEX.tar.gz with a key of `keysDir`, through openssl, and gives what the signed part
 * says. `what` names the index in errors. `tmp`: where temporary files may lie. Throws E_SIGNATURE with the key that
 * was wanted and the keys that are known.
 */
export function verifyIndex(file: string, what: string, keysDir: string, tmp: string): SignedIndex {
  using folder = temporaryFolder(tmp);
  const parts = splitIndex(file, what, folder.path);
  const key = `${keysDir}/${parts.key}`;
  if (!isFile(key)) {
    const known = names(keysDir).join(", ") || "none";
    refuse(
      what,
      `the index is signed with the key ${parts.key}, which is not trusted here; known keys: ${known}`,
      "Give the folder with that public key with --keys-dir.",
    );
  }
  const algorithm = parts.scheme === "RSA256" ? "-sha256" : "-sha1";
  const words = ["openssl", "dgst", algorithm, "-verify", key, "-signature", parts.signature, parts.rest];
  if (judge(words).status !== 0)
    refuse(
      what,
      `the signature of the index does not verify with the key ${parts.key}: it was damaged, or changed after it was signed`,
    );
  return contentOf(parts, what);
}

/**
 * Checks that a package is the one a verified index names: the control member by the index's SHA-1, the data by the
 * SHA-256 in the control member. `unpackable`: where to leave the data member, the only part of a package to unpack or
 * list, as a .tar.gz. Throws E_SIGNATURE.
 */
export function verifyPackage(file: string, record: IndexRecord, tmp: string, unpackable?: string): void {
  const what = `${record.name}-${record.version}`;
  const wanted = checksumHex(record.checksum);
  if (wanted === undefined) refuse(what, `the index gives a checksum that firn does not know (${record.checksum})`);
  using folder = temporaryFolder(tmp);
  const head = readBytes(file, 0, LARGEST_MEMBER);
  const control = `${folder.path}/control.gz`;
  // A package starts with its own signature, or right with the control member. The hash tells which member is which.
  const first = `${folder.path}/first.gz`;
  const signed = memberEnd(head, 0, first, isGzip) ?? 0;
  const isControl = (part: string): boolean => digest("sha1", part) === wanted;
  const afterSignature = memberEnd(head, signed, control, isControl);
  const end = afterSignature ?? memberEnd(head, 0, control, isControl);
  if (end === undefined)
    refuse(what, "the package is not the one that the signed index names: it was damaged or changed");
  if (afterSignature !== undefined && signed > 0) onlyEntry(first, what);
  const info = run(["tar", "-xzOf", control, ".PKGINFO"]).stdout;
  const expected = /^datahash = ([0-9a-f]{64})$/m.exec(info)?.[1];
  const data = `${folder.path}/data`;
  copyFrom(file, end, data);
  if (expected === undefined || digest("sha256", data) !== expected)
    refuse(what, "the files in the package are not those that were signed: it was damaged or changed");
  if (unpackable !== undefined) copyFrom(data, 0, unpackable);
}
