/** Flags as the tree that a file would give. Open to the other doors: machine/ reads its flags so. */
import type { Document, Fields, Flag, Node } from "./declare.ts";
import { plainWords } from "./words.ts";

interface Placed {
  readonly path: readonly string[];
  readonly node: Node;
  readonly flag: Flag;
}

function placed(fields: Fields, above: readonly string[] = []): Placed[] {
  return Object.entries(fields).flatMap(([name, node]) => {
    const path = [...above, name];
    const own = node.flag === undefined ? [] : [{ path, node, flag: node.flag }];
    if (node.node === "key") return own;
    return [...own, ...placed(node.node === "tables" ? node.item.fields : node.fields, path)];
  });
}

/** What `--help` says of a key's flag: its own words, or the key's with what holds without it. */
function briefOf(node: Node, flag: Flag): string {
  if (flag.brief !== undefined) return flag.brief;
  if (node.node !== "key") throw new Error(`--${flag.name} has no words`);
  const value = node.default;
  const shown = typeof value === "string" || typeof value === "number" ? ` (${value})` : "";
  return `${plainWords(node.brief)}${shown}`;
}

/** The flags that a file's keys declare, each once, in the file's order. */
export function flagsOf({ fields }: Document): { name: string; many: boolean; brief: string; placeholder?: string }[] {
  const seen = new Set<string>();
  const flags = [];
  for (const { node, flag } of placed(fields)) {
    if (seen.has(flag.name)) continue;
    seen.add(flag.name);
    const brief = briefOf(node, flag);
    const { name, many = false, placeholder } = flag;
    flags.push(placeholder === undefined ? { name, many, brief } : { name, many, brief, placeholder });
  }
  return flags;
}

/** `espSize` → `--esp-size` */
function spelled(flag: string): string {
  return `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * The flag that says what stands at `where`, or what holds it: "disk.esp-size" → "--esp-size"; `where` itself when
 * there is none.
 */
export function flagAt({ fields }: Document, where: string): string {
  const plain = where.replace(/\[\d+\]/g, "");
  let nearest: Flag | undefined;
  for (const { path, flag } of placed(fields)) {
    const own = path.join(".");
    if (own === plain || plain.startsWith(`${own}.`)) nearest = flag;
  }
  return nearest === undefined ? where : spelled(nearest.name);
}

export type Tree = Record<string, unknown>;

/** Puts a value into a tree, with the tables that it stands in. */
export function put(tree: Tree, [name = "", ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) tree[name] = value;
  else put((tree[name] ??= {}) as Tree, rest, value);
}

/** The flags as the tree that the file would give, without those that stand apart. */
export function treeOf(
  { fields }: Document,
  flags: Readonly<Record<string, string | readonly string[] | undefined>>,
): Tree {
  const tree: Tree = {};
  for (const { path, node, flag } of placed(fields)) {
    const value = flags[flag.name];
    if (flag.apart === true || value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    const number = node.node === "key" && node.form.kind === "whole" && /^\d{1,9}$/.test(String(value));
    put(tree, path, number ? Number(value) : value);
  }
  return tree;
}
