import type { Document, Fields, Key, Table, Tables } from "./declare.ts";
import { plainWords, sentences, toml } from "./words.ts";

/** Columns that a comment fills, with its "# ". */
const COLUMNS = 100;

function comment(words: string): string[] {
  const lines: string[] = [];
  let line = "#";
  for (const word of plainWords(words).split(" ")) {
    if (line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

function keyLines(name: string, key: Key): string[] {
  const words = key.otherwise === undefined ? sentences(key) : `${sentences(key)} Without it: ${key.otherwise}.`;
  return [
    ...comment(words),
    ...(key.default === undefined ? [] : [`${name} = ${toml(key.default)}`]),
    ...(key.example === undefined ? [] : [`# ${name} = ${toml(key.example)}`]),
  ];
}

/** The tables that hold without any, then one that shows every key. */
function tablesLines(path: string, node: Tables): string[] {
  const lines = (node.default ?? []).flatMap((one) => [
    `[[${path}]]`,
    ...Object.entries(one).map(([name, value]) => `${name} = ${toml(value)}`),
    "",
  ]);
  lines.push(`# [[${path}]]`);
  for (const [name, key] of Object.entries(node.item.fields)) {
    const value = key.node === "key" ? (key.example ?? key.default) : undefined;
    if (value !== undefined) lines.push(`# ${name} = ${toml(value)}`);
  }
  return lines;
}

function tableLines(path: string, { words, ...node }: Table | Tables): string[] {
  const above = ["", ...(words === undefined ? [] : comment(words))];
  if (node.node === "tables") return [...above, ...tablesLines(path, node)];
  return [...above, `[${path}]`, ...fieldsLines(`${path}.`, node.fields)];
}

function fieldsLines(prefix: string, fields: Fields): string[] {
  return Object.entries(fields).flatMap(([name, node]) =>
    node.node === "key" ? keyLines(name, node) : tableLines(`${prefix}${name}`, node),
  );
}

/**
 * A file that shows every key. Lines that are not comments say the defaults; a key that has none stands behind "# "
 * with an example.
 */
export function exampleOf({ head, fields }: Document): string {
  return [...head.map((line) => `# ${line}`), ...fieldsLines("", fields), ""].join("\n");
}
