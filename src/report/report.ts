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
  return {
    step: (number, of, text) => {
      if (!quiet) say(`[${number}/${of}] ${text}`);
    },
    note: (text) => say(text),
    detail: (text) => {
      if (!quiet) say(`      ${text}`);
    },
  };
}
