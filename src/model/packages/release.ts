/** The names of Alpine's releases. Open to the other doors: machine.toml names one. */
import type { Refusal } from "../problem.ts";
import { bad, quoted } from "../text/complaint.ts";
import { nearest } from "../text/nearest.ts";
import { compareVersions } from "./version.ts";

/** A branch of Alpine as its mirrors name the folder: v3.20, edge, latest-stable. "3.20" is understood. */
export function parseRelease(text: string): string | Refusal {
  if (text === "edge" || text === "latest-stable") return text;
  const match = /^v?(\d{1,2}\.\d{1,3})((?:\.\d+)?)$/.exec(text);
  if (match !== null && match[2] === "") return `v${match[1]!}`;
  if (match !== null) {
    return bad(`${quoted(text)} is a point release; mirrors carry its branch.`, `Write "v${match[1]!}".`);
  }
  const near = nearest(text, ["edge", "latest-stable"]);
  const hint = near === undefined ? "Write for example v3.20, latest-stable or edge." : `Did you mean ${quoted(near)}?`;
  return bad(`${quoted(text)} is not a release.`, hint);
}

/** The part of a URL that names a release: a whole folder name, so never a part of a host's name. */
export const RELEASE_FOLDER = /(?<=(?:^|[^/])\/)(v\d+\.\d+|latest-stable)(?=\/|$)/;

/** Whether a release (v3.19) is older than what a root says that it is (3.20.3). */
export function goesBack(from: string | undefined, to: string | undefined): boolean {
  const wanted = /^v(\d+\.\d+)$/.exec(to ?? "")?.[1];
  const had = /^\d+\.\d+/.exec(from ?? "")?.[0];
  return wanted !== undefined && had !== undefined && compareVersions(wanted, had) < 0;
}

/** The release that a repository's URL or folder names, `v3.20`; undefined for edge, latest-stable and all others. */
export function releaseNamed(place: string): string | undefined {
  const name = RELEASE_FOLDER.exec(place)?.[1];
  return name === "latest-stable" ? undefined : name;
}

/**
 * The release that an index says that it is of: `v3.20` for `v3.20.3-88-g2f1d7c5`, "edge" for `v20240923-12-g0a1b2c3`;
 * undefined where it says something else, as mirrors of one's own do.
 */
export function releaseTold(description: string): string | undefined {
  if (/^v\d{8}(?![\d.])/.test(description)) return "edge";
  const number = /^v?(\d+\.\d+)(?=[._\s-]|$)/.exec(description)?.[1];
  return number === undefined ? undefined : `v${number}`;
}

/** Whether any of these indexes is of a release, by its address or by its own word. Of a name that moves: always. */
export function isOffered(
  release: string,
  indexes: readonly { readonly place: string; readonly description: string }[],
): boolean {
  if (!release.startsWith("v")) return true;
  return indexes.some((one) => releaseNamed(one.place) === release || releaseTold(one.description) === release);
}
