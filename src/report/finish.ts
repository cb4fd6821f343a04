import { problemOf } from "../host/kernel/failure.ts";
import { exit } from "../host/kernel/environment.ts";
import { print, say } from "../host/machine/terminal.ts";
import { exitCodes, type Problem } from "../model/problem.ts";
import { problemJson, problemText } from "./problem-text.ts";
import type { Result } from "./result.ts";

/** Runs a command, prints its answer or its problem, and ends the process. The one place that prints an error. */
export function finish(flags: { json?: unknown }, command: () => Result): void {
  const json = flags.json === true;
  try {
    const result = command();
    print(json ? `${JSON.stringify(result.data)}\n` : result.lines.map((line) => `${line}\n`).join(""));
    exit(result.exit ?? 0);
  } catch (error) {
    fail(problemOf(error), json);
  }
}

/** Prints a problem, on stdout as JSON or on stderr for a person, and ends the process with its exit code. */
export function fail(problem: Problem, json: boolean): never {
  if (json) print(problemJson(problem));
  else say(problemText(problem));
  return exit(exitCodes[problem.code]);
}
