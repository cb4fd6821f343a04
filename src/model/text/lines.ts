/** A file's text with one more line; a last line that lacks its end gets one. */
export function appendLine(text: string, line: string): string {
  return `${text === "" || text.endsWith("\n") ? text : `${text}\n`}${line}\n`;
}
