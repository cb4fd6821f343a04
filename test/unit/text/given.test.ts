import assert from "node:assert/strict";
import { test } from "node:test";
import { given, type Given } from "../../../src/model/given.ts";

test("what is undefined is left out, and nothing else is", () => {
  const members = { a: undefined, b: 0, c: "", d: false, e: null, f: [] };
  assert.deepEqual(Object.entries(given(members)), Object.entries(members).slice(1));
  assert.deepEqual(given({}), {});
  assert.equal(members.a, undefined);
  assert.ok("a" in members);
});

test("an absent member hides nothing below it, and keeps its type", () => {
  const word = ([] as string[])[0];
  const below = { word: "file", other: 1 };
  assert.deepEqual({ ...below, ...given({ word }) }, below);
  const typed: { readonly word?: string; readonly other: number } = given({ word, other: 2 });
  assert.deepEqual(typed, { other: 2 });
  const exact: Given<{ a: string; b: number | undefined }> = { a: "" };
  assert.ok(!("b" in exact));
});
