/** firn under strace: what it called, and what happens when a call fails or is its last. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { firnBinary, withLent, type Ran } from "./firn.ts";

export interface Call {
  pid: string;
  name: string;
  /** Arguments and result as strace prints them; descriptors with their paths. */
  text: string;
}

export interface Traced extends Ran {
  calls: Call[];
}

/** strace's command line up to the program; `calls` is a list for `-e trace=`. */
export function strace(file: string, calls: string): string[] {
  return ["strace", "-f", "-y", "-s", "300", "-o", file, "-e", `trace=${calls}`];
}

/**
 * What strace wrote; a call that another process interrupted is without its end. A name below an open directory is
 * given as the path that it is.
 */
export function callsIn(file: string): Call[] {
  const found = readFileSync(file, "utf8").matchAll(/^(\d+) +(\w+)\((.*)$/gm);
  const whole = (text: string): string => text.replaceAll(/\d+<(\/[^>]*)>, "([^"/][^"]*)"/g, '"$1/$2"');
  return [...found].map(([, pid = "", name = "", text = ""]) => ({ pid, name, text: whole(text) }));
}

/**
 * Runs firn under strace; `inject` as in strace's manual. The calls of firn's worker, which does all the work in
 * namespaces of its own, are those of the second process.
 */
export async function traced(args: readonly string[], calls: string, inject?: string): Promise<Traced> {
  const folder = mkdtempSync(join(tmpdir(), "firn-trace-"));
  const file = join(folder, "trace");
  const fault = inject === undefined ? [] : ["-e", `inject=${inject}`];
  try {
    const [program = "", ...options] = [...strace(file, calls), ...fault, await firnBinary(), ...withLent(args)];
    const ran = spawnSync(program, options, { encoding: "utf8", input: "", maxBuffer: 1 << 28 });
    assert.equal(ran.error, undefined);
    return { status: ran.status ?? 128, stdout: ran.stdout, stderr: ran.stderr, calls: callsIn(file) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The calls of firn's worker, which mounted the volume. */
export function workersOwn({ calls }: Traced): Call[] {
  const worker = calls.find(({ name, text }) => name === "mount" && text.includes('"/run/firn/volume"'))?.pid;
  assert.ok(worker !== undefined, "no process mounted the volume");
  return calls.filter(({ pid }) => pid === worker);
}
