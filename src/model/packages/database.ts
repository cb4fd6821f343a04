/** One package of `lib/apk/db/installed`, without its files. */
export interface InstalledPackage {
  name: string;
  version: string;
  arch: string;
  /** `Q1` and base64 of the SHA-1 of the control member: apk's identity of a package. */
  checksum: string;
  /** Bytes. */
  installedBytes: number;
  depends: readonly string[];
  /** The source package; empty where apk does not know it. */
  origin: string;
  /** The commit of aports it was built from; empty where apk does not know it. */
  commit: string;
  /**
   * What apk says is broken: `f` files, `s` a script, `x` extended attributes. Every later run of apk exits with an
   * error.
   */
  broken: string;
}

/** One file or symlink that a package owns. */
export interface InstalledFile {
  /** Relative to the root: `usr/bin/foo`. */
  path: string;
  /** `Q1` and base64 of a SHA-1, of the target for a symlink; empty where apk keeps none. */
  hash: string;
}

/** The value of a record's field, from a text that starts and ends with a line break. */
function field(header: string, key: string): string {
  const start = header.indexOf(`\n${key}:`);
  if (start < 0) return "";
  const end = header.indexOf("\n", start + 3);
  return header.slice(start + 3, end < 0 ? undefined : end);
}

/** Calls `visit` with each record's header and the bounds of its file list. Headers start and end with a line break. */
function eachRecord(text: string, visit: (header: string, filesStart: number, end: number) => void): void {
  for (let start = 0; start < text.length;) {
    let end = text.indexOf("\n\n", start);
    if (end < 0) end = text.length;
    // The search for the first folder could run through many records of packages without files: bounded by slicing
    // first.
    const record = text.slice(start, end);
    const folder = record.startsWith("F:") ? 0 : record.indexOf("\nF:");
    const headerEnd = folder < 0 ? record.length : folder;
    visit(`\n${record.slice(0, headerEnd)}\n`, start + headerEnd, end);
    start = end + 2;
    while (text[start] === "\n") start++;
  }
}

/** The packages of an installed database, in its order, without their files. Milliseconds under an interpreter. */
export function packageList(text: string): InstalledPackage[] {
  const packages: InstalledPackage[] = [];
  eachRecord(text, (header) => {
    const name = field(header, "P");
    if (name === "") return;
    packages.push({
      name,
      version: field(header, "V"),
      arch: field(header, "A"),
      checksum: field(header, "C"),
      installedBytes: Number(field(header, "I")) || 0,
      depends: field(header, "D").split(" ").filter(Boolean),
      origin: field(header, "o"),
      commit: field(header, "c"),
      broken: field(header, "f"),
    });
  });
  return packages;
}

/** The files of some packages, by package name. A name that is not installed is not in the result. */
export function filesOf(text: string, names: ReadonlySet<string>): Map<string, InstalledFile[]> {
  const found = new Map<string, InstalledFile[]>();
  eachRecord(text, (header, start, end) => {
    const name = field(header, "P");
    if (names.has(name)) found.set(name, parseFiles(text.slice(start, end)));
  });
  return found;
}

function parseFiles(text: string): InstalledFile[] {
  const files: InstalledFile[] = [];
  let folder = "";
  let last: InstalledFile | undefined;
  for (const line of text.split("\n")) {
    const value = line.slice(2);
    if (line.startsWith("F:")) folder = value === "" ? "" : `${value}/`;
    else if (line.startsWith("R:")) files.push((last = { path: folder + value, hash: "" }));
    else if (line.startsWith("Z:") && last !== undefined) last.hash = value;
  }
  return files;
}

/** Bytes that packages take, as they say themselves. */
export function installedBytesOf(packages: readonly InstalledPackage[]): number {
  return packages.reduce((sum, { installedBytes }) => sum + installedBytes, 0);
}
