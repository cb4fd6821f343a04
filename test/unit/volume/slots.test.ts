import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { rotate, slotsToFill } from "../../../src/model/volume/slots.ts";
import { createdAt, lastKnownGood, leftOut, previous } from "../../../src/model/volume/state.ts";
import {
  currentTarget,
  generationOfSubvolume,
  nameLedTo,
  slotTarget,
  targetName,
} from "../../../src/model/volume/layout.ts";
import { parseLinkSetId, type GenerationId } from "../../../src/model/volume/ids.ts";
import { parseRecord, renderRecord } from "../../../src/model/volume/generation.ts";
import { generation, id, volume } from "../../fixtures/state.ts";

const [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(id) as [
  GenerationId,
  GenerationId,
  GenerationId,
  GenerationId,
  GenerationId,
];
const anyId = fc.constantFrom(a, b, c, d, e);

test("a new generation takes slot 0 and the others move down; the oldest leaves the menu", () => {
  assert.deepEqual(rotate([d, c, b, a], e, 4), [e, d, c, b]);
});

test("a rollback takes the chosen one out of the order and puts it first", () => {
  assert.deepEqual(rotate([d, c, b, a], c, 4), [c, d, b, a]);
  assert.deepEqual(rotate([c, d, b, a], d, 4), [d, c, b, a]);
});

test("fewer generations than slots: the last one fills the rest, and later ones push the copies out", () => {
  assert.deepEqual(rotate([], a, 4), [a, a, a, a]);
  assert.deepEqual(rotate([a, a, a, a], b, 4), [b, a, a, a]);
  assert.deepEqual(rotate([b, a, a, a], c, 4), [c, b, a, a]);
});

test("however many changes are made, what runs keeps a slot: the last one", () => {
  assert.deepEqual(rotate([d, c, b], e, 3, a), [e, d, a]);
  assert.deepEqual(rotate([e, d, a], c, 3, a), [c, e, a]);
  assert.deepEqual(rotate([a, b], a, 2, a), [a, b]);
  assert.deepEqual(rotate([b], c, 4, a), [c, b, a, a]);
  assert.deepEqual(rotate([], e, 1, a), [e], "a menu of one slot has no room for it");
});

test("every slot resolves, slot 0 is the chosen one, the order stays, and nothing is lost while there is a slot for it", () => {
  fc.assert(
    fc.property(fc.array(anyId, { maxLength: 8 }), anyId, fc.integer({ min: 1, max: 8 }), (slots, chosen, count) => {
      const next = rotate(slots, chosen, count);
      const known = [chosen, ...slots];
      assert.equal(next.length, count);
      assert.equal(next[0], chosen);
      for (const slot of next) assert.ok(known.includes(slot));
      const distinct = new Set(known);
      assert.equal(new Set(next).size, Math.min(distinct.size, count));
      const order = [...new Set(slots)].filter((one) => one !== chosen && next.includes(one));
      assert.deepEqual([...new Set(next)].slice(1), order);
    }),
  );
});

test("a commit fills as many slots as there were, and four when nobody knows", () => {
  assert.deepEqual([0, 1, 4, 9].map(slotsToFill), [4, 1, 4, 9]);
});

test("the previous default is the next distinct slot; a volume of one generation has none", () => {
  const generations = ["a", "b"].map((name) => generation(name));
  assert.equal(previous(volume(generations, { slots: [b, b, a] })), a);
  assert.equal(previous(volume(generations, { slots: [b, b] })), undefined);
  assert.equal(previous(volume([], { slots: [] })), undefined);
});

test("the last known good is the newest with a good verdict", () => {
  const verdicts = [
    generation("a", { verdict: "good" }),
    generation("b", { verdict: "good" }),
    generation("c", { verdict: "bad" }),
    generation("d"),
  ];
  assert.equal(lastKnownGood(volume(verdicts)), b);
  assert.equal(lastKnownGood(volume([...verdicts, generation("e", { verdict: "good" }, false)])), b, "e has no root");
  assert.equal(lastKnownGood(volume(verdicts.slice(2))), undefined);
});

test("a generation is as old as its id says, so that a clock that was wrong cannot reorder generations", () => {
  const wrong = generation("20210411212549sdBXyLxg", { created: "1970-01-01T00:00:09.000Z" });
  assert.equal(createdAt(wrong), Date.UTC(2021, 3, 11, 21, 25, 49));
  assert.equal(createdAt(generation("by-hand", { created: "2020-01-01T00:00:00.000Z" })), Date.UTC(2020, 0));
  assert.equal(createdAt(generation("by-hand", { created: "once" })), 0);
  assert.equal(createdAt(generation("by-hand")), 0);
});

test("symlinks are those of the format, and every spelling of one is understood", () => {
  assert.equal(currentTarget(parseLinkSetId("L")!), "./links/L");
  assert.equal(slotTarget(a), "../../snapshots/a");
  for (const target of ["../../snapshots/X", "/snapshots/X/", "snapshots/X", "X", "X//"])
    assert.equal(targetName(target), "X", target);
  const slot = (target: string): string | undefined => nameLedTo("snapshots", "links/L", target);
  for (const target of [
    slotTarget(a),
    "/snapshots/a/",
    "/./snapshots//a",
    "../../snapshots/./a",
    "../M/../../snapshots/a",
  ])
    assert.equal(slot(target), "a", target);
  for (const target of [
    "../../other/a",
    "a",
    "snapshots/a",
    "../../../snapshots/a",
    "../../snapshots/a/@",
    "/snapshots",
  ])
    assert.equal(slot(target), undefined, target);
  for (const target of ["./links/L", "links/L", "/links/L/"]) assert.equal(nameLedTo("links", "", target), "L", target);
  for (const target of ["./elsewhere/L", "../links/L", "L"])
    assert.equal(nameLedTo("links", "", target), undefined, target);
});

test("the generation that is mounted shows in its subvolume's path", () => {
  for (const path of ["/snapshots/X/@", "snapshots/X/@", "//snapshots/X/@"])
    assert.equal(generationOfSubvolume(path), "X", path);
  for (const path of ["/", "/@", "/commons/@home", "/snapshots/@", "/old/snapshots/X/@", "/snapshots/X"])
    assert.equal(generationOfSubvolume(path), undefined, path);
});

test("what another base leaves out is what slot 0 was made through and the base was not, as far as anybody noted", () => {
  const chain = [generation("a"), generation("b", { parent: "a" }), generation("c", { parent: "b" })];
  const ids = (state: ReturnType<typeof volume>, base: GenerationId): string[] =>
    leftOut(state, base).map((one) => one.id);
  const straight = volume(chain, { slots: [c, b, a] });
  assert.deepEqual([ids(straight, a), ids(straight, b), ids(straight, c)], [["b", "c"], ["c"], []]);
  const forked = volume([...chain, generation("d", { parent: "a" })], { slots: [c, d] });
  assert.deepEqual(ids(forked, d), ["b", "c"]);
  const unnoted = volume([generation("a"), generation("b")], { slots: [b, a] });
  assert.deepEqual(ids(unnoted, a), ["b"]);
  const circle = volume([generation("a", { parent: "b" }), generation("b", { parent: "a" })], { slots: [b] });
  assert.deepEqual(ids(circle, a), []);
});

test("a record comes back as it was written, and keeps what another firn wrote into it", () => {
  const record = {
    parent: "a",
    created: "2024-01-01T00:00:00.000Z",
    kernel: "6.6.1-0-lts",
    flavor: "lts",
    release: "3.20.3",
    description: "text",
    command: "firn add jq",
    changes: [{ name: "jq", kind: "added" as const, to: "1-r0" }],
    installedBytes: 5,
    conflicts: ["/etc/x.apk-new"],
    pinned: true,
    verdict: "good" as const,
  };
  assert.deepEqual(parseRecord(renderRecord(record)), record);
  assert.deepEqual(parseRecord('{"later": [1], "pinned": true}'), { later: [1], pinned: true });
  assert.deepEqual(parseRecord(renderRecord({ installing: "format" })), { installing: "format" });
});

test("a damaged record is an empty one, and a field of the wrong type is as if it were not there", () => {
  for (const text of [undefined, "", "{", "null", "5", "[]", '["pinned"]']) assert.deepEqual(parseRecord(text), {});
  const odd = `{"parent":1,"created":2,"kernel":[],"flavor":{},"release":3,"description":4,"command":false,"changes":"x",
    "installedBytes":"5","conflicts":{"a":1},"pinned":"no","verdict":"fine","installing":6}`;
  assert.deepEqual(parseRecord(odd), {});
  for (const name of ["", "a\0b", "a/b", "a b"]) assert.deepEqual(parseRecord(JSON.stringify({ flavor: name })), {});
  for (const name of ["", "@", "a", "@a\0b", "@a/b", "../snapshots/a"])
    assert.deepEqual(parseRecord(JSON.stringify({ commons: name })), {});
  assert.deepEqual(parseRecord('{"changes":[{"name":"jq"}],"conflicts":[1]}'), {});
});
