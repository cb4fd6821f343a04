import type { Plan, Step } from "../../plan/step.ts";
import type { Result } from "../../report/result.ts";

/** The answer of --dry-run: every step in words, and whatever else is known beforehand. */
export function planned<S extends Step>(
  { steps, describe }: Plan<S>,
  data: Readonly<Record<string, unknown>> = {},
  more: readonly string[] = [],
): Result {
  const lines = steps.map(describe);
  return {
    data: { dryRun: true, ...data, steps: lines },
    lines:
      lines.length === 0 ? ["Nothing to do.", ...more] : [...lines.map((line, at) => `${at + 1}. ${line}`), ...more],
  };
}
