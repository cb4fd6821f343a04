import { toJsonSchema } from "@valibot/to-json-schema";
import type { Document } from "./declare.ts";
import { schemaOf } from "./schema.ts";

/**
 * The JSON schema (draft 7) of a file, as a plain value. It is made from the schema that parses, so the two cannot
 * differ; what only code can check (that a hash is one) is left to firn.
 */
export function jsonSchema(document: Document): Record<string, unknown> {
  const schema = toJsonSchema(schemaOf(document), {
    typeMode: "input", // what a file may hold, not what the parser makes of it
    errorMode: "ignore", // "some check" has no JSON schema
  });
  return { ...schema, title: document.name };
}
