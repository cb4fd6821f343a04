/** How a configuration file is declared and read. Open to the other doors: machine.toml is one. */
import { parse as parseToml, TomlError } from "smol-toml";
import * as v from "valibot";
import { nearest } from "../text/nearest.ts";
import { isRefusal, type Refusal } from "../problem.ts";
import { quoted } from "../text/complaint.ts";
import { refuseConfig, type ConfigProblem } from "./problems.ts";

/** Between message and hint where valibot has room for one text only. */
const HINT = "\n";

type CamelKey<S> = S extends `${infer A}-${infer B}` ? `${A}${Capitalize<CamelKey<B>>}` : S;

/** A document's type with `esp-size` spelled `espSize`. */
export type Camel<T> = T extends string | number | boolean
  ? T
  : T extends readonly (infer U)[]
    ? readonly Camel<U>[]
    : T extends object
      ? { readonly [K in keyof T as CamelKey<K & string>]: Camel<T[K]> }
      : T;

/** Runs `parse` inside a schema; a complaint becomes an issue that keeps its hint. */
export function through<I, T>(parse: (input: I) => T | Refusal) {
  return v.rawTransform<I, T>(({ dataset, addIssue, NEVER }) => {
    const parsed = parse(dataset.value);
    if (!isRefusal(parsed)) return parsed;
    const { message, hint } = parsed.problem;
    addIssue({ message: hint === undefined ? message : `${message}${HINT}${hint}` });
    return NEVER;
  });
}

/** A text that `parse` reads. */
export function text<T>(description: string, parse: (input: string) => T | Refusal) {
  return v.pipe(v.string(), v.description(description), through(parse));
}

/** A list of texts that `parse` reads one by one. */
export function list<T>(description: string, parse: (input: string) => T | Refusal) {
  return v.pipe(v.array(v.pipe(v.string(), through(parse))), v.description(description));
}

/** A text or a number that `parse` reads as a text: 4096 and "4K". */
export function textOrNumber<T>(description: string, parse: (input: string) => T | Refusal) {
  return v.pipe(
    v.union([v.string(), v.number()]),
    v.description(description),
    through((input: string | number) => parse(String(input))),
  );
}

/** A whole number from `min` to `max`. */
export function whole(description: string, min: number, max: number) {
  const message = `is not a whole number from ${min} to ${max}.`;
  return v.pipe(
    v.number(),
    v.description(description),
    v.integer(message),
    v.minValue(min, message),
    v.maxValue(max, message),
  );
}

/** What this file needs to know of a valibot schema in order to walk it. */
interface Node {
  readonly type: string;
  readonly wrapped?: Node;
  readonly item?: Node;
  readonly entries?: Readonly<Record<string, Node>>;
}

type Path = readonly (string | number)[];

function unwrapped(node: Node): Node {
  return node.wrapped === undefined ? node : unwrapped(node.wrapped);
}

/** All keys that a schema knows, dotted, without the indexes of lists: "disk.slots", "identity.users.name". */
export function knownKeys(schema: unknown, prefix = ""): string[] {
  const node = unwrapped(schema as Node);
  if (node.item !== undefined) return knownKeys(node.item, prefix);
  return Object.entries(node.entries ?? {}).flatMap(([key, child]) => {
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
  const schema = unwrapped(node);
  if (schema.item !== undefined && Array.isArray(input)) {
    return input.flatMap((one, index) => misplaced(schema.item!, one, [...path, index], known));
  }
  const entries = schema.entries;
  if (entries === undefined) return [];
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
function problemOf(issue: v.BaseIssue<unknown>): { path: Path; problem: ConfigProblem } | undefined {
  const path = (issue.path ?? []).map((item) => item.key as string | number);
  const where = dotted(path);
  const at = (message: string, hint?: string) =>
    ({ path, problem: { code: "E_CONFIG_VALUE", where, message, hint } }) as const;
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
  const camel = (key: string) => key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [camel(key), camelKeys(inner)]));
}

type Checked<T> =
  | { readonly value: T; readonly problems: readonly [] }
  | { readonly problems: readonly ConfigProblem[] };

/**
 * Holds a tree of plain values against a schema. Reports all problems, one a place, in the schema's order, unknown keys
 * first; `rename` turns a dotted path into what the user wrote (a flag).
 */
export function checkDocument<S extends v.GenericSchema>(
  schema: S,
  input: unknown,
  rename: (where: string) => string = (where) => where,
): Checked<Camel<v.InferOutput<S>>> {
  const problems = misplaced(schema, input, [], knownKeys(schema));
  const result = v.safeParse(schema, input);
  for (const issue of result.issues ?? []) {
    const found = problemOf(issue);
    if (found === undefined || problems.some(({ where }) => where === found.problem.where)) continue;
    problems.push(found.problem);
  }
  if (result.success && problems.length === 0) return { value: camelKeys(result.output) as never, problems: [] };
  const renamed = problems.map((problem) => ({ ...problem, where: rename(problem.where) }));
  const same = (a: ConfigProblem, b: ConfigProblem) => a.where === b.where && a.message === b.message;
  return { problems: renamed.filter((one, i) => renamed.findIndex((other) => same(one, other)) === i) };
}

/** Reads TOML and holds it against a schema. `filename` appears in messages only. */
export function parseDocument<S extends v.GenericSchema>(
  schema: S,
  toml: string,
  filename: string,
): Camel<v.InferOutput<S>> | Refusal {
  let tree: unknown;
  try {
    tree = parseToml(toml);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // smol-toml: "Invalid TOML document: <reason>\n\n<the lines around it>"
    const reason = error.message.replace(/^Invalid TOML document: /, "").split("\n")[0]!;
    const where = `${filename}:${error.line}:${error.column}`;
    const line = toml.split(/\r?\n/)[error.line - 1] ?? "";
    const hint = line.trim() === "" ? undefined : `The line is: ${line.trim()}`;
    return refuseConfig(filename, [{ code: "E_CONFIG_SYNTAX", where, message: `${reason}.`, hint }]);
  }
  const checked = checkDocument(schema, tree);
  return "value" in checked ? checked.value : refuseConfig(filename, checked.problems);
}
