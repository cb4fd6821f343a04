import type { Effect } from "../model/problem.ts";

/**
 * What a command answers: `data` for --json, `lines` for a person. Only one is asked for, so a costly one may be a
 * getter.
 */
export interface Result {
  data: unknown;
  lines: readonly string[];
  /** Exit code; 0 unless said. */
  exit?: number;
  /** How things stand, for a command that changes something: said when the answer cannot be written. */
  effect?: Effect;
}

/** Columns padded to their widest cell, two spaces apart. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
