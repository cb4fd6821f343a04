/** `node --import tsx --import ./scripts/coverage/node.ts …`: the unit tests' part of the coverage. */
import { mkdirSync, writeFileSync } from "node:fs";
import { register } from "node:module";
import { join } from "node:path";
import type { FileCoverage } from "istanbul-lib-instrument";
import { counts } from "./instrument.ts";

register("./node-hooks.ts", import.meta.url);
process.on("exit", () => {
  const files = Object.values((globalThis as { __coverage__?: Record<string, FileCoverage> }).__coverage__ ?? {});
  const counters = files.map(({ path, s, f, b }) => ({ path, s, f, b }));
  mkdirSync(counts, { recursive: true });
  writeFileSync(join(counts, `node-${process.pid}-${Date.now()}.json`), `${JSON.stringify(counters)}\n`);
});
