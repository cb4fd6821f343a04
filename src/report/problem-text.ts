import type { Effect, Problem } from "../model/problem.ts";

/** What each effect is to a person: the one place that promises anything. */
const sentences: Readonly<Record<Effect, string>> = {
  "nothing changed": "Nothing was changed.",
  "draft discarded": "The draft was discarded. What boots was not touched.",
  "draft left": "The draft is left behind; the next change deletes it. What boots was not touched.",
  "default unchanged": "What boots was not touched.",
  committed: "The change was committed all the same: it is what boots next.",
  "disk unfinished":
    "The installation is unfinished: the disk does not boot. `firn status --volume` says how far it came.",
  "image removed": "The image was removed.",
};

/** `E_DISK_BUSY: what stopped. Nothing was changed.` and, on the next line, what to do. */
export function problemText({ code, message, hint, effect }: Problem): string {
  const [first = "", ...rest] = message.split("\n");
  const head = effect === undefined ? first : `${first} ${sentences[effect]}`;
  const lines = [`${code}: ${head}`, ...rest, ...(hint === undefined ? [] : [`  ${hint}`])];
  return `${lines.join("\n")}\n`;
}

export function problemJson(problem: Problem): string {
  return `${JSON.stringify({ error: problem })}\n`;
}
