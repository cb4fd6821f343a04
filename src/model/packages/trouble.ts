import type { Problem } from "../problem.ts";

/** Of apk 2.14: what came is damaged, or nothing came since there is no way to the mirror. */
const ambiguous = /\bIO ERROR\b/;

/** What apk printed and how it ended. */
export interface ApkOutput {
  status: number;
  stdout: string;
  stderr: string;
  /** How many lines of stderr came before the first script ran; undefined when none did. */
  beforeScripts?: number;
}

/** A name that no repository provides, and who wants it: `world[foo]` for what the user asked for. */
export interface MissingPackage {
  readonly name: string;
  readonly requiredBy: readonly string[];
}

/** What the problem is about, for whoever can say more about it: near names, known keys. */
export interface ApkTrouble {
  readonly problem: Problem;
  readonly missing?: readonly MissingPackage[];
  /** apk has the same words for bytes that are damaged and for a network that leads nowhere. */
  readonly unsure?: boolean;
}

/** What apk does not say, and a message should. */
export interface TroubleContext {
  /** How the user spelled a repository, by what apk was told. */
  readonly shown: Readonly<Record<string, string>>;
  /** File names of the keys that apk was to trust. */
  readonly keys: () => readonly string[];
}

/** Network words of apk-tools 2.14 and 3 (src/print.c) and libfetch (libfetch/common.c, its error table). */
const network =
  /could not connect|temporary error|network (error|connection)|DNS|timed out|connection|host|remote server|TLS|certificate|HTTP|unexpected end of file/i;
/** What apk 2.14 (BAD, UNTRUSTED, IO ERROR) and 3 say of bytes that are not what was signed. Sources: as above. */
const damaged =
  /BAD (signature|archive)|IO ERROR|(v2 package )?integrity error|format (is invalid|error)|ADB .*error|crypto error/;

const repositoryLine =
  /^WARNING: (?:Ignoring|opening from cache|opening|fetching|updating and opening|updating) (\S*[/.]\S*): (.+?)(?: \(check repositories file\))?$/;
const packageLine = /^ERROR: (\S+-[0-9]\S*-r\d+): (.+)$/;
const fileLine = /^ERROR: (\/\S+\.apk): (.+)$/;
const scriptLine =
  /^ERROR: (\S+)\.((?:pre|post)-(?:install|upgrade|deinstall)|trigger): (?:script )?(exited .+|killed .+|stopped .+)$/;

/** Whether a line of apk's stdout says that a script runs now, to which apk lends its stderr. */
export function startsScript(line: string): boolean {
  return /^Executing \S+\.((pre|post)-(install|upgrade|deinstall)|trigger)$/.test(line);
}

function problem(code: Problem["code"], message: string, hint?: string): Problem {
  return hint === undefined ? { code, message } : { code, message, hint };
}

/** What a repository's warning means. apk itself goes on without the repository, and often exits with 0. */
function repositoryProblem(told: string, reason: string, { shown, keys }: TroubleContext): Problem {
  // apk 3 names the index itself.
  const named = told.replace(/\/[^/]+\/APKINDEX\.tar\.gz$/, "");
  const place = shown[named] ?? named;
  if (reason.includes("UNTRUSTED"))
    return problem(
      "E_SIGNATURE",
      `${place}: the index is signed with a key that is not trusted here. Known keys: ${keys().join(", ") || "none"}.`,
      "Give the folder with the repository's public key with --keys-dir.",
    );
  if (damaged.test(reason))
    return problem(
      "E_SIGNATURE",
      `${place}: the index is damaged, or it was changed after it was signed (apk: ${reason}).`,
      "Try another mirror.",
    );
  if (reason.includes("No space left"))
    return problem("E_NO_SPACE", `${place}: no space is left to keep its index.`, "`firn gc` frees space.");
  const none = reason.includes("No such file or directory");
  const what = none ? "there is no index for this architecture" : reason;
  return problem(
    "E_MIRROR",
    `${place}: ${what}.`,
    none ? "Check the repository's address and --arch." : "Check the network and the repository's address.",
  );
}

