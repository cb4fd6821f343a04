/**
 * `./run-tests [unit|loop|vm|PATTERN…]`: builds firn, runs the suites one after another, and counts.
 * The last line is `N passed, N failed, N skipped`, over all suites; before it, the slowest files, and why what was
 * skipped was skipped.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync } from "node:fs";
import { availableParallelism, constants, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import type { TestEvent } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { alpineMirror, fixtures } from "../test/fixtures/fixtures.ts";
import { buildFirn } from "./build.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const MINUTE = 60_000;

interface Suite {
  readonly name: string;
  /** Files at a time. QEMU's emulation keeps a core busy, and so do mkfs, apk and zstd. */
  readonly jobs: number;
  /** Milliseconds for one file. */
  readonly timeout: number;
  /** Whether it runs dist/firn. */
  readonly built: boolean;
}

const cores = availableParallelism();
const jobs = Number(process.env["FIRN_TEST_JOBS"]) || undefined;
const suites: readonly Suite[] = [
  { name: "unit", jobs: jobs ?? cores, timeout: 5 * MINUTE, built: false },
  { name: "loop", jobs: jobs ?? Math.min(2, cores), timeout: 15 * MINUTE, built: true },
  { name: "vm", jobs: jobs ?? Math.min(2, cores), timeout: 20 * MINUTE, built: true },
];

interface Count {
  passed: number;
  failed: number;
  /**
   * Milliseconds of the tests and suites of a file, by its path. What runs beside them, as building does, is not
   * theirs.
   */
  readonly durations: Map<string, number>;
  /** A line each: which test, and why. */
  readonly skipped: string[];
  /** Which test, and what it said first. */
  readonly failures: string[];
}

/** Lines of a failure's message that the list at the end repeats: the whole stands where the test ran. */
const REPEATED = 12;

/** A test that failed, as the list at the end says it. */
function failure(file: string | undefined, name: string, error: Error & { cause?: unknown }): string {
  const said = error.cause instanceof Error ? error.cause.message : error.message;
  const lines = said.split("\n").slice(0, REPEATED);
  return [`${file?.replace(`${root}/`, "") ?? "?"}: ${name}`, ...lines.map((line) => `  ${line}`)].join("\n  ");
}

/** The chosen files of a suite: all, or those whose path contains one of the patterns. */
function filesOf(suite: Suite, patterns: readonly string[]): string[] {
  return readdirSync(join(root, "test", suite.name), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => join("test", suite.name, name))
    .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
    .map((file) => join(root, file))
    .toSorted();
}

/**
 * Adds one event to the count. A suite counts only when it was skipped whole (its tests are never seen then) or broke
 * by itself, in a hook; what its tests did is theirs.
 */
function add(count: Count, event: TestEvent, files: readonly string[]): void {
  if (event.type !== "test:pass" && event.type !== "test:fail") return;
  const { name, skip, todo, file, details } = event.data;
  const isSuite = details.type === "suite";
  if (event.data.nesting === 0 && file !== undefined)
    count.durations.set(file, (count.durations.get(file) ?? 0) + details.duration_ms);
  if (skip !== undefined && skip !== false) {
    const reason = typeof skip === "string" && skip !== "" ? skip : "no reason given";
    count.skipped.push(`${file?.replace(`${root}/`, "") ?? "?"}: ${name}: ${reason}`);
  } else if (event.type === "test:pass" && files.includes(name)) {
    // The runner reports a file by its own name when it ended well without any test.
    console.error(`${name} holds no test.`);
    count.failed += 1;
  } else if (event.type === "test:pass") {
    if (!isSuite) count.passed += 1;
  } else if (todo === undefined || todo === false) {
    const error = event.data.details.error as Error & { failureType?: string };
    if (error.failureType === "subtestsFailed") return;
    count.failed += 1;
    count.failures.push(failure(file, name, error));
  }
}

async function runSuite(suite: Suite, files: string[], count: Count): Promise<void> {
  console.log(`\n${suite.name}: ${files.length} files, ${suite.jobs} at a time`);
  const events = run({ files, concurrency: suite.jobs, timeout: suite.timeout });
  async function* counted(): AsyncGenerator<TestEvent> {
    for await (const event of events as AsyncIterable<TestEvent>) {
      add(count, event, files);
      // The runner's own totals would stand once a suite, and count suites as tests.
      if (event.type !== "test:diagnostic" || event.data.nesting > 0 || event.data.file !== undefined) yield event;
    }
  }
  const reporter = new spec();
  const ended = new Promise((resolve, reject) => reporter.once("end", resolve).once("error", reject));
  reporter.pipe(process.stdout, { end: false });
  for await (const event of counted())
    if (!reporter.write(event)) await new Promise((go) => reporter.once("drain", go));
  reporter.end();
  await ended;
}

/** Of ten, so that a file that grows slow is seen before it reaches its limit. */
function slowest(durations: ReadonlyMap<string, number>): string[] {
  const rows = [...durations].toSorted(([, a], [, b]) => b - a).slice(0, 10);
  return rows.map(([file, ms]) => `${(ms / 1000).toFixed(1).padStart(8)} s  ${file.replace(`${root}/`, "")}`);
}

/** What the suites need, made once. A failure counts as one, and the suites still show what works without. */
async function prepare(what: string, work: () => Promise<unknown>, count: Count): Promise<void> {
  const start = Date.now();
  try {
    await work();
    console.log(`${what}: ${((Date.now() - start) / 1000).toFixed(1)} s`);
  } catch (error) {
    count.failed += 1;
    console.error(`${what} failed:`, error);
  }
}

async function main(): Promise<number> {
  const wishes = process.argv.slice(2);
  const names = new Set(suites.map((suite) => suite.name));
  const chosenSuites = suites.filter(
    (suite) => wishes.every((wish) => !names.has(wish)) || wishes.includes(suite.name),
  );
  const patterns = wishes.filter((wish) => !names.has(wish));
  const chosen = chosenSuites
    .map((suite) => ({ suite, files: filesOf(suite, patterns) }))
    .filter(({ files }) => files.length > 0);
  const count: Count = { passed: 0, failed: 0, durations: new Map(), skipped: [], failures: [] };

  if (chosen.some(({ suite }) => suite.built)) {
    await prepare("dist/firn", () => buildFirn(), count);
    if (existsSync("/usr/bin/apt-get") && existsSync(alpineMirror))
      await prepare("the stand-in packages", fixtures, count);
  }
  for (const { suite, files } of chosen) await runSuite(suite, files, count);

  if (count.durations.size > 0) console.log(`\nThe slowest files:\n${slowest(count.durations).join("\n")}`);
  if (count.skipped.length > 0) console.log(`\nSkipped:\n${count.skipped.map((line) => `  ${line}`).join("\n")}`);
  if (count.failures.length > 0) console.log(`\nFailed:\n${count.failures.map((text) => `  ${text}`).join("\n")}`);
  if (chosen.length === 0) console.error(`No test file's path contains ${patterns.join(" or ")}.`);
  console.log(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped.length} skipped`);
  return count.failed === 0 && count.passed > 0 ? 0 : 1;
}

process.chdir(root);
const temporary = mkdtempSync(join(tmpdir(), "firn-test-"));
process.env["TMPDIR"] = temporary;
// Never into a mount that a test left behind.
process.on("exit", () => execFileSync("rm", ["-rf", "--one-file-system", temporary]));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => process.exit(128 + constants.signals[signal]));
}
process.exitCode = await main();
