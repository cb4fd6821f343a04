import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { retain, type Retention } from "../../../src/model/volume/retention.ts";
import { lastKnownGood } from "../../../src/model/volume/state.ts";
import type { DeleterState } from "../../../src/model/volume/state.ts";
import { DAY, MiB, anyVolume, generation, idAt, volume } from "../../fixtures/state.ts";

const now = 1000 * DAY;
const nothing: Retention = { keepCount: 0, keepAge: 0, minimumFree: 0 };

/** Ten generations, ten days apart, the newest a day old; only the newest is in a slot. */
const ten = Array.from({ length: 10 }, (_, index) => generation(idAt(now - DAY - (9 - index) * 10 * DAY)));
const ids = ten.map((one) => one.id);
const state = volume(ten, { slots: [ids[9]!], slotCount: 1 });

function gone(any: DeleterState, wish: Retention): string[] {
  return retain(any, wish, now).flatMap(({ id: each, keep }) => (keep === undefined ? [each] : []));
}

test("nothing but what must be kept is kept when nothing is asked", () => {
  assert.deepEqual(gone(state, nothing), ids.slice(0, 9));
});

test("while a link that says what boots cannot be read, all are kept; the template is no such link", () => {
  for (const name of ["current", "trial", "links/20210411213742qwrXAJBz/1"])
    assert.deepEqual(gone({ ...state, unread: [{ name, reason: "I/O error" }] }, nothing), []);
  assert.equal(gone({ ...state, unread: [{ name: "fstab", reason: "I/O error" }] }, nothing).length, 9);
});

test("a count keeps the newest, and counts those that must be kept", () => {
  assert.deepEqual(gone(state, { ...nothing, keepCount: 3 }), ids.slice(0, 7));
  const pinned = volume([generation(ids[0]!, { pinned: true }), ...ten.slice(1)], { slots: [ids[9]!] });
  assert.deepEqual(gone(pinned, { ...nothing, keepCount: 3 }), ids.slice(1, 8));
  assert.deepEqual(gone(pinned, { ...nothing, keepCount: 1 }), ids.slice(1, 9));
});

test("an age keeps the younger ones beyond the count, up to that age exactly", () => {
  assert.deepEqual(gone(state, { ...nothing, keepCount: 1, keepAge: 30 * DAY }), ids.slice(0, 7));
  assert.deepEqual(gone(state, { ...nothing, keepAge: 31 * DAY }), ids.slice(0, 7));
  assert.deepEqual(gone(state, { ...nothing, keepAge: 31 * DAY + 1 }), ids.slice(0, 6));
});

test("each reason is named, the strongest first", () => {
  const records = [{ verdict: "good" as const }, { pinned: true }, {}, {}, {}, {}, {}, {}, {}, {}];
  const all = volume(
    records.map((record, index) => generation(ids[index]!, record)),
    { slots: [ids[9]!], slotCount: 1, trial: ids[2]!, booted: ids[3]!, mounted: [ids[4]!] },
  );
  const reasons = retain(all, { ...nothing, keepCount: 7, keepAge: 25 * DAY }, now).map(({ keep }) => keep);
  assert.deepEqual(reasons, [
    "last known good",
    "pinned",
    "trial",
    "booted",
    "mounted",
    undefined,
    undefined,
    "age",
    "count",
    "slot",
  ]);
});

test("whatever is asked, no slot, booted, mounted, pinned, tried or last known good generation goes", () => {
  const wish = fc.record({
    keepCount: fc.nat(15),
    keepAge: fc.nat(400).map((days) => days * DAY),
    minimumFree: fc.nat(10_000).map((size) => size * MiB),
  });
  fc.assert(
    fc.property(anyVolume, wish, (any, retention) => {
      const lost = new Set<string>(gone(any, retention));
      for (const slot of any.slots) assert.ok(!lost.has(slot));
      for (const each of any.mounted) assert.ok(!lost.has(each));
      assert.ok(any.booted === undefined || !lost.has(any.booted));
      assert.ok(any.trial === undefined || !lost.has(any.trial));
      const good = lastKnownGood(any);
      assert.ok(good === undefined || !lost.has(good));
      for (const { id: each, record } of any.generations) assert.ok(!(record.pinned && lost.has(each)));
      const left = any.generations.length - lost.size;
      assert.ok(left >= Math.min(retention.keepCount, any.generations.length));
    }),
  );
});

test("keeping more never deletes more", () => {
  fc.assert(
    fc.property(anyVolume, fc.nat(12), fc.nat(400), (any, count, days) => {
      const few = new Set(gone(any, { keepCount: count + 1, keepAge: (days + 1) * DAY, minimumFree: 0 }));
      const more = new Set(gone(any, { keepCount: count, keepAge: days * DAY, minimumFree: 0 }));
      for (const each of few) assert.ok(more.has(each));
    }),
  );
});

test("what a deletion left half done goes, but a folder that somebody put there is not firn's to delete", () => {
  const odd = volume(
    [
      generation("my-notes", {}, false),
      generation("20240101120000home", {}, false),
      generation(ids[0]!, {}, false),
      ten[9]!,
    ],
    {
      slots: [ids[9]!],
    },
  );
  assert.deepEqual(gone(odd, { ...nothing, keepCount: 10 }), [ids[0]]);
  const counted = volume([generation("my-notes", {}, false), ...ten.slice(7)], { slots: [ids[9]!] });
  assert.deepEqual(gone(counted, { ...nothing, keepCount: 3 }), [], "it is none of the three that are kept");
  assert.deepEqual(gone(odd, { ...nothing, minimumFree: Number.MAX_SAFE_INTEGER }), [ids[0]]);
});
