/** `node --import tsx --import ./scripts/coverage/node.ts …`: the unit tests' part of the coverage. */
import { mkdirSync, writeFileSync } from "node:fs";
import { register } from "node:module";
import { join } from "node:path";
import { counts, countersOfThisProcess } from "./instrument.ts";

register("./node-hooks.ts", import.meta.url);
process.on("exit", () => {
  mkdirSync(counts, { recursive: true });
  writeFileSync(join(counts, `node-${process.pid}-${Date.now()}.json`), `${countersOfThisProcess()}\n`);
});
