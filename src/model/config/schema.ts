import * as v from "valibot";
import { isRefusal } from "../problem.ts";
import type { Document, Fields, Key, Node, Table } from "./declare.ts";
import { description } from "./words.ts";

/** Between message and hint, where valibot has room for one text only. */
export const HINT = "\n";

/** What `schema` takes, as `read` reads it; a complaint becomes an issue that keeps its hint. */
function through(schema: v.GenericSchema, read: (input: never) => unknown): v.GenericSchema {
  const action = v.rawTransform<unknown, unknown>(({ dataset, addIssue, NEVER }) => {
    const value = read(dataset.value as never);
    if (!isRefusal(value)) return value;
    const { message, hint } = value.problem;
    addIssue({ message: hint === undefined ? message : `${message}${HINT}${hint}` });
    return NEVER;
  });
  return v.pipe(schema, action);
}

/** How TOML holds the value; of a list, with what reads its words. */
function formSchema({ form, read }: Key): v.GenericSchema {
  switch (form.kind) {
    case "text":
      return v.string();
    case "text or number":
      return v.union([v.string(), v.number()]);
    case "list":
      return v.array(through(v.string(), read));
    case "text or list":
      return v.union([v.string(), v.array(v.string())]);
    case "truth":
      return v.boolean();
    case "choice":
      return v.picklist(form.of);
    case "whole": {
      const message = `is not a whole number from ${form.least} to ${form.most}.`;
      return v.pipe(v.number(), v.integer(message), v.minValue(form.least, message), v.maxValue(form.most, message));
    }
    default:
      return form satisfies never;
  }
}

function keySchema(key: Key): v.GenericSchema {
  const { form, read } = key;
  const schema: v.GenericSchema = v.pipe(formSchema(key), v.description(description(key)));
  if (form.kind === "list") return schema;
  return through(schema, form.kind === "text or number" ? (input: unknown) => read(String(input) as never) : read);
}

function tableSchema({ fields, check, make }: Table): v.GenericSchema {
  const schema = v.strictObject(entries(fields));
  if (make !== undefined) return through(schema, make);
  return check === undefined ? schema : through(schema, (input: never) => check(input) ?? input);
}

function entries(fields: Fields): v.ObjectEntries {
  const optional = (node: Node): v.GenericSchema => {
    const schema = nodeSchema(node);
    return node.node === "key" && node.required === true ? schema : v.exactOptional(schema);
  };
  return Object.fromEntries(Object.entries(fields).map(([name, node]) => [name, optional(node)]));
}

function nodeSchema(node: Node): v.GenericSchema {
  switch (node.node) {
    case "key":
      return keySchema(node);
    case "table":
      return tableSchema(node);
    case "tables":
      return v.array(tableSchema(node.item));
    default:
      return node satisfies never;
  }
}

const built = new Map<Document, v.GenericSchema>();

/** The schema that a declaration comes to; its output has the names of the file. */
export function schemaOf(document: Document): v.GenericSchema {
  const known = built.get(document);
  if (known !== undefined) return known;
  const schema = tableSchema(document);
  built.set(document, schema);
  return schema;
}
