import { isSysError, problemOf } from "../host/kernel/failure.ts";
import { exit } from "../host/kernel/process.ts";
import { print, say } from "../host/machine/terminal.ts";
import { FirnError, exitCodes, settled, type Problem } from "../model/problem.ts";
import { problemJson, problemText } from "./problem-text.ts";
import type { Result } from "./result.ts";

/** Writes the answer to stdout. Throws E_OUTPUT when that fails, with what the command did all the same. */
function answer(result: Result, json: boolean): void {
  // Only the one that is asked for is looked at: a costly one is a getter.
  const lines = json ? [JSON.stringify(result.data)] : result.lines;
  try {
    print(lines);
  } catch (error) {
    const why = isSysError(error) ? error.reason : problemOf(error).message;
    const problem: Problem = { code: "E_OUTPUT", message: `The answer could not be written to stdout: ${why}.` };
    throw FirnError.of(result.effect === undefined ? problem : settled(problem, result.effect));
  }
}

/** Runs a command, prints its answer or its problem, and ends the process. The one place that prints an error. */
export function finish(flags: { json?: unknown }, command: () => Result): void {
  const json = flags.json === true;
  try {
    const result = command();
    answer(result, json);
    exit(result.exit ?? 0);
  } catch (error) {
    fail(problemOf(error), json);
  }
}

/** Prints a problem, on stdout as JSON or on stderr for a person, and ends the process with its exit code. */
export function fail(problem: Problem, json: boolean): never {
  if (json && problem.code !== "E_OUTPUT") {
    try {
      print([problemJson(problem)]);
    } catch {
      say(...problemText(problem));
    }
  } else say(...problemText(problem));
  return exit(exitCodes[problem.code]);
}
