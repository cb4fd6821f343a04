import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "smol-toml";
import { knownKeys } from "../../../src/model/config/document.ts";
import { exampleOf } from "../../../src/model/config/example.ts";
import { defaultFirnConfig, firnToml, parseFirnToml } from "../../../src/model/machine/firn-toml.ts";
import { mergeFlags } from "../../../src/model/machine/flags.ts";
import { jsonSchema } from "../../../src/model/config/json-schema.ts";
import { parseMachineToml } from "../../../src/model/machine/machine.ts";
import { machineToml } from "../../../src/model/machine/machine-toml.ts";
import { isRefusal } from "../../../src/model/problem.ts";

/** The example with every commented key in force; where a key is then there twice, the commented one stands. */
function uncommented(toml: string): string {
  const code = /^# (\[\[?[a-z.]+\]\]?|[a-z-]+ = .*)$/;
  const lines = toml.split("\n").map((line) => code.exec(line)?.[1] ?? line);
  const kept: string[] = [];
  let seen = new Map<string, number>();
  for (const line of lines) {
    if (line.startsWith("[")) seen = new Map();
    const key = /^([a-z-]+) = /.exec(line)?.[1];
    const earlier = key === undefined ? undefined : seen.get(key);
    if (earlier !== undefined) kept[earlier] = "";
    if (key !== undefined) seen.set(key, kept.length);
    kept.push(line);
  }
  return kept.join("\n");
}

/** Dotted keys of a parsed file, without the indexes of lists. */
function keysOf(value: unknown, prefix = ""): string[] {
  if (Array.isArray(value)) return value.flatMap((one) => keysOf(one, prefix));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const path = prefix === "" ? key : `${prefix}.${key}`;
    return [path, ...keysOf(inner, path)];
  });
}

test("the example as it stands says the defaults", () => {
  const file = parseMachineToml(exampleOf(machineToml), "example");
  assert.ok(!isRefusal(file), JSON.stringify(file));
  assert.deepEqual(mergeFlags(file, {}), mergeFlags({}, {}));
  assert.deepEqual(parseFirnToml(exampleOf(firnToml)), defaultFirnConfig());
});

test("the example shows every key that there is, and each example is valid", () => {
  const full = uncommented(exampleOf(machineToml)).replace(/^locked = true$/m, "locked = false");
  const parsed = parseMachineToml(full, "example");
  assert.ok(!isRefusal(parsed), JSON.stringify(parsed));
  assert.ok(!isRefusal(mergeFlags(parsed, {})));
  assert.deepEqual(new Set(keysOf(parse(full))), new Set(knownKeys(machineToml)));
  const firn = uncommented(exampleOf(firnToml));
  assert.ok(!isRefusal(parseFirnToml(firn)));
  assert.deepEqual(new Set(keysOf(parse(firn))), new Set(knownKeys(firnToml)));
});

/** Dotted keys of a JSON schema. */
function schemaKeys(schema: Record<string, unknown>, prefix = ""): string[] {
  if (schema["items"] !== undefined) return schemaKeys(schema["items"] as Record<string, unknown>, prefix);
  const properties = (schema["properties"] ?? {}) as Record<string, Record<string, unknown>>;
  return Object.entries(properties).flatMap(([key, inner]) => {
    const path = prefix === "" ? key : `${prefix}.${key}`;
    return [path, ...schemaKeys(inner, path)];
  });
}

test("the JSON schema knows every key, closes every table and describes every value", () => {
  for (const [title, document] of [
    ["machine.toml", machineToml],
    ["firn.toml", firnToml],
  ] as const) {
    const json = jsonSchema(document);
    assert.equal(json["title"], title);
    assert.deepEqual(new Set(schemaKeys(json)), new Set(knownKeys(document)));
    const visit = (node: Record<string, unknown>, path: string): void => {
      if (node["type"] === "object") assert.equal(node["additionalProperties"], false, path);
      for (const [key, inner] of Object.entries(
        (node["properties"] ?? {}) as Record<string, Record<string, unknown>>,
      )) {
        visit(inner, `${path}.${key}`);
        const items = inner["items"] as Record<string, unknown> | undefined;
        const container = "properties" in inner || items?.["properties"] !== undefined;
        assert.ok(container || "enum" in inner || typeof inner["description"] === "string", `${path}.${key}`);
      }
      if (node["items"] !== undefined) visit(node["items"] as Record<string, unknown>, `${path}[]`);
    };
    visit(json, title);
  }
  const disk = (jsonSchema(machineToml)["properties"] as Record<string, Record<string, Record<string, unknown>>>)[
    "disk"
  ]!;
  assert.deepEqual(disk["properties"]!["slots"], {
    type: "integer",
    minimum: 2,
    maximum: 16,
    description: "Entries of the boot menu, 2 to 16. Default: 4.",
  });
});
