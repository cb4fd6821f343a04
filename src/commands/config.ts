import { exampleFirnToml, exampleToml } from "../model/config/example.ts";
import { jsonSchema } from "../model/config/json-schema.ts";
import { FirnError } from "../model/problem.ts";
import type { Result } from "../report/result.ts";

export interface ConfigFlags {
  schema?: boolean;
  example?: boolean;
  firn?: boolean;
  json?: boolean;
}

/** `firn config --schema | --example [--firn]` */
export function config(flags: ConfigFlags): Result {
  if (flags.schema === flags.example) {
    throw new FirnError(
      "E_USAGE",
      "firn config prints either --schema or --example.",
      "Choose one; --firn is for /etc/firn/firn.toml.",
    );
  }
  if (flags.schema) {
    const schema = jsonSchema(flags.firn ? "firn" : "machine");
    return { data: schema, lines: [JSON.stringify(schema, undefined, 2)] };
  }
  const example = flags.firn ? exampleFirnToml() : exampleToml();
  return { data: { example }, lines: [example.trimEnd()] };
}
