import { systemFailure } from "../host/kernel/failure.ts";
import { exit, print, say } from "../host/machine/terminal.ts";
import { FirnError, exitCodes, type Problem } from "../model/problem.ts";
import { problemJson, problemText } from "./report.ts";
import type { Result } from "./result.ts";

/** The error that came first, when releasing something failed because of it: what a user needs to know. */
function firstCause(error: unknown): unknown {
  if (error instanceof Error && error.name === "SuppressedError" && "suppressed" in error)
    return firstCause(error.suppressed);
  return error;
}

/** What a thrown thing means to a user. Only what nobody foresaw is E_INTERNAL. */
export function problemOf(thrown: unknown): Problem {
  const error = firstCause(thrown);
  if (error instanceof FirnError) return error.problem;
  const failure = systemFailure(error);
  if (failure !== undefined) return failure;
  const words = error instanceof Error ? `${error.message}\n${error.stack ?? ""}` : String(error);
  return { code: "E_INTERNAL", message: words, hint: "This is a defect of firn. What boots was not touched." };
}

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
