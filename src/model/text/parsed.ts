import type { Problem, Refusal } from "../problem.ts";

export type ConfigCode = "E_CONFIG_SYNTAX" | "E_CONFIG_KEY" | "E_CONFIG_VALUE";

/** One thing that is wrong in a configuration file or among the flags. */
export interface ConfigProblem extends Problem {
  readonly code: ConfigCode;
  /** Where: `disk.slots`, `identity.users[1].name`, `--hostname`, or `machine.toml:3:7` for syntax. */
  readonly where: string;
}

/** What a parser of one value gives: the value, or a complaint without the value's name ("is empty."). */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly message: string; readonly hint?: string };

/**
 * What a whole configuration gives. A failure is a Refusal like any other (`isRefusal` knows it); its `problem` sums `problems` up and
 * carries the code of the first.
 */
export type ConfigResult<T> =
  | { readonly ok: true; readonly value: T }
  | (Refusal & { readonly ok: false; readonly problems: readonly ConfigProblem[] });

export function good<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function bad(message: string, hint?: string): Parsed<never> {
  return hint === undefined ? { ok: false, message } : { ok: false, message, hint };
}

/** A ConfigProblem; leaves `hint` out when there is none. */
export function problemAt(code: ConfigCode, where: string, message: string, hint?: string): ConfigProblem {
  return hint === undefined ? { code, where, message } : { code, where, message, hint };
}

/**
 * One refusal for all problems of one configuration. `source` is the file's name, or empty for flags, which name
 * themselves. Alone, a problem keeps its hint apart; several become a list in which each carries its own.
 */
export function refuseConfig(source: string, problems: readonly ConfigProblem[]): ConfigResult<never> {
  const first = problems[0];
  if (first === undefined) throw new Error("refuseConfig needs a problem");
  const prefix = (where: string) => (source === "" || where.startsWith(source) ? where : `${source}: ${where}`);
  if (problems.length === 1) {
    const message = `${prefix(first.where)}: ${first.message} Nothing was changed.`;
    const problem: Problem =
      first.hint === undefined ? { code: first.code, message } : { code: first.code, message, hint: first.hint };
    return { ok: false, kind: "refusal", problem, problems };
  }
  const lines = problems.map((one) => `  ${one.where}: ${one.message}${one.hint === undefined ? "" : ` ${one.hint}`}`);
  const head = `${source === "" ? "The flags have" : `${source} has`} ${problems.length} problems. Nothing was changed.`;
  return { ok: false, kind: "refusal", problem: { code: first.code, message: [head, ...lines].join("\n") }, problems };
}

/** A value as a complaint quotes it: no control characters, and not pages of it. */
export function quoted(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return JSON.stringify(short);
}
