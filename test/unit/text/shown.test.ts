import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { shown } from "../../../src/model/text/shown.ts";

test("what would move, colour or forge a terminal's lines is seen in place of done", () => {
  const table: readonly (readonly [string, string])[] = [
    ["plain\twords, caf\u00e9, \u4e2d, \u{1f600}", "plain\twords, caf\u00e9, \u4e2d, \u{1f600}"],
    ["\u{1f468}\u200d\u{1f469}", "\u{1f468}\u200d\u{1f469}"],
    ["a\nE_FORGED: b", "a\\nE_FORGED: b"],
    ["\u001b[2J\u0007\r", "\\u001b[2J\\u0007\\u000d"],
    ["\u009b31m\u007f", "\\u009b31m\\u007f"],
    ["gpj.\u202eexe\u2066", "gpj.\\u202eexe\\u2066"],
    ["\u2028\u2029\ufeff\u{e0041}", "\\u2028\\u2029\\ufeff\\udb40\\udc41"],
    ["name-\udcff\udc80", "name-\\xff\\x80"],
    ["half \ud800", "half \\ud800"],
  ];
  for (const [line, said] of table) assert.equal(shown(line), said);
});

test("a line is one line, whatever is in it, and JSON stays the JSON it was", () => {
  const text = fc.string({ unit: "binary" });
  fc.assert(
    fc.property(text, (line) => {
      assert.doesNotMatch(shown(line), /(?![\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u);
      assert.deepEqual(JSON.parse(shown(JSON.stringify({ line }))), { line });
    }),
  );
});

test("the password of an address is not shown", () => {
  assert.equal(shown("- https://joe:pa:ss@example.org/a b@c"), "- https://joe:***@example.org/a b@c");
  assert.equal(shown('{"url":"ftp://:x@h","b":"https://h:80/@"}'), '{"url":"ftp://:***@h","b":"https://h:80/@"}');
});
