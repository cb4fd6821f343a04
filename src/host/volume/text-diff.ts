import { isFile } from "../kernel/files.ts";
import { programFailed, tryRun } from "../kernel/run.ts";
import { scratch } from "../kernel/mounts.ts";
import { lstat } from "../kernel/stat.ts";

/** Bytes. Beyond it a file under /etc is no text that a person compares. */
const LONGEST = 1 << 20;

function usable(path: string): boolean {
  const stat = lstat(path);
  return stat !== undefined && isFile(path) && stat.size <= LONGEST;
}

/** The unified diff of a file under two roots; undefined when it is no regular file in either, or says nothing. */
export function textDiff(before: string, after: string, path: string): { path: string; text: string } | undefined {
  const [a, b] = [`${before}/${path}`, `${after}/${path}`];
  if (!usable(a) && !usable(b)) return undefined;
  // Labels instead of the mount point's path; an absent side is /dev/null, as patch(1) knows it.
  const side = (file: string): string => (usable(file) ? file : "/dev/null");
  const labels = ["-L", `a/${path}`, "-L", `b/${path}`];
  const finished = tryRun(["diff", "-u", ...labels, side(a), side(b)], { cwd: scratch() });
  if (finished.status > 1) throw programFailed(finished);
  return finished.stdout === "" ? undefined : { path: `/${path}`, text: finished.stdout };
}
