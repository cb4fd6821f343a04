/** What is refused has its code, its exit code, a message that names the thing, and changed nothing. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { exitCodes, type ProblemCode } from "../../src/model/problem.ts";
import type { Ran } from "./firn.ts";

export interface Expected {
  code: ProblemCode;
  /** What the message must name. */
  message: RegExp;
  hint?: RegExp;
}

/**
 * Holds one run against what is expected: code, exit code, message, hint, and a plain answer to "what was changed?".
 */
export function assertRefused(ran: Ran, { code, message, hint }: Expected): void {
  assert.equal(ran.status, exitCodes[code], `exit code of ${code}: ${ran.stderr}${ran.stdout}`);
  assert.equal(ran.stdout, "");
  const at = ran.stderr.indexOf(`${code}: `);
  assert.ok(at === 0 || ran.stderr[at - 1] === "\n", `no line begins with ${code}: ${ran.stderr}`);
  const said = ran.stderr.slice(at + code.length + 2);
  assert.match(said, message);
  if (hint !== undefined) assert.match(said.split("\n").at(-2) ?? "", hint);
  assert.doesNotMatch(said, /undefined|\[object|at .*\.ts:|E_INTERNAL/);
}

/** The same, for what stopped before anything was written. */
export function assertUntouched(ran: Ran, expected: Expected): void {
  assertRefused(ran, expected);
  assert.match(ran.stderr, /Nothing was changed/, "nothing says that nothing was changed");
}

/** No image, and nothing beside it that begins with its name. */
export function assertNoImage(path: string): void {
  assert.ok(!existsSync(path), `${path} was left behind`);
}