function packageProblem(name: string, reason: string): Problem | undefined {
  if (reason.includes("mentioned in index not found") || reason === "No such file or directory")
    return problem(
      "E_MIRROR_STALE",
      `${name}: the repository's index names this package, but the package is not there.`,
      "The mirror is being updated, or is incomplete. Try again later, or another mirror.",
    );
  if (reason.includes("UNTRUSTED") || damaged.test(reason))
    return problem(
      "E_SIGNATURE",
      `${name}: the package is not the one that the signed index names (apk: ${reason}).`,
      "Try another mirror.",
    );
  if (reason.includes("No space left")) return problem("E_NO_SPACE", `${name}: no space is left to install it.`);
  const owned = /^trying to overwrite (\S+) owned by (\S+?)\.?$/.exec(reason);
  if (owned)
    return problem(
      "E_PACKAGE_CONFLICT",
      `${name} and ${owned[2]} both bring the file /${owned[1]}.`,
      "Leave one of them out.",
    );
  if (network.test(reason)) return problem("E_MIRROR", `${name}: it could not be fetched (apk: ${reason}).`);
  return undefined;
}

/** What is wrong with a package that was given as a file. */
function fileProblem(told: string, reason: string, { shown, keys }: TroubleContext): Problem {
  const file = shown[told] ?? told;
  if (reason.includes("UNTRUSTED"))
    return problem(
      "E_SIGNATURE",
      `${file}: the package is not signed with a key that is trusted here. Known keys: ${keys().join(", ") || "none"}.`,
      "Give the folder with its maker's public key with --keys-dir.",
    );
  if (damaged.test(reason))
    return problem("E_SIGNATURE", `${file}: this is no package, or a damaged one (apk: ${reason}).`);
  return problem("E_FILE", `${file}: ${reason}.`);
}

/** The names under "unable to select packages" that nothing provides. */
function parseMissing(stderr: string): MissingPackage[] {
  const missing: { name: string; requiredBy: string[] }[] = [];
  let at: { name: string; requiredBy: string[] } | undefined;
  for (const line of stderr.split("\n")) {
    const name = /^ {2}(\S+) \(no such package\):/.exec(line)?.[1];
    if (name !== undefined) missing.push((at = { name, requiredBy: [] }));
    else if (/^ {2}\S/.test(line)) at = undefined;
    else if (at && line.startsWith("    ")) at.requiredBy.push(...line.replace("required by:", "").trim().split(/\s+/));
  }
  const plain = /^ERROR: No such package: (\S+)$/m.exec(stderr)?.[1];
  if (plain !== undefined) missing.push({ name: plain, requiredBy: [] });
  return missing;
}

function missingProblem(missing: readonly MissingPackage[]): Problem {
  const words = missing.map(({ name, requiredBy }) => {
    const packages = requiredBy.filter((by) => !by.startsWith("world["));
    return packages.length === 0
      ? name
      : `${name} (needed by ${packages.map((by) => by.replace(/\[.*/, "")).join(", ")})`;
  });
  return problem(
    "E_PACKAGE_MISSING",
    `No repository has ${words.join(", ")}.`,
    "Check the name, and which repositories are given.",
  );
}

/**
 * What lies under "unable to select packages" when nothing is missing: conflicts, or versions that exclude each other.
 */
function conflictProblem(stderr: string): Problem {
  const at = stderr.indexOf("unable to select packages:");
  const clashes = stderr
    .slice(at)
    .split("\n")
    .slice(1)
    .filter((line) => /^ {2}\S/.test(line) || /^ {4}(breaks|conflicts|masked in):/.test(line))
    .map((line) => line.trim());
  return problem(
    "E_PACKAGE_CONFLICT",
    `These packages do not go together: ${clashes.join(" ")}`,
    "Leave one of them out.",
  );
}

