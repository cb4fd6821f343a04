/** What is wrong in a configuration file. Open to the other doors: machine.toml is one. */
import { refuse, type Refusal } from "../problem.ts";

/** One thing that is wrong in a configuration file or among the flags. */
export interface ConfigProblem {
  readonly code: "E_CONFIG_SYNTAX" | "E_CONFIG_KEY" | "E_CONFIG_VALUE";
  /** Where: `disk.slots`, `identity.users[1].name`, `--hostname`, or `machine.toml:3:7` for syntax. */
  readonly where: string;
  readonly message: string;
  readonly hint?: string | undefined;
}

/** What a value's parser said, at the place where the value stands. */
export function refusedAt(where: string, { problem }: Refusal): ConfigProblem {
  return { code: "E_CONFIG_VALUE", where, message: problem.message, hint: problem.hint };
}

/**
 * One refusal for all problems of one configuration, under the code of the first. `source` is the file's name, or empty
 * for flags, which name themselves. Alone, a problem keeps its hint apart; several become a list in which each carries
 * its own.
 */
export function refuseConfig(source: string, problems: readonly ConfigProblem[]): Refusal {
  const first = problems[0];
  if (first === undefined) throw new Error("refuseConfig needs a problem");
  const prefix = (where: string) => (source === "" || where.startsWith(source) ? where : `${source}: ${where}`);
  if (problems.length === 1) return refuse(first.code, `${prefix(first.where)}: ${first.message}`, first.hint);
  const lines = problems.map((one) => `  ${one.where}: ${one.message}${one.hint === undefined ? "" : ` ${one.hint}`}`);
  const head = `${source === "" ? "The flags have" : `${source} has`} ${problems.length} problems.`;
  return refuse(first.code, head, undefined, lines);
}
