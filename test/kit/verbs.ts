/** firn's verbs on an image, and what they answer. */
import assert from "node:assert/strict";
import type { PackageChange } from "../../src/model/packages/changes.ts";
import { exitCodes, type Problem, type ProblemCode } from "../../src/model/problem.ts";
import { firn, start, type Ran } from "./firn.ts";

/** The command line of `firn VERB … --volume IMAGE`; what follows `--` stays at the end. */
export function commandLine(image: string, verb: string, ...args: readonly string[]): string[] {
  return [...verb.split(" "), "--volume", image, ...args];
}

/** Runs firn on an image, whatever comes out. */
export function attempt(image: string, verb: string, ...args: readonly string[]): Promise<Ran> {
  return firn(commandLine(image, verb, ...args));
}

/** The same beside the test, which goes on meanwhile and may serve, signal or look at it. */
export async function run(image: string, verb: string, ...args: readonly string[]): Promise<Ran> {
  return start(commandLine(image, verb, ...args)).then(({ ended }) => ended);
}

/** Runs firn on an image; anything but success fails the test. */
export async function on(image: string, verb: string, ...args: readonly string[]): Promise<Ran> {
  return succeeded(await attempt(image, verb, ...args));
}

export function succeeded(ran: Ran): Ran {
  assert.equal(ran.status, 0, `${ran.stdout}${ran.stderr}`);
  return ran;
}

/** What a command answers with --json. */
export async function answer<T = Answer>(image: string, verb: string, ...args: readonly string[]): Promise<T> {
  return JSON.parse((await on(image, verb, "--json", ...args)).stdout) as T;
}

/** The refusal of a command: its code must be `code`, and its exit code the code's own. */
export async function refused(code: ProblemCode, image: string, verb: string, ...args: string[]): Promise<Problem> {
  const ran = await attempt(image, verb, "--json", ...args);
  const said = `${ran.stdout}${ran.stderr}`;
  assert.notEqual(ran.status, 0, said);
  const { error } = JSON.parse(ran.stdout) as { error: Problem };
  assert.equal(error.code, code, said);
  assert.equal(ran.status, exitCodes[code]);
  return error;
}

export interface Answer {
  changed: boolean;
  generation: string;
  default: string;
  slots: string[];
  changes: PackageChange[];
  conflicts?: string[];
  command: string;
  parent: string;
  kernel: string;
  release: string;
  description?: string;
}

export interface ListedGeneration {
  id: string;
  slots: number[];
  default: boolean;
  pinned: boolean;
  release: string;
  kernel: string;
  description?: string;
  command?: string;
  changes?: PackageChange[];
  conflicts?: string[];
}

export interface Listed {
  slots: string[];
  generations: ListedGeneration[];
  drafts: string[];
}

export function list(image: string): Promise<Listed> {
  return answer<Listed>(image, "list");
}

/** Id of the generation in slot 0. */
export async function current(image: string): Promise<string> {
  return (await list(image)).slots[0] ?? "";
}
