import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { describeSwitchStep, planSwitch, type SwitchStep } from "../../../src/plan/switch.ts";
import { anchor } from "../../../src/model/volume/state.ts";
import { anyVolume, generation, granted, id, problemIn, volume } from "../../fixtures/state.ts";

const generations = ["a", "b", "c"].map((name) => generation(name));
const state = volume(generations, { slots: ["c", "b", "a", "a"].map(id) });

/** The plan that makes these slots. */
function making(...slots: string[]): SwitchStep[] {
  const chosen = id(slots[0]!);
  return [
    { kind: "require-boot-files", id: chosen },
    { kind: "commit", slots: slots.map(id) },
  ];
}

function slotsIn(steps: readonly SwitchStep[]): ReturnType<typeof id>[] | undefined {
  const commit = steps.find((step) => step.kind === "commit");
  return commit === undefined ? undefined : [...commit.slots];
}

test("the plan says that the boot files are looked at before anything boots from them", () => {
  assert.deepEqual(making("b", "c").map(describeSwitchStep), ["Look at the boot files of b", "Make b slot 0 of 2"]);
});

test("a rollback makes the previous default slot 0 and keeps the one it leaves", () => {
  assert.deepEqual(planSwitch(state, undefined), making("b", "c", "a", "a"));
});

test("a rollback takes back what waits for the next boot: it goes to what runs", () => {
  const pending = { ...state, booted: id("a") };
  assert.deepEqual(planSwitch(pending, undefined), making("a", "c", "b", "b"));
  assert.deepEqual(planSwitch({ ...state, booted: id("c") }, undefined), making("b", "c", "a", "a"));
  assert.deepEqual(planSwitch({ ...state, booted: id("gone") }, undefined), making("b", "c", "a", "a"));
});

test("a second rollback goes forward again", () => {
  const back = slotsIn(granted(planSwitch(state, undefined)))!;
  assert.deepEqual(planSwitch({ ...state, slots: back }, undefined), making("c", "b", "a", "a"));
});

test("a switch by name goes anywhere, also to a generation that is in no slot", () => {
  assert.deepEqual(planSwitch(state, id("a")), making("a", "c", "b", "b"));
  const aside = volume([generation("z"), ...generations], { slots: state.slots });
  assert.deepEqual(planSwitch(aside, id("z")), making("z", "c", "b", "a"));
});

test("a switch to the default is no step", () => {
  assert.deepEqual(planSwitch(state, id("c")), []);
});

test("a switch mends a link set of which a slot leads nowhere", () => {
  const broken = volume(generations, { slots: ["c", "b"].map(id), slotCount: 4 });
  assert.deepEqual(planSwitch(broken, id("c")), making("c", "b", "b", "b"));
});

test("a volume whose `current` is lost gets four slots", () => {
  const lost = volume(generations, { slots: [], slotCount: 0 });
  assert.deepEqual(planSwitch(lost, id("b")), making("b", "b", "b", "b"));
});

test("without a previous generation a rollback is refused", () => {
  const problem = problemIn(planSwitch(volume([generation("a")], { slots: ["a", "a"].map(id) }), undefined));
  assert.equal(problem.code, "E_GENERATION_MISSING");
  assert.equal(problem.message, "There is no previous generation to go back to.");
});

test("a switch loses no generation from the menu that had a place in it", () => {
  fc.assert(
    fc.property(anyVolume, (any) => {
      fc.pre(any.slots.length > 0);
      for (const target of any.slots) {
        const slots = slotsIn(granted(planSwitch(any, target)));
        if (slots === undefined) assert.equal(any.slots[0], target);
        else {
          const lost = any.slots.filter((one) => !slots.includes(one));
          const kept = anchor(any);
          // Only what runs, or is known to, takes somebody's place, and only the last one's.
          assert.ok(lost.length === 0 || (kept !== undefined && !any.slots.includes(kept) && slots.at(-1) === kept));
          if (kept !== undefined && slots.length > 1) assert.ok(slots.includes(kept));
        }
      }
    }),
  );
});
