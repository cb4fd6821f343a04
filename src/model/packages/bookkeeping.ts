/** apk's own files in a root. Paths are relative to it: "lib/apk/db/installed"; /usr-merge moves them below usr/. */

/** Written anew in every run of apk, changed or not; a real change shows in its `installed` too. */
export function isBookkeeping(path: string): boolean {
  return /^(usr\/)?lib\/apk\/db(\/(scripts\.tar(\.gz)?|triggers|lock))?$/.test(path);
}

/** Written whenever the set of packages changes. */
export function isDatabase(path: string): boolean {
  return /^(usr\/)?lib\/apk\/db(\/|$)/.test(path);
}

/** Configuration files of a package that apk laid beside edited ones, for a person to merge. */
export function unmerged(paths: readonly string[]): string[] {
  return paths.filter((path) => path.endsWith(".apk-new"));
}
