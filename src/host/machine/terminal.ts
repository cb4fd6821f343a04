import { exit, isTerminal as isTty, stderr, stdin, stdout, tell } from "../kernel/process.ts";
import { isSysError } from "../kernel/failure.ts";
import { decode } from "../kernel/files.ts";
import { checkInterrupt } from "../kernel/run.ts";
import { shown } from "../../model/text/shown.ts";

/** 128 + SIGPIPE. */
const BROKEN_PIPE = 141;

const written = (lines: readonly string[]): string => lines.map((line) => `${shown(line)}\n`).join("");

/**
 * Writes lines to stdout. A reader that went away (`firn list | head`) ends the program as it ends any other, its work
 * being done. Throws SysError where stdout is closed or full.
 */
export function print(lines: readonly string[]): void {
  try {
    tell(stdout, written(lines));
  } catch (error) {
    if (!isSysError(error, "EPIPE")) throw error;
    exit(BROKEN_PIPE);
  }
}

/** Writes lines to stderr. */
export function say(...lines: readonly string[]): void {
  talk(written(lines));
}

/** When nobody takes the talk any more, the work goes on all the same. */
function talk(text: string): void {
  try {
    tell(stderr, text);
  } catch (error) {
    if (!isSysError(error)) throw error;
  }
}

export function isTerminal(): boolean {
  return isTty(stdin);
}

/** One byte from the terminal, or none at its end. Throws E_INTERRUPTED on ^C. */
function readLetter(): Uint8Array {
  for (;;) {
    try {
      return stdin.read(1);
    } catch (error) {
      if (!isSysError(error, "EINTR")) throw error;
      talk("\n");
      checkInterrupt();
    }
  }
}

/** Asks on stderr and gives the answer without its line end; undefined when stdin has ended. */
export function ask(question: string): string | undefined {
  talk(shown(question));
  let line = "";
  for (;;) {
    const bytes = readLetter();
    if (bytes.byteLength === 0) return line === "" ? undefined : line;
    const letter = decode(bytes);
    if (letter === "\n") return line.trim();
    line += letter;
  }
}
