import { isSysError } from "../kernel/failure.ts";
import { removeFile, writeBytes, type Fd } from "../kernel/files.ts";
import { programFailed, tryRun } from "../kernel/run.ts";
import { scratch } from "../kernel/mounts.ts";
import type { Within } from "../kernel/within.ts";

/** Bytes. Beyond it a file under /etc is no text that a person compares. */
const LONGEST = 1 << 20;

/** The file itself; undefined for anything else, and behind a symlink, which may lead anywhere. */
function ownFile(root: Within, path: string): Fd | undefined {
  try {
    return root.ownFile(path);
  } catch (error) {
    if (isSysError(error)) return undefined;
    throw error;
  }
}

/** A copy of the file, or the name of nothing; undefined where it is none to compare. */
function copyOf(root: Within, path: string, name: string): string | undefined {
  using file = ownFile(root, path);
  if (file === undefined || file.stat().size > LONGEST) return undefined;
  const copy = `${scratch()}/${name}`;
  writeBytes(copy, file.read(LONGEST));
  return copy;
}

/** The unified diff of a file under two roots; undefined when it is no regular file in either, or says nothing. */
export function textDiff(before: Within, after: Within, path: string): { path: string; text: string } | undefined {
  const sides = [copyOf(before, path, "before"), copyOf(after, path, "after")];
  const copies = sides.filter((side) => side !== undefined);
  if (copies.length === 0) return undefined;
  // Labels instead of the copies' names; an absent side is /dev/null, as patch(1) knows it.
  const labels = ["-L", `a/${path}`, "-L", `b/${path}`];
  const finished = tryRun(["diff", "-u", ...labels, ...sides.map((side) => side ?? "/dev/null")], { cwd: scratch() });
  for (const copy of copies) removeFile(copy);
  if (finished.status > 1) throw programFailed(finished);
  return finished.stdout === "" ? undefined : { path: `/${path}`, text: finished.stdout };
}
