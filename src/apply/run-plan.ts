import { problemOf } from "../host/kernel/failure.ts";
import { checkInterrupt } from "../host/kernel/run.ts";
import { FirnError, settled, type Effect, type Problem } from "../model/problem.ts";
import { given } from "../model/given.ts";
import type { Plan, Step } from "../plan/step.ts";
import type { Report } from "../report/report.ts";

/**
 * How things stand while a command runs. The session begins with "nothing changed"; steps say when that is no longer
 * so.
 */
export interface Standing {
  effect: Effect;
  /** The disk, image or draft that the effect speaks of. */
  about?: string;
}

/** What a step tells the engine. */
export interface Work {
  /**
   * From now on a failure leaves things like this. After "committed", which a plan comes to by its last step at the
   * latest, nothing is taken back any more.
   */
  stands(effect: Effect, about?: string): void;
  /**
   * What takes back what the step did, should it or a later one fail; the latest first. `effect`: how things stand
   * then, and what that speaks of.
   */
  undo(takeBack: () => void, effect: Effect, about?: string): void;
  /** Nothing is left to do: the rest of the plan falls away, and nothing is taken back. */
  end(): void;
}

/** One executor a kind of step; the table does not compile when one is missing. */
export type Executors<S extends Step, Context> = {
  readonly [Kind in S["kind"]]: (step: Extract<S, { kind: Kind }>, context: Context, work: Work) => void;
};

export interface Run<S extends Step, Context> {
  plan: Plan<S>;
  executors: Executors<S, Context>;
  context: Context;
  report: Report;
  standing: Standing;
  /** Ahead of each step: an installation notes on the disk how far it has come. */
  before?: (step: S) => void;
  /** What a failure really was, asked before anything is taken back. */
  explain?: (cause: Problem) => Problem;
}

interface Undo extends Standing {
  takeBack: () => void;
}

/** Takes everything back, whatever fails at it: the cause is what is said, and that something is left. */
function takeAllBack(undo: Undo[], standing: Standing): void {
  let left: Effect | undefined;
  for (let one = undo.pop(); one !== undefined; one = undo.pop()) {
    const { takeBack, ...then } = one;
    try {
      takeBack();
      Object.assign(standing, then);
    } catch {
      left = then.effect === "image removed" ? "image left" : "draft left";
    }
  }
  standing.effect = left ?? standing.effect;
}

/**
 * Carries out a plan, whatever its kind: says each step, stops between two when a signal has come, and when one fails
 * takes back what the ones before registered, and throws the first cause with how things stand then.
 */
export function runPlan<S extends Step, Context>(run: Run<S, Context>): void {
  const { plan, context, report, standing } = run;
  const executors = run.executors as unknown as Readonly<
    Record<string, (step: S, context: Context, work: Work) => void>
  >;
  const undo: Undo[] = [];
  let ended = false;
  const work: Work = {
    stands: (effect, about) => {
      standing.effect = effect;
      if (about !== undefined) standing.about = about;
      if (effect === "committed") undo.length = 0;
    },
    undo: (takeBack, effect, about) => void undo.push({ takeBack, effect, ...given({ about }) }),
    end: () => {
      undo.length = 0;
      ended = true;
    },
  };
  try {
    for (const [index, step] of plan.steps.entries()) {
      checkInterrupt();
      report.step(index + 1, plan.steps.length, plan.describe(step));
      run.before?.(step);
      executors[step.kind]?.(step, context, work);
      if (ended) return;
    }
    if (plan.steps.length > 0) standing.effect = "committed";
  } catch (error) {
    const seen = problemOf(error);
    const cause = run.explain?.(seen) ?? seen;
    takeAllBack(undo, standing);
    throw FirnError.of(settled(cause, standing.effect, standing.about));
  }
}
