import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { must } from "./measure.ts";

const native = join(dirname(fileURLToPath(import.meta.url)), "native");

/** The two C programs of bench/native, compiled into a folder. */
export interface Tools {
  stopwatch: string;
  limit: string;
}

export function compileTools(folder: string): Tools {
  const compile = (name: string): string => {
    const output = join(folder, name);
    // Static, so that they run in a chroot of Alpine.
    must(["gcc", "-O2", "-static", "-o", output, join(native, `${name}.c`)]);
    return output;
  };
  return { stopwatch: compile("stopwatch"), limit: compile("limit") };
}

export interface Timed {
  milliseconds: number;
  /** KiB; of the program and the children it waited for. */
  peak: number;
}

/**
 * Runs a program once, in a chroot where `root` is given, and throws unless it exits 0. The clock runs from fork to
 * wait.
 */
export function time(tools: Tools, argv: readonly string[], { root }: { root?: string } = {}): Timed {
  const log = `${tools.stopwatch}.log`;
  const said = must([tools.stopwatch, "run", "-e", log, ...(root === undefined ? [] : ["-r", root]), "--", ...argv]);
  const [nanoseconds = 0, status = -1, peak = 0] = said.trim().split(" ").map(Number);
  if (status !== 0) {
    throw new Error(`${argv.slice(0, 6).join(" ")}: exit code ${status}\n${readFileSync(log, "utf8").slice(-800)}`);
  }
  return { milliseconds: nanoseconds / 1e6, peak };
}

/** What the C program of the bare system calls measured of itself, in milliseconds: no start of a program is in it. */
export function limit(tools: Tools, ...args: readonly string[]): number {
  return Number(must([tools.limit, ...args]).trim()) / 1e6;
}

export interface Trace {
  milliseconds: number;
  /** Milliseconds in which at least one program that firn had started was running. */
  children: number;
  /** KiB: the largest resident size that one of the binary's own processes reached. */
  peak: number;
}

/**
 * Runs `argv` and follows its processes. A child is a process that the binary forked and that executed another program:
 * it counts from its exec to its end, with all its own children.
 */
export function trace(tools: Tools, argv: readonly string[]): Trace {
  const [binary = ""] = argv;
  const started = new Map<string, number>();
  const own = new Set<string>();
  const spans: [from: number, to: number][] = [];
  let peak = 0;
  let total = 0;
  const lines = must([tools.stopwatch, "trace", "--", ...argv])
    .trim()
    .split("\n");
  for (const text of lines) {
    const [event = "", at = "", pid = "", ...rest] = text.split(" ");
    const now = Number(at) / 1e6;
    if (event === "exec" && own.size === 0) own.add(pid);
    else if (event === "fork" && own.has(pid)) own.add(rest[0] ?? "");
    else if (event === "exec" && own.delete(pid)) started.set(pid, now);
    else if (event === "exit") {
      const from = started.get(pid);
      if (from !== undefined) spans.push([from, now]);
      else if (own.has(pid) && rest.slice(1).join(" ") === binary) peak = Math.max(peak, Number(rest[0]));
    } else if (event === "done") {
      if (pid !== "0") throw new Error(`${argv.slice(0, 4).join(" ")}: exit code ${pid}`);
      total = now;
    }
  }
  return { milliseconds: total, children: covered(spans), peak };
}

/** The length of the union of spans of time. */
function covered(spans: readonly (readonly [from: number, to: number])[]): number {
  let sum = 0;
  let until = Number.NEGATIVE_INFINITY;
  for (const [from, to] of spans.toSorted((a, b) => a[0] - b[0])) {
    sum += Math.max(0, to - Math.max(from, until));
    until = Math.max(until, to);
  }
  return sum;
}
