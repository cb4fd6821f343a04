import { nearest } from "../text/nearest.ts";
import { isRefusal, type Refusal } from "../problem.ts";
import { bad, quoted } from "../text/complaint.ts";

/** OpenRC's runlevels of an Alpine system, in the order in which they are entered. */
export const RUNLEVELS = ["sysinit", "boot", "default", "shutdown"] as const;
export type Runlevel = (typeof RUNLEVELS)[number];

/** What a runlevel gets beyond, or loses from, what firn enables by itself. No name is in both. */
export interface ServiceChange {
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

/** A word of a services list: `sshd` adds, `!acpid` removes. The name is that of a file in /etc/init.d. */
export function parseService(text: string): string | Refusal {
  if (/^!?[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}$/.test(text)) return text;
  return bad(
    `${quoted(text)} is not a service.`,
    'Write the name of a file in /etc/init.d, with "!" before it to disable it.',
  );
}

/** As the flag spells it: `sshd`, `!acpid`, `boot/foo`, `!boot/foo`; the runlevel is `default` unless it is named. */
export function parseServiceFlag(text: string): { readonly runlevel: Runlevel; readonly word: string } | Refusal {
  const match = /^(!?)(?:([^/]*)\/)?([^/]*)$/.exec(text);
  if (match === null) return bad(`${quoted(text)} is not a service.`, "Write NAME, RUNLEVEL/NAME or !NAME.");
  const level = match[2] ?? "default";
  const runlevel = RUNLEVELS.find((known) => known === level);
  if (runlevel === undefined) {
    const near = nearest(level, RUNLEVELS);
    const hint = near === undefined ? `Use one of ${RUNLEVELS.join(", ")}.` : `Did you mean ${near}?`;
    return bad(`${quoted(level)} is not a runlevel.`, hint);
  }
  const word = parseService(`${match[1]!}${match[3]!}`);
  return isRefusal(word) ? word : { runlevel, word };
}

/** Reads the words in their order; the last word on a service wins. */
export function serviceChange(words: readonly string[]): ServiceChange {
  const last = new Map<string, boolean>();
  for (const word of words) {
    const name = word.replace(/^!/, "");
    last.delete(name); // so that the order is that of the last mention
    last.set(name, !word.startsWith("!"));
  }
  const pick = (wanted: boolean) => [...last].filter(([, on]) => on === wanted).map(([name]) => name);
  return { add: pick(true), remove: pick(false) };
}
