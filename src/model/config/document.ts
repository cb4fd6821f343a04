/** How a configuration file is declared and read. Open to the other doors: machine.toml is one. */
import { parse as parseToml, TomlError } from "smol-toml";
import * as v from "valibot";
import { nearest } from "../text/nearest.ts";
import type { Refusal } from "../problem.ts";
import { camel, type Document, type Fields, type Node, type Wish } from "./declare.ts";
import { HINT, schemaOf } from "./schema.ts";
import { clipped, quoted } from "../text/complaint.ts";
import { refuseConfig, type ConfigProblem } from "./problems.ts";

type Path = readonly (string | number)[];

/** The keys of a table, or of each of many. */
function fieldsOf(node: Node): Fields {
  return node.node === "key" ? {} : node.node === "tables" ? node.item.fields : node.fields;
}

/** All keys that a file knows, dotted, without the indexes of lists: "disk.slots", "identity.users.name". */
export function knownKeys(node: Node, prefix: string = ""): string[] {
  return Object.entries(fieldsOf(node)).flatMap(([key, child]) => {
    const path = prefix === "" ? key : `${prefix}.${key}`;
    return [path, ...knownKeys(child, path)];
  });
}

/** `identity.users[1].name` */
function dotted(path: Path): string {
  return path.map((part, i) => (typeof part === "number" ? `[${part}]` : i === 0 ? part : `.${part}`)).join("");
}

/** A value as a complaint names it. */
function described(input: unknown): string {
  if (typeof input === "string") return `the text ${quoted(input)}`;
  if (typeof input === "number" || typeof input === "bigint") return `the number ${input}`;
  if (typeof input === "boolean") return String(input);
  if (Array.isArray(input)) return "a list";
  if (input instanceof Date) return "a date";
  return "a table";
}

/** valibot's "(string | number)" in words. */
function expectation(expects: string | null): string {
  const words: Readonly<Record<string, string>> = {
    string: "a text",
    number: "a number",
    boolean: "true or false",
    Array: "a list",
    Object: "a table",
  };
  const options = (expects ?? "something else").replace(/^\((.*)\)$/, "$1").split(" | ");
  return options.map((option) => words[option] ?? option).join(" or ");
}

function isTable(input: unknown): input is Record<string, unknown> {
  return typeof input === "object" && input !== null && !Array.isArray(input) && !(input instanceof Date);
}

/** Where an unknown key was probably meant to be: a sibling with a near name, or the same or a near name elsewhere. */
function suggestion(key: string, path: Path, siblings: readonly string[], known: readonly string[]): string {
  const section = path.filter((part) => typeof part === "string").join(".");
  const near = nearest(key, siblings);
  if (near !== undefined) return `Did you mean ${dotted([...path, near])}?`;
  const leaf = (candidate: string) => candidate.slice(candidate.lastIndexOf(".") + 1);
  const name = known.some((one) => leaf(one) === key) ? key : nearest(key, known.map(leaf));
  const elsewhere = known.find((one) => leaf(one) === name);
  if (elsewhere !== undefined) return `Did you mean ${elsewhere}?`;
  return `Known ${section === "" ? "here" : `in ${section}`}: ${siblings.join(", ")}.`;
}

/**
 * Unknown keys, and lists or values where a table belongs. valibot reports one unknown key a table, and takes a list
 * for one.
 */
function misplaced(node: Node, input: unknown, path: Path, known: readonly string[]): ConfigProblem[] {
  if (node.node === "key") return [];
  if (node.node === "tables") {
    if (!Array.isArray(input)) return [];
    return input.flatMap((one, index) => misplaced(node.item, one, [...path, index], known));
  }
  const entries = node.fields;
  if (!isTable(input)) {
    const message = `expected a table, found ${described(input)}.`;
    return [{ code: "E_CONFIG_VALUE", where: dotted(path), message }];
  }
  return Object.keys(input).flatMap((key) => {
    const child = Object.hasOwn(entries, key) ? entries[key] : undefined;
    if (child !== undefined) return misplaced(child, input[key], [...path, key], known);
    const hint = suggestion(key, path, Object.keys(entries), known);
    return [{ code: "E_CONFIG_KEY", where: dotted([...path, key]), message: "unknown key.", hint }];
  });
}

/** A valibot issue as a problem, or undefined where `misplaced` has said it better. */
function problemOf(issue: v.BaseIssue<unknown>): ConfigProblem | undefined {
  const where = dotted((issue.path ?? []).map((item) => item.key as string | number));
  const at = (message: string, hint?: string): ConfigProblem => ({ code: "E_CONFIG_VALUE", where, message, hint });
  if (issue.kind === "schema") {
    if (issue.type === "strict_object") return issue.input === undefined ? at("is missing.") : undefined;
    return at(`expected ${expectation(issue.expected)}, found ${described(issue.input)}.`);
  }
  const [message = "", hint] = issue.message.split(HINT);
  return at(message, hint);
}

function camelKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelKeys);
  if (!isTable(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [camel(name), camelKeys(inner)]));
}

type Checked<T> =
  | { readonly value: T; readonly problems: readonly [] }
  | { readonly problems: readonly ConfigProblem[] };

/**
 * Holds a tree of plain values against a declaration. Reports all problems, one a place, in the declaration's order,
 * unknown keys first; `rename` turns a dotted path into what the user wrote (a flag).
 */
export function checkDocument<F extends Fields>(
  document: Document<F>,
  input: unknown,
  rename: (where: string) => string = (where) => where,
): Checked<Wish<F>> {
  const problems = misplaced(document, input, [], knownKeys(document));
  const result = v.safeParse(schemaOf(document), input);
  for (const issue of result.issues ?? []) {
    const found = problemOf(issue);
    if (found === undefined || problems.some(({ where }) => where === found.where)) continue;
    problems.push(found);
  }
  if (result.success && problems.length === 0) return { value: camelKeys(result.output) as Wish<F>, problems: [] };
  const renamed = problems.map((problem) => ({ ...problem, where: rename(problem.where) }));
  const same = (a: ConfigProblem, b: ConfigProblem) => a.where === b.where && a.message === b.message;
  return { problems: renamed.filter((one, i) => renamed.findIndex((other) => same(one, other)) === i) };
}

/** Tables and lists in each other: three times what any key of firn's needs. */
const DEEPEST = 16;

/** Reads TOML and holds it against a declaration. `filename` appears in messages only. */
export function parseDocument<F extends Fields>(
  document: Document<F>,
  toml: string,
  filename: string,
): Wish<F> | Refusal {
  let tree: unknown;
  try {
    tree = parseToml(toml, { maxDepth: DEEPEST });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // smol-toml: "Invalid TOML document: <reason>\n\n<the lines around it>"
    const reason = error.message
      .replace(/^Invalid TOML document: /, "")
      .split("\n")[0]!
      .replace(/\.+$/, "");
    const where = `${filename}:${error.line}:${error.column}`;
    const line = toml.split(/\r?\n/)[error.line - 1] ?? "";
    const shown = line.trim().replace(/(password[\w-]*"?\s*=).*/, "$1 …");
    const hint = shown === "" ? undefined : `The line is: ${clipped(shown)}`;
    return refuseConfig(filename, [{ code: "E_CONFIG_SYNTAX", where, message: `${reason}.`, hint }]);
  }
  const checked = checkDocument(document, tree);
  return "value" in checked ? checked.value : refuseConfig(filename, checked.problems);
}
