/** Counters → how much of each file and floor was reached. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { FileCoverage } from "istanbul-lib-instrument";

type Counters = Pick<FileCoverage, "path" | "s" | "f" | "b">;

/** Of how many, how many were reached. */
interface Share {
  reached: number;
  all: number;
}

interface Row {
  readonly name: string;
  readonly lines: Share;
  readonly functions: Share;
  readonly branches: Share;
}

/**
 * Adds what the processes left in `folder`. What a killed process left half-written is not there: a line is written
 * whole.
 */
export function addCounters(files: ReadonlyMap<string, FileCoverage>, folder: string): void {
  for (const name of readdirSync(folder))
    for (const line of readFileSync(join(folder, name), "utf8").split("\n"))
      if (line !== "") for (const counters of JSON.parse(line) as Counters[]) add(files.get(counters.path), counters);
}

function add(file: FileCoverage | undefined, counters: Counters): void {
  if (file === undefined) return;
  for (const [key, times] of Object.entries(counters.s)) file.s[key] = (file.s[key] ?? 0) + times;
  for (const [key, times] of Object.entries(counters.f)) file.f[key] = (file.f[key] ?? 0) + times;
  for (const [key, ways] of Object.entries(counters.b))
    file.b[key] = ways.map((times, way) => (file.b[key]?.[way] ?? 0) + times);
}

/** Lines on which a statement begins, and how often the one that ran most was reached. */
function lineCounts(file: FileCoverage): Map<number, number> {
  const lines = new Map<number, number>();
  for (const [key, { start }] of Object.entries(file.statementMap))
    lines.set(start.line, Math.max(lines.get(start.line) ?? 0, file.s[key] ?? 0));
  return lines;
}

function share(counts: readonly number[]): Share {
  return { reached: counts.filter((times) => times > 0).length, all: counts.length };
}

function sum(shares: readonly Share[]): Share {
  return shares.reduce((a, b) => ({ reached: a.reached + b.reached, all: a.all + b.all }), { reached: 0, all: 0 });
}

function rowOf(name: string, files: readonly FileCoverage[]): Row {
  return {
    name,
    lines: sum(files.map((file) => share([...lineCounts(file).values()]))),
    functions: sum(files.map((file) => share(Object.values(file.f)))),
    branches: sum(files.map((file) => share(Object.values(file.b).flat()))),
  };
}

function percent({ reached, all }: Share): string {
  return all === 0 ? "–" : `${((100 * reached) / all).toFixed(1)} %`;
}

/** "3-5, 9": the lines that nothing reached. */
export function unreachedLines(file: FileCoverage): string {
  const lines = [...lineCounts(file)].toSorted(([a], [b]) => a - b);
  const runs: [number, number][] = [];
  let open = false;
  for (const [line, times] of lines) {
    const last = runs.at(-1);
    if (times === 0 && open && last !== undefined) last[1] = line;
    else if (times === 0) runs.push([line, line]);
    open = times === 0;
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(", ");
}

/** "src/host/disk/map.ts" → "host/disk", "src/main.ts" → "main.ts". */
function doorOf(path: string): string {
  const parts = path.split("/").slice(1);
  return parts.length > 2 ? parts.slice(0, 2).join("/") : (parts[0] ?? "");
}

/** A table by floor and door, or by file, with a total as its last line. */
export function table(files: ReadonlyMap<string, FileCoverage>, byFile: boolean): string {
  const groups = new Map<string, FileCoverage[]>();
  const group = (name: string, file: FileCoverage): void => void groups.set(name, [...(groups.get(name) ?? []), file]);
  for (const file of files.values()) {
    const floor = file.path.split("/")[1] ?? "";
    group(floor, file);
    if (byFile) group(file.path, file);
    else if (doorOf(file.path) !== floor) group(`  ${doorOf(file.path)}`, file);
  }
  const inOrder = [...groups].toSorted(([a], [b]) => (a.trim() < b.trim() ? -1 : 1));
  const rows = [...inOrder.map(([name, those]) => rowOf(name, those)), rowOf("all of src/", [...files.values()])];
  const width = Math.max(...rows.map(({ name }) => name.length));
  const line = (name: string, ...cells: string[]): string =>
    [name.padEnd(width), ...cells.map((cell) => cell.padStart(9))].join("  ");
  return [
    line("", "lines", "functions", "branches"),
    ...rows.map((row) => line(row.name, percent(row.lines), percent(row.functions), percent(row.branches))),
  ].join("\n");
}
