import assert from "node:assert/strict";
import { test } from "node:test";
import type { Executors, Standing, Work } from "../../../src/apply/run-plan.ts";
import { FirnError, settled, type Problem } from "../../../src/model/problem.ts";
import { recordTerminal } from "../../fixtures/terminal.ts";

recordTerminal();
const { runPlan } = await import("../../../src/apply/run-plan.ts");
const { SysError, problemOf } = await import("../../../src/host/kernel/failure.ts");

interface TestStep {
  kind: "do";
  work: (work: Work) => void;
}

const executors: Executors<TestStep, undefined> = { do: (step, _, work) => step.work(work) };
const quiet = { step: () => {}, note: () => {}, detail: () => {} };

/** Carries the steps out. Gives how things stand, and the problem when one fails. */
function carriedOut(...steps: readonly TestStep["work"][]): { standing: Standing; problem: Problem | undefined } {
  const standing: Standing = { effect: "nothing changed" };
  const plan = { steps: steps.map((work) => ({ kind: "do" as const, work })), describe: () => "" };
  try {
    runPlan({ plan, executors, context: undefined, report: quiet, standing });
    return { standing, problem: undefined };
  } catch (error) {
    return { standing, problem: problemOf(error) };
  }
}

const full = new SysError("ENOSPC", "write", "/x", "No space left on device");
const fails = (): void => {
  throw full;
};

test("the innermost scope that knows how things stand is believed, whatever was thrown", () => {
  const inner = settled(problemOf(full), "committed");
  const { problem } = carriedOut(() => {
    throw FirnError.of(inner);
  });
  assert.deepEqual(problem, { ...problemOf(full), effect: "committed" });
  const late = carriedOut((work) => {
    work.stands("draft discarded");
    fails();
  });
  assert.equal(late.problem?.effect, "draft discarded");
});

test("what was done is taken back, the latest first, whatever fails at it, and the first cause is said", () => {
  const back: string[] = [];
  const made = (name: string) => (work: Work) => work.undo(() => void back.push(name), "draft discarded");
  const whole = carriedOut(made("a"), made("b"), fails);
  assert.deepEqual(back.splice(0), ["b", "a"]);
  assert.deepEqual(whole.problem, { ...problemOf(full), effect: "draft discarded" });

  const stuck = (work: Work): void => {
    const takeBack = (): void => {
      throw new Error("it cannot");
    };
    work.undo(takeBack, "draft discarded");
  };
  const partly = carriedOut(made("a"), stuck, made("c"), fails);
  assert.deepEqual(back.splice(0), ["c", "a"]);
  assert.deepEqual(partly.problem, { ...problemOf(full), effect: "draft left" });
});

test("an image that could not be removed is named", () => {
  const { problem } = carriedOut((work) => {
    work.stands("nothing changed", "/srv/a.img");
    work.undo(fails, "image removed");
  }, fails);
  assert.deepEqual([problem?.effect, problem?.about], ["image left", "/srv/a.img"]);
});

test("what is committed is not taken back", () => {
  const undone: string[] = [];
  const { problem } = carriedOut(
    (work) => work.undo(() => void undone.push("a"), "draft discarded"),
    (work) => work.stands("committed"),
    fails,
  );
  assert.deepEqual([undone, problem?.effect], [[], "committed"]);
});

test("a plan that ran to its end is committed; one that ended early, or had no step, is not", () => {
  assert.equal(carriedOut((work) => work.stands("default unchanged")).standing.effect, "committed");
  assert.equal(carriedOut().standing.effect, "nothing changed");
  assert.equal(carriedOut((work) => work.end(), fails).standing.effect, "nothing changed");
});
