/** apk's configuration files. Open to the other doors: machine.toml names repositories. */
import { absolutePath } from "../text/absolute-path.ts";
import { RELEASE_FOLDER } from "./release.ts";

/** One line of /etc/apk/repositories. */
export type RepositoryLine =
  | { readonly kind: "repository"; readonly tag?: string; readonly url: string }
  | { readonly kind: "other"; readonly text: string };

/** The lines of /etc/apk/repositories; comments and empty lines are kept as they are. */
export function parseRepositories(text: string): RepositoryLine[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.map((line) => {
    const words = line.trim().split(/\s+/);
    const [first = ""] = words;
    if (first === "" || first.startsWith("#")) return { kind: "other", text: line };
    if (!first.startsWith("@")) return { kind: "repository", url: first };
    const url = words[1];
    return url === undefined ? { kind: "other", text: line } : { kind: "repository", tag: first.slice(1), url };
  });
}

export function renderRepositories(lines: readonly RepositoryLine[]): string {
  return lines.map((line) => `${line.kind === "other" ? line.text : repositoryWords(line)}\n`).join("");
}

function repositoryWords({ tag, url }: { tag?: string; url: string }): string {
  return tag === undefined ? url : `@${tag} ${url}`;
}

/** The active repositories as `-X` takes them: `URL` or `@tag URL`. */
export function activeRepositories(text: string): string[] {
  return parseRepositories(text).flatMap((line) => (line.kind === "repository" ? [repositoryWords(line)] : []));
}

/**
 * Rewrites the release in each mirror's URL, in those that are commented out too: whoever enables one later does not
 * want the old release. Edge and URLs without a release stay. `switched` and `kept` are the active URLs, before the
 * change.
 */
export function switchRelease(text: string, release: string): { text: string; switched: string[]; kept: string[] } {
  const switched: string[] = [];
  const kept: string[] = [];
  const lines = parseRepositories(text).map((line): RepositoryLine => {
    if (line.kind === "other") {
      const url = /^\s*#\s*(@\S+\s+)?(https?|ftp):\/\/\S+\s*$/.test(line.text);
      return url ? { kind: "other", text: line.text.replace(RELEASE_FOLDER, release) } : line;
    }
    (RELEASE_FOLDER.test(line.url) ? switched : kept).push(line.url);
    return { ...line, url: line.url.replace(RELEASE_FOLDER, release) };
  });
  return { text: renderRepositories(lines), switched, kept };
}

/** The two repositories of a release on a mirror laid out as Alpine's. */
export function mirrorRepositories(mirror: string, release: string): string[] {
  const base = `${mirror.replace(/\/+$/, "")}/${release}`;
  return [`${base}/main`, `${base}/community`];
}

/**
 * A repository as apk understands it from anywhere: `[@tag] URL`, or an absolute folder. `file://` becomes a folder, a
 * relative folder is taken from `cwd` (absolute). Undefined for an empty text.
 */
export function normaliseRepository(text: string, cwd: string): string | undefined {
  const [, tag = "", place = ""] = /^\s*(?:(@\S+)(?:\s+|$))?(.*?)\s*$/.exec(text) ?? [];
  if (place === "") return undefined;
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//.test(place) && !place.startsWith("file://");
  const from = isUrl ? place.replace(/\/+$/, "") : absolutePath(place.replace(/^file:\/\//, ""), cwd);
  return tag === "" ? from : `${tag} ${from}`;
}

/** The URL or folder of a `-X` word, without its tag. */
export function repositoryPlace(repository: string): string {
  return repository.startsWith("@") ? repository.slice(repository.indexOf(" ") + 1).trim() : repository;
}

/** True for a repository in a folder, false for one that is fetched. */
export function isLocalRepository(repository: string): boolean {
  return repositoryPlace(repository).startsWith("/");
}
