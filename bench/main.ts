/**
 * `npm run bench [-- size|generations|upgrade…]`: what firn costs, beside what it could cost at least and beside its
 * peers. Medians of ratios in one run; tables in Markdown on stdout. docs/benchmarks.md says how to read them. Needs
 * root, and bench/setup for the peers.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { firnBinary } from "../test/kit/firn.ts";
import { compileTools } from "./stopwatch.ts";
import type { Bench } from "./volume.ts";

const benchmarks: Record<string, () => Promise<(bench: Bench) => Promise<void>>> = {
  size: async () => (await import("./size-and-start.ts")).sizeAndStart,
  generations: async () => (await import("./generations.ts")).generations,
  upgrade: async () => (await import("./upgrade.ts")).upgrade,
};

/** Set in the process that runs in a mount namespace of its own: the folder to work in. */
const FOLDER = "FIRN_BENCH_FOLDER";

async function measure(folder: string, wanted: readonly string[]): Promise<void> {
  const beside = join(folder, "firn-before");
  const bench = {
    folder: join(folder, "work"),
    firn: join(folder, "firn-bench"),
    before: existsSync(beside) ? beside : undefined,
    tools: compileTools(folder),
  };
  mkdirSync(bench.folder);
  const processor = cpus()[0]?.model ?? "unknown processor";
  console.log(`${cpus().length} × ${processor}, Linux ${release()}, ${new Date().toISOString().slice(0, 10)}`);
  for (const [name, load] of Object.entries(benchmarks)) {
    if (wanted.length === 0 || wanted.includes(name)) await (await load())(bench);
  }
}

/**
 * Runs the benchmarks in a child whose mounts and loop devices go with it, however it ends, and removes its files after
 * it.
 */
async function isolated(wanted: readonly string[]): Promise<number> {
  const unknown = wanted.filter((name) => !(name in benchmarks));
  if (unknown.length > 0) throw new Error(`no such benchmark: ${unknown.join(", ")}`);
  if (process.getuid?.() !== 0) throw new Error("the benchmarks need root: they mount filesystems");
  const binary = await firnBinary();
  const folder = mkdtempSync(join(tmpdir(), "firn-bench-"));
  try {
    copyFileSync(binary, join(folder, "firn-bench"));
    const before = process.env["FIRN_BENCH_BEFORE"];
    if (before !== undefined) copyFileSync(before, join(folder, "firn-before"));
    const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
    const { status } = spawnSync("unshare", ["--mount", "--propagation", "private", ...again], {
      stdio: "inherit",
      env: { ...process.env, [FOLDER]: folder },
    });
    return status ?? 1;
  } finally {
    execFileSync("rm", ["-rf", "--one-file-system", folder]);
  }
}

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
const folder = process.env[FOLDER];
const names = process.argv.slice(2);
if (folder === undefined) process.exitCode = await isolated(names);
else await measure(folder, names);
