/** The fstab template of a volume, and how it is brought together with the fstab of the generation that boots. */
import { PLACEHOLDER, commonsIn, parseFstab, subvolumeOf, templateFromFstab } from "./fstab.ts";

/** What firn wrote last, and what the file says now: the difference is what a person did to it. */
export interface TemplateEdit {
  readonly written: string;
  readonly edited: string;
  /** The file says what firn wrote; else it is taken to be what the default's fstab was made from. */
  readonly marked: boolean;
}

/** Last in the file: by the sum firn knows its own words again. */
const MARK = /^# As firn wrote it, sum ([0-9a-f]{8})\. .*\n?/m;

/** With an end to its last line. */
function ended(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}

/** FNV-1a, 32 bits (draft-eastlake-fnv): it need only tell one text from another. */
function sum(text: string): string {
  let hash = 0x811c9dc5;
  for (const letter of ended(text)) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** The file for a template, and the sum of what firn wrote: another text where an edit still waits to be taken up. */
export function markTemplate(text: string, written: string = text): string {
  return `${ended(text)}# As firn wrote it, sum ${sum(written)}. What you change here is in the next generation.\n`;
}

/** The template in a file, and the sum of what firn wrote; undefined where nothing says that firn did. */
function unmarkTemplate(file: string): { text: string; written: string | undefined } {
  return { text: file.replace(MARK, ""), written: MARK.exec(file)?.[1] };
}

/** What a person did to the template. `behind`: those behind the fstabs of the generations, the default's first. */
export function readTemplate(file: string, behind: Iterable<string>): TemplateEdit {
  const { text, written } = unmarkTemplate(file);
  const marked = written !== undefined;
  if (written === sum(text)) return { written: text, edited: text, marked };
  let first: string | undefined;
  for (const one of behind) {
    first ??= one;
    if (!marked || written === sum(one)) return { written: one, edited: text, marked };
  }
  return { written: first ?? text, edited: text, marked };
}

/** What a line is about: the path that it mounts on, or the device of a swap. Undefined for comments. */
function subject(line: string): string | undefined {
  const [entry] = parseFstab(line);
  return entry?.path.startsWith("/") ? entry.path : entry?.device;
}

/**
 * A template with a person's edit. Lines that they added or took away are; where both say something of one path,
 * `now` holds, and the line is among `contested`.
 */
export function mergeTemplate(edit: TemplateEdit | undefined, now: string): { text: string; contested: string[] } {
  if (edit === undefined || edit.edited === edit.written || edit.edited === now) return { text: now, contested: [] };
  if (now === edit.written) return { text: edit.edited, contested: [] };
  const before = new Set(edit.written.split("\n"));
  const edited = edit.edited.split("\n");
  const kept = new Set(edited);
  const lines = ended(now).split("\n");
  const there = new Set(lines);
  const merged = lines.filter((line) => kept.has(line) || !before.has(line));
  const subjects = new Set(merged.map(subject));
  const contested: string[] = [];
  edited.forEach((line, at) => {
    if (before.has(line) || there.has(line)) return;
    const about = subject(line);
    if (about !== undefined && subjects.has(about)) {
      contested.push(line);
      return;
    }
    const after = merged.indexOf(edited[at - 1] ?? "");
    merged.splice(after < 0 ? merged.length - 1 : after + 1, 0, line);
    subjects.add(about);
  });
  return { text: merged.join("\n"), contested };
}

/**
 * The template without the numbers of subvolumes beside the names of those that firn mounts: a number is that of one
 * generation for ever, and mount refuses a line in which the two differ. `dropped`: what they were of.
 */
export function dropSubvolumeNumbers(template: string): { text: string; dropped: string[] } {
  const dropped: string[] = [];
  const lines = template.split("\n").map((line) => {
    const [entry] = parseFstab(line);
    const subvolume = subvolumeOf(entry?.options ?? []);
    const named = subvolume?.includes(PLACEHOLDER) === true || commonsIn(entry?.options ?? []) !== undefined;
    const number = named ? entry?.options.find((option) => option.startsWith("subvolid=")) : undefined;
    if (entry === undefined || number === undefined) return line;
    dropped.push(`${number} of ${entry.path}`);
    const options = entry.options.filter((option) => !option.startsWith("subvolid=")).join(",");
    return line.replace(entry.options.join(","), () => options);
  });
  return { text: lines.join("\n"), dropped };
}

/** Whether generations made from it mount their own root. */
export function mountsOwnRoot(template: string): boolean {
  const root = parseFstab(template).find(({ path }) => path === "/");
  return subvolumeOf(root?.options ?? [])?.includes(PLACEHOLDER) ?? false;
}

/** The template behind a generation's fstab, which a person may have made with a copy of the mark. */
export function templateBehind(fstab: string): string {
  return templateFromFstab(unmarkTemplate(fstab).text);
}
