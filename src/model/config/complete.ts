/** A wish filled up with the defaults. Open to the other doors: machine/ completes its own documents. */
import { isRefusal } from "../problem.ts";
import { camel, type Complete, type Fields, type Key, type Node, type Table, type Wish } from "./declare.ts";

type Values = Readonly<Record<string, unknown>>;

/** What the parser makes of a value that the declaration itself names: a default. */
function read(node: Key, plain: unknown): unknown {
  const parse = node.read as (input: unknown) => unknown;
  const value =
    node.form.kind === "list"
      ? (plain as readonly string[]).map(parse)
      : parse(node.form.kind === "text or number" ? String(plain) : plain);
  const refusal = Array.isArray(value) ? value.find(isRefusal) : value;
  if (isRefusal(refusal)) throw new Error(`a default that its own parser refuses: ${refusal.problem.message}`);
  return value;
}

function readTable({ fields, make }: Table, plain: Values): unknown {
  const values = Object.entries(plain).map(([name, value]) => [name, read(fields[name] as Key, value)]);
  const raw: unknown = Object.fromEntries(values);
  return make === undefined ? raw : make(raw as never);
}

function completeNode(node: Node, value: unknown): unknown {
  switch (node.node) {
    case "key":
      return value ?? (node.default === undefined ? undefined : read(node, node.default));
    case "table":
      return node.make === undefined ? completeFields(node.fields, (value ?? {}) as Values) : value;
    case "tables": {
      const items = (value as readonly unknown[] | undefined) ?? node.default?.map((one) => readTable(node.item, one));
      return items?.map((one) => completeNode(node.item, one));
    }
    default:
      return node satisfies never;
  }
}

function completeFields(fields: Fields, wish: Values): Values {
  const complete: Record<string, unknown> = {};
  for (const [name, node] of Object.entries(fields)) {
    const value = completeNode(node, wish[camel(name)]);
    if (value !== undefined) complete[camel(name)] = value;
  }
  return complete;
}

/** The wish with the defaults of its declaration where it says nothing. */
export function complete<F extends Fields>({ fields }: { readonly fields: F }, wish: Wish<F>): Complete<F> {
  return completeFields(fields, wish as Values) as Complete<F>;
}
