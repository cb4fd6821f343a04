import { exampleOf } from "../model/config/example.ts";
import { jsonSchema } from "../model/config/json-schema.ts";
import { firnToml } from "../model/machine/firn-toml.ts";
import { machineToml } from "../model/machine/machine-toml.ts";
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
  const document = flags.firn ? firnToml : machineToml;
  if (flags.schema) {
    const schema = jsonSchema(document);
    return { data: schema, lines: JSON.stringify(schema, undefined, 2).split("\n") };
  }
  const example = exampleOf(document);
  return { data: { example }, lines: example.trimEnd().split("\n") };
}
