/**
 * `npm run coverage [-- --unit] [--files] [PATTERN…]`: how much of src/ the unit and the loop tests reach, the latter
 * with the real binary, instrumented. Loop tests need root; without it, or with --unit, the table is the unit tests'
 * alone and says so.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { FileCoverage } from "istanbul-lib-instrument";
import { binaries, buildFirn } from "./build.ts";
import { counts, instrument, isMeasured, root } from "./coverage/instrument.ts";
import { addCounters, table, unreachedLines } from "./coverage/table.ts";

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(root, folder, name))
    .toSorted();
}

/** Every file of src/, unreached. */
function zero(): Map<string, FileCoverage> {
  const files = filesBelow("src", ".ts").filter(isMeasured);
  return new Map(files.map((file) => instrument(file).zero).map((file) => [file.path, file]));
}

function run(argv: readonly string[], environment: Record<string, string>): boolean {
  const { status } = spawnSync(process.execPath, ["--import", "tsx", ...argv], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...environment },
  });
  return status === 0;
}

async function main(): Promise<number> {
  const words = process.argv.slice(2);
  const patterns = words.filter((word) => !word.startsWith("--"));
  const withLoop = !words.includes("--unit") && process.getuid?.() === 0;
  rmSync(counts, { recursive: true, force: true });
  mkdirSync(counts, { recursive: true });
  // Tests run the binary as other users too.
  chmodSync(counts, 0o1777);

  const unit = filesBelow("test/unit", ".test.ts");
  const results = [run(["--import", "./scripts/coverage/node.ts", "--test", "--test-reporter=dot", ...unit], {})];
  if (withLoop) {
    await buildFirn(undefined, binaries.coverage, "coverage");
    const environment = { FIRN_BINARY: binaries.coverage, FIRN_BUILD: "coverage" };
    results.push(run(["scripts/test.ts", "loop", ...patterns], environment));
  }

  const files = zero();
  addCounters(files, counts);
  if (words.includes("--files"))
    for (const file of files.values())
      if (unreachedLines(file) !== "") console.log(`${file.path}: ${unreachedLines(file)}`);
  console.log(`\nCoverage of src/ by the ${withLoop ? "unit and loop tests" : "unit tests alone"}\n`);
  console.log(table(files, words.includes("--files")));
  if (results.includes(false)) console.log("\nTests failed, so this is less than it would be.");
  return results.includes(false) ? 1 : 0;
}

process.exitCode = await main();
