import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  draftId,
  draftName,
  laterThanAll,
  mintId,
  parseGenerationId,
  parseLinkSetId,
  timeOfId,
} from "../../../src/model/volume/ids.ts";
import { id } from "../../fixtures/state.ts";

const second = 1000;
const anyTime = fc.integer({ min: 0, max: Date.UTC(9000, 0) });
const chance = fc.uint8Array({ minLength: 8, maxLength: 8 });

test("an id is UTC time and eight letters, and its time can be read back to the second", () => {
  assert.equal(mintId(Date.UTC(2021, 3, 11, 21, 25, 49), new Uint8Array(8)), "20210411212549AAAAAAAA");
  fc.assert(
    fc.property(anyTime, chance, (time, random) => {
      const name = mintId(time, random);
      assert.match(name, /^\d{14}[A-Za-z]{8}$/);
      assert.equal(parseGenerationId(name), name);
      assert.equal(timeOfId(name), Math.floor(time / second) * second);
    }),
  );
});

test("each byte of chance counts: two draws that differ in one letter give two ids", () => {
  fc.assert(
    fc.property(chance, fc.nat(7), (random, at) => {
      const other = random.with(at, (random[at]! + 1) % 256);
      // 255 and 0 are 47 letters apart, so a step of one byte is always another letter.
      assert.notEqual(mintId(0, random), mintId(0, other));
    }),
  );
});

test("ids minted one after another are unique and sort by age, also when the clock stands still or goes backwards", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyTime, chance), { minLength: 2, maxLength: 20 }), (clock) => {
      const made: string[] = [];
      for (const [now, random] of clock) made.push(mintId(laterThanAll(now, made), random));
      assert.deepEqual(made.toSorted(), made);
      assert.equal(new Set(made).size, made.length);
    }),
  );
});

test("a clock that is right gives the time, names made by hand do not matter", () => {
  assert.equal(laterThanAll(5000, []), 5000);
  assert.equal(laterThanAll(Date.UTC(2024, 0), ["by-hand", "20230101000000AAAAAAAA"]), Date.UTC(2024, 0));
});

test("digits that are no time are a name made by hand, and do not push later ids out of the calendar", () => {
  for (const name of [
    "99999999999999x",
    "20211301000000x",
    "20210230000000x",
    "20210101250000x",
    "20210101000060x",
    "2021041121254",
  ])
    assert.equal(timeOfId(name), undefined, name);
  assert.equal(laterThanAll(5000, ["99999999999999x"]), 5000);
});

test("only names that the boot loader can look up are ids", () => {
  for (const name of ["20210411212549sdBXyLxg", "by-hand", "a.b_c", "0", "_x", "x".repeat(200)])
    assert.equal(parseGenerationId(name), name);
  for (const name of ["", ".", "..", ".hidden", "-x", "a b", "a/b", "ä", "a\n", "x\0", "x".repeat(201), "x.draft"])
    assert.equal(parseGenerationId(name), undefined, JSON.stringify(name));
  for (const name of ["", ".", "..", "a b", "a/b", "a\n"]) assert.equal(parseLinkSetId(name), undefined);
  assert.equal(parseLinkSetId("20210411213742qwrXAJBz"), "20210411213742qwrXAJBz");
});

test("a draft's name leads back to its id, and is no id itself", () => {
  const name = id("20210411212549sdBXyLxg");
  assert.equal(draftName(name), "20210411212549sdBXyLxg.draft");
  assert.equal(draftId(draftName(name)), name);
  assert.equal(parseGenerationId(draftName(name)), undefined);
  for (const other of [
    "20210411212549sdBXyLxg",
    ".draft",
    "a b.draft",
    "x.draft.draft",
    "notes.draft",
    "20240101120000home.draft",
  ])
    assert.equal(draftId(other), undefined, other);
});
