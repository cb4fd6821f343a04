/** What nearly every line is, found out at once. */
const PLAIN = /^[\t -~]*$/;

/** Controls, line breaks, halves of characters, and what turns or hides text; joiners are part of words and signs. */
const UNSEEN = /(?![\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** `https://user:password@host` */
const PASSWORD = /(:\/\/[^/\s:@"]*):[^/\s@"]+@/g;

/** U+DC80 to U+DCFF stand for the bytes of a name that is not UTF-8. */
function escaped(char: string): string {
  if (char === "\n") return "\\n";
  if (/^[\udc80-\udcff]$/.test(char)) return `\\x${(char.charCodeAt(0) & 0xff).toString(16)}`;
  return char.replace(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * A line as it may be written to a terminal, or into a log that is read there: what a name, a label or a program's
 * words have in them is seen, and does nothing. JSON stays the JSON it was. No password of an address is in it.
 */
export function shown(line: string): string {
  const text = line.includes("://") ? line.replace(PASSWORD, "$1:***@") : line;
  return PLAIN.test(text) ? text : text.replace(UNSEEN, escaped);
}
