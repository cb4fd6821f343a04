/**
 * `npm run test:sanitize [-- PATTERN…]`: the loop tests with the C under AddressSanitizer and
 * UndefinedBehaviorSanitizer. Needs root. Fails when a test fails, and when any process left a report, whatever its
 * test made of it.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { binaries, buildFirn, sanitizerReports } from "./build.ts";

await buildFirn(undefined, binaries.sanitize, "sanitize");
rmSync(sanitizerReports, { recursive: true, force: true });
mkdirSync(sanitizerReports, { recursive: true });
// Tests run firn as other users too.
chmodSync(sanitizerReports, 0o1777);

const { status } = spawnSync("tsx", ["scripts/test.ts", "loop", ...process.argv.slice(2)], {
  stdio: ["ignore", "inherit", "inherit"],
  env: { ...process.env, FIRN_BINARY: binaries.sanitize, FIRN_BUILD: "sanitize" },
});
const reports = readdirSync(sanitizerReports);
for (const name of reports) console.log(`\n${name}\n${readFileSync(join(sanitizerReports, name), "utf8")}`);
console.log(`\n${reports.length} reports of the sanitizers`);
process.exitCode = status === 0 && reports.length === 0 ? 0 : 1;
