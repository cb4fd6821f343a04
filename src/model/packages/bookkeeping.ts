import type { PathChange } from "../volume/path-change.ts";

/** apk's own files in a root. Paths are relative to it: "lib/apk/db/installed"; /usr-merge moves them below usr/. */

/** Written anew in every run of apk, with other content too; a real change shows in what follows. */
const SCRATCH = /^(usr\/)?lib\/apk\/db(\/(scripts\.tar(\.gz)?|triggers|lock))?$/;
/** Written anew in every run of apk, with the same content when nothing changed. */
const REWRITTEN = /^((usr\/)?lib\/apk\/db\/installed|etc\/apk\/world)$/;

/** Where the list of what is installed may be. */
export const databaseFiles = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"] as const;

/** Whether what differs of a path is no more than every run of apk writes, changed or not. */
export function isBookkeeping({ path, kind, what }: PathChange): boolean {
  if (kind === "removed") return false;
  return SCRATCH.test(path) || (kind === "changed" && REWRITTEN.test(path) && what().every((one) => one === "time"));
}

/** Written whenever the set of packages changes. */
export function isDatabase(path: string): boolean {
  return /^(usr\/)?lib\/apk\/db(\/|$)/.test(path);
}

/** Configuration files of a package that apk laid beside edited ones, for a person to merge. */
export function unmerged(paths: readonly string[]): string[] {
  return paths.filter((path) => path.endsWith(".apk-new"));
}