function databaseProblem(reason: string): Problem {
  if (reason.includes("Read-only"))
    return problem("E_VOLUME_READONLY", "The root that apk should change is read-only.");
  if (reason.includes("Permission denied"))
    return problem("E_NOT_ROOT", "Changing packages needs root.", "Run it with doas or sudo.");
  if (reason.includes("temporary error"))
    return problem("E_LOCKED", "Another apk is at work on the same root.", "Wait until it has ended.");
  return problem("E_PROGRAM_FAILED", `apk cannot open its database: ${reason}.`);
}

/**
 * What went wrong in a run of apk, whatever its exit code says: apk exits with 0 when a repository is missing or its
 * signature is not trusted, and when a trigger failed. Where scripts ran, any line may be theirs: repositories and the
 * database are told of before, and what apk tells of packages afterwards counts only when it ends as failed. Undefined
 * when all went well.
 */
export function apkTrouble(output: ApkOutput, context: TroubleContext): ApkTrouble | undefined {
  const lines = output.stderr.split("\n");
  const own = lines.slice(0, output.beforeScripts);
  const counted = output.status === 0 ? own : lines;
  for (const line of own) {
    const match = repositoryLine.exec(line);
    if (match)
      return { problem: repositoryProblem(match[1] ?? "", match[2] ?? "", context), unsure: ambiguous.test(line) };
  }
  const scripts: string[] = [];
  let space = false;
  let first: Problem | undefined;
  for (const line of lines) {
    const script = scriptLine.exec(line);
    if (script) scripts.push(`${script[1]}: its ${script[2]} script ${script[3]}`);
  }
  for (const line of counted) {
    const entry = packageLine.exec(line);
    if (entry) first ??= packageProblem(entry[1] ?? "", entry[2] ?? "");
    if (line.startsWith("ERROR: ") && line.includes("No space left on device")) space = true;
  }
  for (const line of own) {
    const file = fileLine.exec(line);
    if (file) first ??= fileProblem(file[1] ?? "", file[2] ?? "", context);
    const database =
      /^ERROR: (?:Unable to lock database|Unable to (?:open|read) .*|Failed to open apk database): (.+)$/.exec(line);
    if (database) first ??= databaseProblem(database[1] ?? "");
    const tag = /^WARNING: The repository tag for world dependency '(.+)' does not exist$/.exec(line);
    if (tag)
      first ??= problem(
        "E_PACKAGE_MISSING",
        `No repository has the tag of ${tag[1]}.`,
        "Add the repository as `@tag URL`.",
      );
  }
  if (space) return { problem: problem("E_NO_SPACE", "The filesystem filled up while packages were installed.") };
  if (first !== undefined) return { problem: first, unsure: counted.some((line) => ambiguous.test(line)) };
  if (scripts.length > 0) {
    const told = lines.filter((line) => line !== "" && !scriptLine.test(line)).slice(-5);
    const hint = "Leave the package out, or give its script what it needs.";
    return { problem: { ...problem("E_PACKAGE_SCRIPT", `${scripts.join("; ")}.`, hint), details: told } };
  }
  if (output.status === 0) return undefined;
  const missing = parseMissing(output.stderr);
  if (missing.length > 0) return { problem: missingProblem(missing), missing };
  if (output.stderr.includes("unable to select packages:")) return { problem: conflictProblem(output.stderr) };
  const unselected = /^(\S+): unable to select package \(or its dependencies\)$/m.exec(output.stdout)?.[1];
  if (unselected !== undefined) {
    const names = [{ name: unselected, requiredBy: [] }];
    return { problem: missingProblem(names), missing: names };
  }
  const stale = /(\d+) unavailable, (\d+) stale/.exec(output.stdout);
  if (stale && output.stderr === "") return { problem: problem("E_MIRROR", "A repository could not be reached.") };
  return undefined;
}
