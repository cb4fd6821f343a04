import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { given } from "../../src/model/given.ts";

/** Where a file's bytes come from: memory, or a file that is read when its turn comes. */
export type Source = { readonly bytes: Uint8Array } | { readonly file: string };

interface Owned {
  /** Relative to the root, no leading slash: `usr/bin/firn`. */
  readonly path: string;
  readonly uid?: number;
  readonly gid?: number;
  /** apk prefers the name to the number when the target's passwd knows it. Default: `root`. */
  readonly user?: string;
  readonly group?: string;
}

/** One thing in an archive. `mode` holds permission bits only; 0644 for files and 0755 for directories unless given. */
export type Entry =
  | (Owned & { readonly type: "file"; readonly source: Source; readonly mode?: number })
  | (Owned & { readonly type: "dir"; readonly mode?: number })
  | (Owned & { readonly type: "symlink"; readonly target: string });

export interface TarOptions {
  /** Seconds since 1970, the same for all entries: archives of equal content are equal bytes. */
  readonly mtime: number;
  /** Write `APK-TOOLS.checksum.SHA1` before each file and symlink, as apk's data member has it. */
  readonly checksums: boolean;
}

const BLOCK = 512;
const TYPE_FLAG = { file: "0", symlink: "2", dir: "5", pax: "x" } as const;
/** ustar's name and linkname fields; longer ones go into a PAX record. */
const NAME_FIELD = 100;

/** The two zero blocks that end an archive. apk wants them after data and index, never after signature and control. */
export const END_OF_ARCHIVE: Buffer = Buffer.alloc(2 * BLOCK);

/** The bytes of a source. Throws what readFileSync throws. */
export function contentOf(source: Source): Uint8Array {
  return "bytes" in source ? source.bytes : readFileSync(source.file);
}

function octal(value: number, width: number): string {
  const digits = value.toString(8);
  if (digits.length > width - 1) throw new Error(`${value} does not fit into a tar field of ${width} bytes`);
  return digits.padStart(width - 1, "0") + "\0";
}

interface Header {
  name: string;
  flag: string;
  mode: number;
  size: number;
  mtime: number;
  link?: string;
  uid?: number;
  gid?: number;
  user?: string;
  group?: string;
}

function header(h: Header): Buffer {
  const block = Buffer.alloc(BLOCK);
  const cut = (text: string) => Buffer.from(text).subarray(0, NAME_FIELD).toString("latin1");
  block.write(cut(h.name), 0, "latin1");
  block.write(octal(h.mode, 8), 100);
  block.write(octal(h.uid ?? 0, 8), 108);
  block.write(octal(h.gid ?? 0, 8), 116);
  block.write(octal(h.size, 12), 124);
  block.write(octal(h.mtime, 12), 136);
  block.write(" ".repeat(8), 148);
  block.write(h.flag, 156);
  if (h.link !== undefined) block.write(cut(h.link), 157, "latin1");
  block.write("ustar\u000000", 257);
  block.write(h.user ?? "root", 265, 31);
  block.write(h.group ?? "root", 297, 31);
  block.write(octal(0, 8), 329);
  block.write(octal(0, 8), 337);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(octal(sum, 7) + " ", 148);
  return block;
}

function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** `<length> <key>=<value>\n`, where the length counts its own digits. */
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return `${length} ${key}=${value}\n`;
}

function sha1(data: Uint8Array | string): string {
  return createHash("sha1").update(data).digest("hex");
}

/**
 * The archive's bytes in pieces, without end-of-archive blocks. Files are read one at a time.
 * Throws on a path that is absolute or climbs out, and on a file that cannot be read.
 */
export function* tarBlocks(entries: Iterable<Entry>, options: TarOptions): Generator<Buffer> {
  const { mtime } = options;
  for (const entry of entries) {
    if (!/^[^/\0][^\0]*$/.test(entry.path) || entry.path.split("/").includes(".."))
      throw new Error(`not a path for an archive: ${JSON.stringify(entry.path)}`);
    const content = entry.type === "file" ? contentOf(entry.source) : undefined;
    const name = entry.type === "dir" ? `${entry.path}/` : entry.path;
    let pax = "";
    if (Buffer.byteLength(name) > NAME_FIELD) pax += paxRecord("path", name);
    if (entry.type === "symlink" && Buffer.byteLength(entry.target) > NAME_FIELD)
      pax += paxRecord("linkpath", entry.target);
    if (options.checksums && entry.type !== "dir")
      pax += paxRecord("APK-TOOLS.checksum.SHA1", sha1(entry.type === "symlink" ? entry.target : content!));
    if (pax !== "") {
      const bytes = Buffer.from(pax);
      yield header({ name: "pax", flag: TYPE_FLAG.pax, mode: 0o644, size: bytes.length, mtime });
      yield bytes;
      yield padding(bytes.length);
    }
    yield header({
      name,
      flag: TYPE_FLAG[entry.type],
      mode: entry.type === "symlink" ? 0o777 : (entry.mode ?? (entry.type === "dir" ? 0o755 : 0o644)),
      size: content?.length ?? 0,
      mtime,
      ...(entry.type === "symlink" ? { link: entry.target } : {}),
      ...given({ uid: entry.uid, gid: entry.gid, user: entry.user, group: entry.group }),
    });
    if (content !== undefined && content.length > 0) {
      yield Buffer.from(content.buffer, content.byteOffset, content.byteLength);
      yield padding(content.length);
    }
  }
}

/**
 * The entries with every missing parent directory (0755 root), each directory before what it holds.
 * Throws when two entries have the same path.
 */
export function completeTree(entries: Iterable<Entry>): Entry[] {
  const byPath = new Map<string, Entry>();
  for (const entry of entries) {
    if (byPath.has(entry.path)) throw new Error(`two entries for ${entry.path}`);
    byPath.set(entry.path, entry);
  }
  // Parents that are added on the way are visited too, and have theirs by then.
  for (const path of byPath.keys()) {
    const parts = path.split("/");
    for (let n = 1; n < parts.length; n++) {
      const parent = parts.slice(0, n).join("/");
      if (!byPath.has(parent)) byPath.set(parent, { type: "dir", path: parent });
    }
  }
  // Sorting with the separator lowest keeps a directory's contents together and after it.
  const key = (entry: Entry) => entry.path.replaceAll("/", "\u0001");
  return [...byPath.values()].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
