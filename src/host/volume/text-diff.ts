import { holdsSecret } from "../../model/text/secrets.ts";
import { shown } from "../../model/text/shown.ts";
import { isSysError } from "../kernel/failure.ts";
import { decode, writeBytes, type Fd } from "../kernel/files.ts";
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

/** Whether everybody may read a file, and enter every folder on the way to it. */
function isForAll(root: Within, path: string): boolean {
  const parts = path.split("/");
  return parts.every((_, index) => {
    const mode = root.lstat(parts.slice(0, index + 1).join("/"))?.mode ?? 0;
    return (mode & (index + 1 < parts.length ? 0o001 : 0o004)) !== 0;
  });
}

/** The bytes of a file that can be compared, and whether they are not for everybody's eyes. */
function sideOf(root: Within, path: string): { bytes: Uint8Array; secret: boolean } | undefined {
  using file = ownFile(root, path);
  if (file === undefined || file.stat().size > LONGEST) return undefined;
  const bytes = file.read(LONGEST);
  return { bytes, secret: !isForAll(root, path) || holdsSecret(decode(bytes)) };
}

/** `text`: the unified diff; undefined where either side is not for everybody's eyes. */
export interface TextDiff {
  path: string;
  text: string | undefined;
}

/** How the text of a file differs between two roots; undefined when it is a regular file in neither, or the same. */
export function textDiff(before: Within, after: Within, path: string): TextDiff | undefined {
  const sides = [sideOf(before, path), sideOf(after, path)];
  if (sides.every((side) => side === undefined)) return undefined;
  if (sides.some((side) => side?.secret)) return { path: `/${path}`, text: undefined };
  // Labels instead of the copies' names; an absent side is /dev/null, as patch(1) knows it.
  const files = sides.map((side, index) => {
    if (side === undefined) return "/dev/null";
    const copy = `${scratch()}/side-${index}`;
    writeBytes(copy, side.bytes);
    return copy;
  });
  const labels = ["a", "b"].flatMap((side) => ["-L", `${side}/${shown(path)}`]);
  const finished = tryRun(["diff", "-u", ...labels, ...files], { cwd: scratch() });
  if (finished.status > 1) throw programFailed(finished);
  return finished.stdout === "" ? undefined : { path: `/${path}`, text: finished.stdout };
}
