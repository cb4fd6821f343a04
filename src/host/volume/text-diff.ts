import { holdsSecret } from "../../model/text/secrets.ts";
import { shown } from "../../model/text/shown.ts";
import { readSmallText } from "../kernel/files.ts";
import { programFailed, tryRun } from "../kernel/run.ts";
import { scratch } from "../kernel/mounts.ts";
import { lstat, typeOf } from "../kernel/stat.ts";

/** Bytes. Beyond it a file under /etc is no text that a person compares. */
const LONGEST = 1 << 20;

/** Where a file lies that can be compared; undefined where there is none. */
function comparable(root: string, path: string): string | undefined {
  const found = lstat(`${root}/${path}`);
  return found !== undefined && typeOf(found) === "file" && found.size <= LONGEST ? `${root}/${path}` : undefined;
}

/** Whether everybody may read a file, and enter every folder on the way to it. */
function isForAll(root: string, path: string): boolean {
  const parts = path.split("/");
  return parts.every((_, index) => {
    const mode = lstat(`${root}/${parts.slice(0, index + 1).join("/")}`)?.mode ?? 0;
    return (mode & (index + 1 < parts.length ? 0o001 : 0o004)) !== 0;
  });
}

/** `text`: the unified diff; undefined where either side is not for everybody's eyes. */
export interface TextDiff {
  path: string;
  text: string | undefined;
}

/** How the text of a file differs between two roots; undefined when it is a regular file in neither, or the same. */
export function textDiff(before: string, after: string, path: string): TextDiff | undefined {
  const sides = [before, after].map((root) => ({ root, file: comparable(root, path) }));
  const there = sides.flatMap(({ root, file }) => (file === undefined ? [] : [{ root, file }]));
  if (there.length === 0) return undefined;
  const isSecret = ({ root, file }: { root: string; file: string }): boolean =>
    !isForAll(root, path) || holdsSecret(readSmallText(file, LONGEST) ?? "");
  if (there.some(isSecret)) return { path: `/${path}`, text: undefined };
  // Labels instead of the mount point's path; an absent side is /dev/null, as patch(1) knows it.
  const label = shown(path);
  const [a = "/dev/null", b = "/dev/null"] = sides.map(({ file }) => file);
  const finished = tryRun(["diff", "-u", "-L", `a/${label}`, "-L", `b/${label}`, a, b], { cwd: scratch() });
  if (finished.status > 1) throw programFailed(finished);
  return finished.stdout === "" ? undefined : { path: `/${path}`, text: finished.stdout };
}
