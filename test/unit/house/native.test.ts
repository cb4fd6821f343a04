/**
 * The C tables, the interface in sys.ts and the calls in src/ name the same things: no member that nobody calls, none
 * that is not there.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

function textBelow(folder: string): string {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"))
    .join("\n");
}

function named(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, name = ""]) => name))].sort();
}

const native = textBelow("native");
const port = readFileSync(join(root, "src/host/kernel/sys.ts"), "utf8");
const members = named(/interface Native \{\n(.*?)\n\}/s.exec(port)?.[1] ?? "", /^ {2}(?:readonly )?(\w+)\??[(:]/gm);

test("the native layer has what the interface says, and nothing else", () => {
  assert.ok(members.length > 50, "the interface is where this test looks for it");
  assert.deepEqual(named(native, /(?:JS_(?:CFUNC|OBJECT)_DEF\(|JS_SetPropertyStr\(ctx, native, )"(\w+)"/g), members);
});

test("every native member is used", () => {
  assert.deepEqual(
    named(textBelow("src"), /\bsys\s*\??\.\s*(\w+)\b/g).filter((name) => name !== "ts"),
    members,
  );
});

test("the open flags of the C side are those that sys.ts names, and each is used", () => {
  const flags = named(/type OpenFlag =([^;]*);/.exec(port)?.[1] ?? "", /"(\w+)"/g);
  assert.deepEqual(named(native, /OPEN_FLAG\(([A-Z]+)\)/g), flags);
  assert.deepEqual(named(textBelow("src"), /(?<!\.)\bO\.([A-Z]+)\b/g), flags);
});

/** As asm-generic/errno.h counts; 41 and 58 name nothing. */
const ERRNOS = 133 - 2;

test("every errno that Linux has gets its name", () => {
  const names = named(native, /\bNAME\((E[A-Z0-9]+)\)/g);
  assert.equal(names.length, ERRNOS);
  const second = ["EWOULDBLOCK", "ENOTSUP"];
  assert.deepEqual(
    Object.keys(constants.errno).filter((name) => !names.includes(name) && !second.includes(name)),
    [],
  );
});

test("nobody asks for an errno by its number", () => {
  assert.deepEqual(named(textBelow("src"), /["'`](E(?:\d+|\$\{)[^"'`]*)["'`]/g), []);
});
