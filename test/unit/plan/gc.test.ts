import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isRefusal } from "../../../src/model/problem.ts";
import { mustKeep, type Retention } from "../../../src/model/volume/retention.ts";
import { deletion, describeGcStep, planGc } from "../../../src/plan/gc.ts";
import { DAY, MiB, anyVolume, generation, granted, id, idAt, problemIn, volume } from "../../fixtures/state.ts";

const now = 1000 * DAY;
const nothing: Retention = { keepCount: 0, keepAge: 0, minimumFree: 0 };

/** Ten generations, a day apart; only the newest is in a slot. */
const ten = Array.from({ length: 10 }, (_, index) => generation(idAt(now - (10 - index) * DAY)));
const ids = ten.map((one) => one.id);
const state = volume(ten, { slots: [ids[9]!], slotCount: 1 });

test("gc deletes what retention allows", () => {
  assert.deepEqual(granted(planGc(state, { ...nothing, keepCount: 3 }, [], now)).generations, ids.slice(0, 7));
});

test("gc refuses each of those that must stay, and says why", () => {
  const records = [{ verdict: "good" as const }, { pinned: true }];
  const all = volume([...records.map((record, index) => generation(ids[index]!, record)), ...ten.slice(2)], {
    slots: [ids[9]!],
    trial: ids[2]!,
    booted: ids[3]!,
    mounted: [ids[4]!],
  });
  const table: readonly (readonly [string, string])[] = [
    [ids[9]!, "is in a boot slot"],
    [ids[3]!, "is booted"],
    [ids[4]!, "is mounted"],
    [ids[2]!, "is on trial"],
    [ids[1]!, "is pinned"],
    [ids[0]!, "is the last one known to be good"],
  ];
  for (const [kept, why] of table) {
    const problem = problemIn(planGc(all, nothing, [ids[6]!, id(kept)], now));
    assert.equal(problem.code, "E_GENERATION_KEPT");
    assert.equal(problem.message, `${kept} ${why} and stays.`);
    assert.ok(mustKeep(all).has(id(kept)));
  }
  assert.equal(problemIn(planGc(all, nothing, [ids[1]!], now)).hint, `\`firn unpin ${ids[1]}\` first.`);
});

test("gc of a named generation deletes that one, once, whatever retention would keep", () => {
  const plan = granted(planGc(state, { ...nothing, keepCount: 10 }, [ids[0]!, ids[1]!, ids[0]!], now));
  assert.deepEqual(plan.generations, [ids[0], ids[1]]);
});

test("gc also takes drafts and link sets that are no longer in force", () => {
  const left = { drafts: ["x.draft"], oldLinkSets: ["L" as never] };
  const plan = granted(planGc({ ...state, ...left }, { ...nothing, keepCount: 10 }, [], now));
  assert.deepEqual(plan, { generations: [], drafts: ["x.draft"], linkSets: ["L"] });
});

test("where nothing says what boots, gc deletes nothing, named or not, and says how to go on", () => {
  const lost = { ...state, slots: [], slotCount: 0, linkSet: undefined };
  for (const named of [[], [ids[0]!]]) {
    const problem = problemIn(planGc(lost, nothing, named, now));
    assert.equal(problem.code, "E_GENERATION_KEPT");
    assert.match(problem.hint ?? "", /firn switch/);
  }
});

test("each deletion is a step that says so, and the last one brings them to disk", () => {
  const garbage = { generations: [ids[0]!], drafts: ["x.draft"], linkSets: ["L" as never, "M" as never] };
  assert.deepEqual(deletion(garbage, true).map(describeGcStep), [
    `Delete ${ids[0]}`,
    "Delete the draft of a run that ended early: x.draft",
    "Delete 2 link sets that are no longer in force",
    "Bring it to disk",
  ]);
  assert.deepEqual(deletion({ generations: [], drafts: [], linkSets: [] }, false), []);
  const last = deletion(garbage, false).map(describeGcStep).slice(-2);
  assert.deepEqual(last, ["Hold space in reserve, to go back on a full volume", "Bring it to disk"]);
});

test("while less is free than wished, what count or age keeps may go too: the oldest first, and only while it is so", () => {
  const wish = { keepCount: 8, keepAge: 0, minimumFree: 9000 * MiB };
  assert.equal(granted(planGc(state, wish, [], now)).short, undefined);
  const more = { ...wish, minimumFree: 9000 * MiB + 1 };
  const plan = granted(planGc(state, more, [], now));
  assert.deepEqual(plan.generations, ids.slice(0, 2), "these go, whatever is free");
  assert.deepEqual(plan.short, { target: more.minimumFree, generations: ids.slice(2, 9) });
  const steps = deletion(plan, true).map(describeGcStep);
  assert.deepEqual(steps.slice(2, 5), [
    "Wait for the space to be given back",
    `Delete ${ids[2]}, if less than 8.8 GiB are free by then`,
    `Delete ${ids[3]}, if less than 8.8 GiB are free by then`,
  ]);
  assert.equal(granted(planGc(state, more, [ids[0]!], now)).short, undefined, "a named one is all that was asked for");
});

test("whoever names it, a generation goes only when nothing keeps it, and naming many deletes all or none", () => {
  fc.assert(
    fc.property(anyVolume, fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), (any, picks) => {
      const named = picks.map((pick) => any.generations[pick % any.generations.length]!.id);
      const planned = planGc(any, nothing, named, now);
      const kept = mustKeep(any);
      if (isRefusal(planned)) assert.ok(any.slots.length === 0 || named.some((each) => kept.has(each)));
      else {
        assert.deepEqual(new Set(planned.generations), new Set(named));
        assert.ok(named.every((each) => !kept.has(each)));
      }
    }),
  );
});
