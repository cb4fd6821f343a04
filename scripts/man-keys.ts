/**
 * `npx tsx scripts/man-keys.ts`: writes what the keys of machine.toml and firn.toml say of themselves into their man
 * pages.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Document, Fields, Key, Table, Tables } from "../src/model/config/declare.ts";
import { defaultWords, sentences } from "../src/model/config/words.ts";
import { firnToml } from "../src/model/machine/firn-toml.ts";
import { machineToml } from "../src/model/machine/machine-toml.ts";

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), "docs/man");

/** mdoc(7): a sentence a line; what is in backticks on a line of its own, with the punctuation behind it. */
function prose(words: string): string[] {
  return words
    .replaceAll(/(?<=[^.][.;]) (?=[A-Z"`])/g, "\n")
    .split("\n")
    .flatMap((sentence) =>
      sentence.split(/(`[^`]+`[.,;:)]*)/).flatMap((part) => {
        const [, literal, behind = ""] = /^`([^`]+)`(.*)$/.exec(part) ?? [];
        if (literal === undefined) return part.trim() === "" ? [] : [part.trim()];
        const macro = /^[/~]/.test(literal) ? "Pa" : literal.includes(" ") ? "Ql" : "Li";
        return [[`.${macro}`, literal, ...behind.split("")].join(" ")];
      }),
    );
}

function keyItem(name: string, key: Key): string[] {
  const without = defaultWords(key);
  const said = without === undefined ? "" : ` Default: ${without}.`;
  return [`.It Cm ${name}`, ...prose(`${sentences(key)}${said}`)];
}

function section(path: string, node: Table | Tables): string[] {
  const fields = node.node === "tables" ? node.item.fields : node.fields;
  const without = (node.node === "tables" ? (node.default ?? []) : []).map((one) => Object.values(one).join(", "));
  const words = [node.words ?? [], without.map((one) => `Without any: ${one}.`)].flat().join(" ");
  const keys = Object.entries(fields).flatMap(([name, key]) => (key.node === "key" ? keyItem(name, key) : []));
  const title = node.node === "tables" ? `[[${path}]]` : `[${path}]`;
  return [
    `.Ss ${title}`,
    ...(words === "" ? [] : prose(words)),
    ".Bl -tag -width Ds",
    ...keys,
    ".El",
    ...sections(fields, `${path}.`),
  ];
}

function sections(fields: Fields, above = ""): string[] {
  return Object.entries(fields).flatMap(([name, node]) =>
    node.node === "key" ? [] : section(`${above}${name}`, node),
  );
}

/** The page with the keys' sections, which stand between its description and what follows, as they are declared. */
export function withKeys(page: string, { fields }: Document): string {
  return page.replace(/^\.Ss \[[^]*?(?=^\.Sh )/m, () => `${sections(fields).join("\n")}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const document of [machineToml, firnToml]) {
    const path = join(folder, `${document.name}.5`);
    writeFileSync(path, withKeys(readFileSync(path, "utf8"), document));
  }
}
