import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { select } from "../../../src/model/volume/selector.ts";
import { anyVolume, generation, id, problemIn, volume } from "../../fixtures/state.ts";

const old = "20210411212549sdBXyLxg";
const middle = "20210412080000qwrXAJBz";
const recent = "20220101000000AAAAAAAA";
const generations = [old, middle, recent].map((name) => generation(name));
const state = volume(generations, { slots: [id(recent), id(recent), id(old)], slotCount: 3, booted: id(middle) });

test("a generation is found by id, unique prefix, slot and by its role", () => {
  const table: readonly (readonly [string, string])[] = [
    [old, old],
    ["20210411", old],
    ["2022", recent],
    ["0", recent],
    ["1", recent],
    ["2", old],
    ["booted", middle],
    ["current", recent],
    ["previous", old],
  ];
  for (const [word, expected] of table) assert.equal(select(state, word), expected, word);
});

test("a number is a slot where there is one, else the beginning of an id", () => {
  const many = volume([generation("30000000000000x"), generation("a"), generation("b")], {
    slots: ["b", "a", "a", "a"].map(id),
  });
  assert.equal(select(many, "3"), "a");
  assert.equal(select(many, "30"), "30000000000000x");
  assert.equal(problemIn(select(many, "7")).code, "E_GENERATION_MISSING");
});

test("a menu may have more than ten slots", () => {
  const slots = Array.from({ length: 12 }, (_, slot) => id(slot === 11 ? "b" : "a"));
  assert.equal(select(volume([generation("a"), generation("b")], { slots, slotCount: 12 }), "11"), "b");
});

test("an id that looks like a slot means itself", () => {
  assert.equal(select(volume([generation("1"), generation("b")], { slots: ["b", "b"].map(id) }), "1"), "1");
});

test("a whole id is never ambiguous, though another begins with it", () => {
  assert.equal(select(volume([generation("base"), generation("base2")]), "base"), "base");
});

test("a prefix of several is refused with all of them", () => {
  assert.deepEqual(problemIn(select(state, "2021")), {
    code: "E_GENERATION_AMBIGUOUS",
    message: `2021 fits 2 generations: ${old}, ${middle}.`,
    hint: "Give more letters.",
  });
});

test("a slip of the fingers is answered with what was meant", () => {
  assert.match(
    problemIn(select(state, "prevoius")).message,
    /^There is no generation prevoius\. Did you mean previous\?$/,
  );
  assert.match(problemIn(select(state, "20210411212549sdBXyLxh")).message, new RegExp(`Did you mean ${old}\\?$`));
  assert.equal(problemIn(select(state, "nonsense")).message, "There is no generation nonsense.");
  assert.equal(problemIn(select(state, "")).code, "E_GENERATION_MISSING");
});

test("a role that nobody has is refused", () => {
  const bare = volume([generation("a")], { slots: [], slotCount: 0 });
  assert.equal(problemIn(select(bare, "booted")).message, "No generation of this volume is booted.");
  assert.equal(problemIn(select(bare, "current")).message, "This volume has no default generation.");
  assert.equal(problemIn(select(bare, "previous")).message, "There is no previous generation.");
});

test("a generation without a root, or that is gone while it runs, cannot be chosen", () => {
  const broken = volume([generation("aaa", {}, false), generation("bbb")], { slots: [id("bbb")], booted: id("gone") });
  assert.equal(problemIn(select(broken, "aaa")).code, "E_GENERATION_MISSING");
  assert.equal(problemIn(select(broken, "booted")).code, "E_GENERATION_MISSING");
});

test("what is selected is always there, and every id selects itself", () => {
  const words = fc.oneof(fc.constantFrom("booted", "current", "previous", "0", "3", "19"), fc.string());
  fc.assert(
    fc.property(anyVolume, words, (any, word) => {
      const ids: string[] = any.generations.map((one) => one.id);
      for (const each of ids) assert.equal(select(any, each), each);
      const found = select(any, word);
      if (typeof found === "string") assert.ok(ids.includes(found));
      else assert.match(problemIn(found).code, /^E_GENERATION_(MISSING|AMBIGUOUS)$/);
    }),
  );
});
