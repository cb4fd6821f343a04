import { spawnSync } from "node:child_process";

/** One thing that is measured. `run` does it once and gives what was measured, usually milliseconds. */
export interface Subject {
  name: string;
  run: (round: number) => number;
  /** Rounds for this one, where it is too slow for all of them. */
  rounds?: number;
}

export interface Series {
  name: string;
  values: readonly number[];
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/**
 * Measures all subjects in turn, round after round, so that what else the machine does meets all of them alike. The
 * first round warms caches and does not count. A subject that throws is left out from then on, with its reason on
 * stderr.
 */
export function interleave(subjects: readonly Subject[], rounds: number): Series[] {
  const values = new Map(subjects.map(({ name }) => [name, [] as number[]]));
  const broken = new Set<string>();
  for (let round = 0; round <= rounds; round++) {
    for (const { name, run, rounds: own = rounds } of subjects) {
      if (broken.has(name) || round > own) continue;
      try {
        const value = run(round);
        if (round > 0) values.get(name)?.push(value);
      } catch (error) {
        broken.add(name);
        console.error(`${name} failed in round ${round}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
  return [...values].map(([name, measured]) => ({ name, values: broken.has(name) ? [] : measured }));
}

/** The median of the ratios of the rounds that both have. */
export function ratio(series: Series, reference: Series): number {
  return median(
    series.values.flatMap((value, round) => {
      const other = reference.values[round];
      return other === undefined ? [] : [value / other];
    }),
  );
}

export interface Row {
  name: string;
  n: number;
  /** `3.2 (3.0–4.1)`: median, least and most. */
  measured: string;
  ratio: string;
  goal: string;
  verdict: "met" | "missed" | "";
}

function digits(value: number): string {
  return value < 100 ? value.toPrecision(2) : value.toFixed(0);
}

export interface Goal {
  text: string;
  met: boolean;
}

/** A row of a table. With a reference it also shows how many times that it is. */
export function row(series: Series, reference?: Series, goal?: Goal): Row {
  const { name, values } = series;
  const measured =
    values.length === 0
      ? "did not run"
      : `${digits(median(values))} (${digits(Math.min(...values))}–${digits(Math.max(...values))})`;
  const times = reference === undefined || values.length === 0 ? Number.NaN : ratio(series, reference);
  return {
    name,
    n: values.length,
    measured,
    ratio: Number.isNaN(times) ? "" : times.toFixed(2),
    goal: goal?.text ?? "",
    verdict: goal === undefined || values.length === 0 ? "" : goal.met ? "met" : "missed",
  };
}

/** Prints a Markdown table. `unit` is that of the measured column. */
export function printTable(title: string, unit: string, rows: readonly Row[]): void {
  const cells = [
    ["", "n", `${unit}: median (min–max)`, "ratio", "goal", ""],
    ...rows.map(({ name, n, measured, ratio: times, goal, verdict }) => [
      name,
      String(n),
      measured,
      times,
      goal,
      verdict,
    ]),
  ];
  const widths = [0, 1, 2, 3, 4, 5].map((column) => Math.max(3, ...cells.map((line) => (line[column] ?? "").length)));
  const line = (parts: readonly string[]): string =>
    `| ${parts.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = cells;
  console.log(`\n### ${title}\n`);
  console.log([line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n"));
}

/** Runs a program that sets the scene; throws with what it said when it fails. */
export function must(argv: readonly string[], options: { env?: Record<string, string> } = {}): string {
  const [program = "", ...rest] = argv;
  const { status, error, stdout, stderr } = spawnSync(program, rest, {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
  });
  if (status === 0) return stdout;
  throw new Error(`${argv.slice(0, 8).join(" ")}: ${error?.message ?? `exit code ${status}`} ${stderr.slice(-800)}`);
}

/** True when the program is in the PATH. */
export function installed(program: string): boolean {
  return spawnSync("sh", ["-c", 'command -v "$0"', program]).status === 0;
}
