import { toJsonSchema } from "@valibot/to-json-schema";
import { firnSchema } from "./firn.ts";
import { machineSchema } from "../machine/schema.ts";

/**
 * The JSON schema (draft 7) of machine.toml, or of firn.toml, as a plain value. It is made from the schema that parses,
 * so the two cannot differ; what only code can check (that a hash is one) is left to firn.
 */
export function jsonSchema(of: "machine" | "firn" = "machine"): Record<string, unknown> {
  const schema = toJsonSchema(of === "machine" ? machineSchema() : firnSchema(), {
    typeMode: "input", // what a file may hold, not what the parser makes of it
    errorMode: "ignore", // "some check" has no JSON schema
  });
  return { ...schema, title: `${of}.toml` };
}
