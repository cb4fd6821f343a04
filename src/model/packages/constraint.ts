/**
 * What may be asked of a package manager by name: one grammar, whoever asks. Open to the other doors: machine.toml
 * names packages.
 */
import { refuse, type Refusal } from "../problem.ts";
import { bad, quoted } from "../text/complaint.ts";

/** apk's package version: digits, letter, suffixes, commit hash, revision (apk-tools `version.c`). */
const VERSION = String.raw`\d+(?:\.\d+)*[a-z]?(?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*(?:~[0-9a-f]+)?(?:-r\d+)?`;
/**
 * A package, one that `apk add -t` made (`.build-deps`), or a thing provided: `cmd:[`, `pc:gtk+-3.0`,
 * `so:libc.musl-x86_64.so.1`, `/bin/sh`. Never what begins as an option does.
 */
const NAME = String.raw`(?:\.?[A-Za-z0-9_]|/)[A-Za-z0-9._+:/[\]-]*`;
const CONSTRAINT = new RegExp(`^(!?)(${NAME})(?:(><|==?|<=?|>=?|[<>]?~|=~|~=)([^@]*))?(@[A-Za-z0-9._-]+)?$`);

/** `name`, `name=1.2-r0`, `name>1`, `name~1.2`, `name@tag`, `!name`: what `apk add` and /etc/apk/world take. */
export function parsePackage(text: string): string | Refusal {
  const hint = "Write it as for apk add: name, name=1.2.3-r0, name~1.2, name@tag or !name.";
  if (text === "") return bad("is empty.", hint);
  if (/\s/.test(text)) return bad(`${quoted(text)} contains a space.`, "Give each package by itself.");
  if (text.startsWith("-")) return bad(`${quoted(text)} looks like an option of apk.`, hint);
  const match = CONSTRAINT.exec(text);
  if (match === null || isPackageFile(text)) return bad(`${quoted(text)} is not a package.`, hint);
  const version = match[4];
  // "><" pins a checksum, which apk itself writes into world for files given by name.
  if (version !== undefined && match[3] !== "><" && !new RegExp(`^${VERSION}$`).test(version)) {
    return bad(`${quoted(text)} names ${quoted(version)}, which is not a version.`, hint);
  }
  return text;
}

/** Whether a word names a package in a file, which apk tells from the others by its end alone. */
export function isPackageFile(word: string): boolean {
  return word.endsWith(".apk");
}

/** The words of a command line as packages, or why one of them is none. */
export function parsePackages(words: readonly string[], command: string): readonly string[] | Refusal {
  for (const word of words) {
    const parsed = parsePackage(word);
    if (typeof parsed !== "string")
      return refuse("E_USAGE", `${command}: ${parsed.problem.message}`, parsed.problem.hint);
  }
  return words;
}

/** Whether a constraint names one version, and not a range that an older package may lie in. */
export function isExact(constraint: string): boolean {
  return CONSTRAINT.exec(constraint)?.[3] === "=";
}

/** The names of which constraints ask for another version than the newest, or for one repository's. */
export function pinnedNames(constraints: readonly string[]): ReadonlySet<string> {
  return new Set(
    constraints.flatMap((word) => {
      const [, not, name = "", operator = ">", , tag] = CONSTRAINT.exec(word) ?? [];
      return not === "" && (tag !== undefined || !operator.startsWith(">") || operator === "><") ? [name] : [];
    }),
  );
}
