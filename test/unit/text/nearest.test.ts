import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { distance, nearest, nearestFew } from "../../../src/model/text/nearest.ts";

const KEYS = ["slots", "size", "esp-size", "swap-size", "compression", "commons"];

test("a slip of the fingers finds the word that was meant", () => {
  const table: [string, string | undefined][] = [
    ["slot", "slots"],
    ["solts", "slots"],
    ["SLOTS", "slots"],
    ["esp_size", "esp-size"],
    ["espsize", "esp-size"],
    ["comons", "commons"],
    ["comp", "compression"],
    ["hostname", undefined],
    ["x", undefined],
    ["", undefined],
  ];
  for (const [word, meant] of table) assert.equal(nearest(word, KEYS), meant, word);
});

test("several near names come nearest first, without repeats", () => {
  assert.deepEqual(nearestFew("linux-lst", ["linux-virt", "linux-lts", "linux-its", "linux-lts", "bash"], 3), [
    "linux-lts",
    "linux-its",
    "linux-virt",
  ]);
  assert.deepEqual(nearestFew("ope", ["openssh", "bash", "openrc", "openssl"], 2), ["openssh", "openrc"]);
});

test("a swap of neighbours costs one", () => {
  assert.equal(distance("ab", "ba"), 1);
  assert.equal(distance("kitten", "sitting"), 3);
  assert.equal(distance("", "abc"), 3);
  assert.equal(distance("abcdef", "abcdef", 0), 0);
  assert.equal(distance("abcdef", "uvwxyz", 2), 3);
});

/** The textbook recursion, slow and evident. */
function plainDistance(a: string, b: string): number {
  if (a === "" || b === "") return a.length + b.length;
  const costs = [
    plainDistance(a.slice(1), b) + 1,
    plainDistance(a, b.slice(1)) + 1,
    plainDistance(a.slice(1), b.slice(1)) + (a[0] === b[0] ? 0 : 1),
  ];
  if (a.length > 1 && a[0] === b[1] && a[1] === b[0]) costs.push(plainDistance(a.slice(2), b.slice(2)) + 1);
  return Math.min(...costs);
}

test("the distance is the textbook one, symmetric, and a limit never changes what lies within it", () => {
  const word = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 5 });
  fc.assert(
    fc.property(word, word, fc.nat(6), (a, b, limit) => {
      const exact = plainDistance(a, b);
      assert.equal(distance(a, b), exact);
      assert.equal(distance(b, a), exact);
      assert.equal(distance(a, b, limit), Math.min(exact, limit + 1));
    }),
    { numRuns: 500 },
  );
});

test("a word among the candidates is its own nearest", () => {
  const words = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1 });
  fc.assert(
    fc.property(words, fc.nat(), (candidates, pick) => {
      const word = candidates[pick % candidates.length]!;
      assert.equal(nearest(word, candidates), word);
    }),
  );
});
