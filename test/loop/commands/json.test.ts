import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { exitCodes, type Problem } from "../../../src/model/problem.ts";
import type { Ran } from "../../kit/firn.ts";
import { has, Matrix, verbs } from "../../kit/matrix.ts";
import { requires } from "../../kit/requires.ts";

const skip = requires("root", "loop", "mirror", "apt");

/** The one object on stdout. */
function objectOf({ status, stdout, stderr }: Ran): { error?: Problem } {
  let value: unknown;
  try {
    value = JSON.parse(stdout);
  } catch {
    assert.fail(`exit ${status}; stdout is not one JSON value: ${stdout}\n${stderr}`);
  }
  assert.ok(typeof value === "object" && value !== null && !Array.isArray(value), stdout);
  return value;
}

/** A problem in full, under its own exit code. */
function problemIn(ran: Ran): Problem {
  const { error } = objectOf(ran);
  assert.ok(error, `exit ${ran.status} without an error: ${ran.stdout}`);
  assert.ok(error.code in exitCodes, error.code);
  assert.equal(ran.status, exitCodes[error.code]);
  assert.notEqual(error.code, "E_INTERNAL", error.message);
  assert.ok(error.message.length > 0);
  return error;
}

describe("--json gives exactly one JSON object on stdout", { skip }, () => {
  const matrix = new Matrix();

  it("is a flag of every verb", () => {
    for (const [name, verb] of verbs()) assert.ok(has(verb, "--json"), name);
  });

  for (const [name, verb] of verbs()) {
    it(`firn ${name}: the answer, when it did its work`, async () => {
      using stage = await matrix.stage(name);
      const ran = await matrix.perform(stage, ["--json"]);
      // No generation of an image is booted.
      if (name === "confirm") assert.equal(problemIn(ran).code, "E_GENERATION_MISSING");
      else assert.deepEqual([ran.status, objectOf(ran).error], [0, undefined], ran.stderr);
    });

    it(`firn ${name}: the problem, for words it cannot read`, async () => {
      using stage = await matrix.stage(name);
      assert.equal(problemIn(await matrix.perform(stage, ["--json", "--no-such-flag"])).code, "E_USAGE");
    });

    if (has(verb, "--volume"))
      it(`firn ${name}: the problem, for a volume that is not there`, async () => {
        using stage = await matrix.stage(name);
        const ran = await matrix.perform({ ...stage, args: stage.args.with(stage.args.indexOf(stage.file), "/none") }, [
          "--json",
        ]);
        assert.equal(problemIn(ran).code, "E_DISK_MISSING");
      });
  }
});
