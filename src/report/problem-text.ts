import type { Effect, Problem } from "../model/problem.ts";

/** What each effect is to a person: the one place that promises anything. */
function sentence(effect: Effect, about: string): string {
  switch (effect) {
    case "nothing changed":
      return "Nothing was changed.";
    case "draft discarded":
      return "The draft was discarded. What boots was not touched.";
    case "draft left":
      return "What it had begun could not all be taken back. What boots was not touched.";
    case "draft kept":
      return `The draft is kept until the next change or \`firn gc\`; to look at it: mount -o subvol=/snapshots/${about}/@ DEVICE /mnt. What boots was not touched.`;
    case "image left":
      return `${about} could not be removed, and is no whole image.`;
    case "default unchanged":
      return "The change may be made in part or whole. What boots was not touched.";
    case "committed":
      return "The change was made.";
    case "disk unfinished":
      return `The installation of ${about} is unfinished: it may not boot, and \`firn status --volume ${about}\` says how far it came.`;
    case "image removed":
      return `${about} was removed.`;
    default:
      return effect satisfies never;
  }
}

/** `E_DISK_BUSY: what stopped. Nothing was changed.` and, on the next line, what to do. */
export function problemText({ code, message, details = [], hint, effect, about = "the disk" }: Problem): string[] {
  const head = effect === undefined ? message : `${message} ${sentence(effect, about)}`;
  return [`${code}: ${head}`, ...details, ...(hint === undefined ? [] : [`  ${hint}`])];
}

/** For a program the details are the rest of the message. */
export function problemJson({ details = [], ...problem }: Problem): string {
  return JSON.stringify({ error: { ...problem, message: [problem.message, ...details].join("\n") } });
}
