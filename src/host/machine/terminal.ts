import { exit, isTerminal as isTty, stderr, stdin, stdout, tell } from "../kernel/environment.ts";
import { isSysError } from "../kernel/failure.ts";
import { decode } from "../kernel/files.ts";
import { checkInterrupt } from "../kernel/run.ts";

/** 128 + SIGPIPE. */
const BROKEN_PIPE = 141;

/**
 * Writes to stdout. A reader that went away (`firn list | head`) ends the program as it ends any other, its work being
 * done. Throws SysError where stdout is closed or full.
 */
export function print(text: string): void {
  try {
    tell(stdout, text);
  } catch (error) {
    if (!isSysError(error, "EPIPE")) throw error;
    exit(BROKEN_PIPE);
  }
}

/** Writes to stderr. When nobody takes the talk any more, the work goes on all the same. */
export function say(text: string): void {
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
      say("\n");
      checkInterrupt();
    }
  }
}

/** Asks on stderr and gives the answer without its line end; undefined when stdin has ended. */
export function ask(question: string): string | undefined {
  say(question);
  let line = "";
  for (;;) {
    const bytes = readLetter();
    if (bytes.byteLength === 0) return line === "" ? undefined : line;
    const letter = decode(bytes);
    if (letter === "\n") return line.trim();
    line += letter;
  }
}
