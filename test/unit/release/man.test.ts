import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, it } from "node:test";
import { parse } from "smol-toml";
import { commandTree } from "../../../scripts/completions/tree.ts";
import { withKeys } from "../../../scripts/man-keys.ts";
import { exampleOf } from "../../../src/model/config/example.ts";
import { firnToml } from "../../../src/model/machine/firn-toml.ts";
import { machineToml } from "../../../src/model/machine/machine-toml.ts";
import { exitCodes } from "../../../src/model/problem.ts";
import { requires } from "../../kit/requires.ts";

const folder = resolve(import.meta.dirname, "../../../docs/man");

/** The roff of a page. */
function pageSource(name: string): string {
  return readFileSync(resolve(folder, name), "utf8");
}

/** Every key of the example, commented or not: "disk.esp-size" has the last part "esp-size". */
function keysOf(example: string): string[] {
  const uncommented = example.replace(/^# (?=[a-z-]+ = |\[)/gm, "");
  return [...uncommented.matchAll(/^([a-z-]+) = /gm)].map(([, key]) => key!);
}

describe("the man pages", () => {
  it("describe every command of the tree, with its arguments", async () => {
    const page = pageSource("firn.8");
    for (const { path, arguments: list } of (await commandTree()).verbs) {
      const [line] = page.match(new RegExp(`^\\.It Nm Cm ${path.join(" ")}(?![a-z]).*$`, "m")) ?? [];
      assert.ok(line !== undefined, `firn ${path.join(" ")}`);
      for (const { name } of list)
        if (name !== "ARGUMENT") assert.match(line, new RegExp(`Ar ${name}\\b`), `firn ${path.join(" ")}`);
    }
  });

  it("name no command that there is not", async () => {
    const known = (await commandTree()).verbs.map(({ path }) => path.join(" "));
    for (const [, words] of pageSource("firn.8").matchAll(/^\.It Nm Cm ((?:commons )?[a-z]+)/gm))
      assert.ok(known.includes(words!), `firn ${words}`);
  });

  it("describe every flag, and no other", async () => {
    const page = pageSource("firn.8");
    const flags = new Set((await commandTree()).verbs.flatMap((verb) => verb.flags));
    const names = new Set([...flags].map(({ name }) => name));
    for (const name of names) assert.match(page, new RegExp(`Fl -${name.slice(2)}(?![a-z-])`), name);
    for (const [, name] of page.matchAll(/Fl -([a-z][a-z-]*)/g))
      assert.ok(name === "version" || names.has(`--${name}`), `--${name}`);
    for (const { short } of flags) if (short !== undefined) assert.match(page, new RegExp(`Fl ${short.slice(1)}\\b`));
  });

  it("give every exit status with its code, and no other", () => {
    const listed = [...pageSource("firn.8").matchAll(/^\.It (\d+)\n\.Li (E_[A-Z_]+) :$/gm)].map(([, n, code]) => [
      code,
      Number(n),
    ]);
    assert.deepEqual(Object.fromEntries(listed), exitCodes);
    const numbers = listed.map(([, n]) => Number(n));
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    );
  });

  it("describe every key of firn.toml and machine.toml", () => {
    for (const [name, example] of [
      ["firn.toml.5", exampleOf(firnToml)],
      ["machine.toml.5", exampleOf(machineToml)],
    ] as const) {
      const page = pageSource(name);
      const keys = keysOf(example);
      assert.ok(keys.length > 5);
      for (const key of keys) assert.match(page, new RegExp(`Cm ${key}(?![a-z-])`), `${key} in ${name}`);
      const tables = [...example.matchAll(/^(?:# )?(\[{1,2}[a-z.-]+\]{1,2})$/gm)].map(([, table]) => table!);
      for (const table of tables) assert.ok(page.includes(`.Ss ${table}\n`), `${table} in ${name}`);
    }
  });

  it("say of the keys what their declarations say: `npx tsx scripts/man-keys.ts` writes it", () => {
    for (const document of [machineToml, firnToml]) {
      const page = pageSource(`${document.name}.5`);
      assert.equal(page, withKeys(page, document));
      assert.ok(page.includes(".Ss ["));
    }
  });

  it("show TOML that parses in their examples", () => {
    for (const name of ["firn.toml.5", "machine.toml.5"]) {
      const [, example] = /^\.Bd -literal.*\n([^]*?)\.Ed$/m.exec(pageSource(name))!;
      assert.ok(Object.keys(parse(example!)).length > 0, name);
    }
  });

  it("are mdoc without errors or warnings", { skip: requires("mandoc") }, () => {
    for (const name of readdirSync(folder)) {
      const { stdout, status } = spawnSync("mandoc", ["-T", "lint", "-W", "warning", resolve(folder, name)], {
        encoding: "utf8",
      });
      assert.equal(status, 0, stdout);
    }
  });
});
