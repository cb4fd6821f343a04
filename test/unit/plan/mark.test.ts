import assert from "node:assert/strict";
import { test } from "node:test";
import { describeMarkStep, planMark } from "../../../src/plan/mark.ts";
import { generation, id, volume } from "../../fixtures/state.ts";

const state = volume([generation("a", { kernel: "6.1" }), generation("b", { pinned: true })]);
const pin = (record: object): object => ({ ...record, pinned: true });

test("a mark keeps what the record says otherwise, and is one step that says what holds then", () => {
  const { steps, record } = planMark(state, id("a"), pin, "pinned");
  assert.deepEqual(record, { kernel: "6.1", pinned: true });
  assert.deepEqual(steps.map(describeMarkStep), ["Note that a is pinned"]);
});

test("what is noted already is no step", () => {
  assert.deepEqual(planMark(state, id("b"), pin, "pinned"), { steps: [], record: { pinned: true } });
});
