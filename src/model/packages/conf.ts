/** apk's configuration files. Open to the other doors: machine.toml names repositories. */
import { absolutePath } from "../text/absolute-path.ts";
import { RELEASE_FOLDER } from "./release.ts";

/** What a file of repositories names. */
export interface RepositoryNames {
  /** As `-X` takes them: `URL` or `@tag URL`. */
  readonly active: readonly string[];
  /** Lines of kinds that firn does not read, as they stand there. */
  readonly unread: readonly string[];
}

/**
 * Reads /etc/apk/repositories, or a file of repositories.d: `URL`, `/folder`, `@tag URL`, and of apk 3's words (its
 * apk-repositories(5)) `set NAME=VALUE`, `${NAME}`, `v2` before an URL, and components behind it, `URL main community`.
 */
export function readRepositories(text: string): RepositoryNames {
  const active: string[] = [];
  const unread: string[] = [];
  const variables = new Map<string, string>();
  for (const line of text.split("\n").map((one) => one.trim())) {
    if (line === "" || line.startsWith("#")) continue;
    const words = line
      .split(/\s+/)
      .map((word) => word.replace(/\$\{(\w+)\}/g, (all, name) => variables.get(name) ?? all));
    if (words[0] === "set") {
      for (const [name = "", value = ""] of words.slice(1).map((word) => word.split(/=(.*)/)))
        variables.set(name, value);
      continue;
    }
    const tag = words[0]?.startsWith("@") === true ? `${words.shift()} ` : "";
    if (words[0] === "v2") words.shift();
    const [place = "", ...components] = words;
    if (!/^(\/|[a-z][a-z0-9+.-]*:\/\/)/.test(place) || words.some((word) => word.includes("${"))) unread.push(line);
    else if (components.length === 0) active.push(tag + place);
    else active.push(...components.map((component) => `${tag}${place.replace(/\/+$/, "")}/${component}`));
  }
  return { active, unread };
}

/**
 * Rewrites the release in each mirror's URL, in those that are commented out too: whoever enables one later does not
 * want the old release. Edge and URLs without a release stay. `switched` and `kept` are the active URLs, before the
 * change.
 */
export function switchRelease(text: string, release: string): { text: string; switched: string[]; kept: string[] } {
  const lines = text.split("\n").map((line) => {
    if (/^\s*set\s/.test(line)) return line.replace(/(?<==)(v\d+\.\d+|latest-stable)(?=\s|$)/g, release);
    const words = /^\s*#/.test(line) && !/^\s*#\s*(@\S+\s+)?(https?|ftp):\/\/\S+\s*$/.test(line);
    return words ? line : line.replace(RELEASE_FOLDER, release);
  });
  const now = readRepositories(lines.join("\n")).active;
  const switched: string[] = [];
  const kept: string[] = [];
  readRepositories(text).active.forEach((one, at) => {
    const place = repositoryPlace(one);
    const moved = RELEASE_FOLDER.test(place) && now[at] === one.replace(RELEASE_FOLDER, release);
    (moved ? switched : kept).push(place);
  });
  return { text: lines.join("\n"), switched, kept };
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
