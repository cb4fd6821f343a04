import type { Problem } from "../model/problem.ts";
import { say } from "../host/machine/terminal.ts";

/** Where talk goes while work is done. stdout is kept for the answer. */
export interface Report {
  /** A plan step begins: `[2/6] Check the boot files and seal`. */
  step(number: number, of: number, text: string): void;
  /** Something worth a line. */
  note(text: string): void;
  /** A line of a program's own output that shows that it goes on. */
  detail(text: string): void;
}

/** Talk on stderr; `quiet` leaves only notes. */
export function terminalReport(quiet: boolean): Report {
  const write = (text: string): void => say(`${text}\n`);
  return {
    step: (number, of, text) => {
      if (!quiet) write(`[${number}/${of}] ${text}`);
    },
    note: write,
    detail: (text) => {
      if (!quiet) write(`      ${text}`);
    },
  };
}

/** `E_DISK_BUSY: what stopped.` and, on the next line, what to do. */
export function problemText(problem: Problem): string {
  return `${problem.code}: ${problem.message}${problem.hint === undefined ? "" : `\n  ${problem.hint}`}\n`;
}

export function problemJson(problem: Problem): string {
  return `${JSON.stringify({ error: problem })}\n`;
}
