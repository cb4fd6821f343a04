import assert from "node:assert/strict";
import { chmodSync, copyFileSync, existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { exitCodes, type Problem, type ProblemCode } from "../../../src/model/problem.ts";
import { firnBinary } from "../../kit/firn.ts";
import { has, Matrix, verbs, withFlags } from "../../kit/matrix.ts";
import { requires } from "../../kit/requires.ts";

const skip = requires("root", "loop", "mirror", "apt");

/** nobody of Debian and Alpine. */
const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/** The code of a problem as it is told to a person; undefined when none is. */
function codeOf(stderr: string): string | undefined {
  return /^(E_[A-Z_]+): /m.exec(stderr)?.[1];
}

describe("a plain user gets an answer, or a problem with a code, and changes nothing", { skip }, () => {
  const matrix = new Matrix();
  const program = join(matrix.folder, "firn");
  before(async () => {
    copyFileSync(await firnBinary(), program);
    for (const path of [matrix.folder, program]) chmodSync(path, 0o755);
  });

  for (const [name, verb] of verbs())
    for (const json of [false, true]) {
      it(`firn ${name}${json ? " --json" : ""}`, async () => {
        using stage = await matrix.stage(name);
        const written = (): bigint | undefined =>
          existsSync(stage.file) ? statSync(stage.file, { bigint: true }).mtimeNs : undefined;
        const first = written();
        const args = withFlags(stage.args, json ? ["--json"] : []);
        const ran = await matrix.execute([...nobody, program, ...args], stage.input);
        const said = `${ran.stdout}${ran.stderr}`;
        assert.equal(written(), first, "what was named was written to");
        assert.doesNotMatch(said, /^\s+at |E_INTERNAL|undefined|\[object/m);
        if (ran.status === 0) {
          assert.ok(!has(verb, "--dry-run"), `said to be done: ${said}`);
          return;
        }
        const code = json ? (JSON.parse(ran.stdout) as { error: Problem }).error.code : codeOf(ran.stderr);
        assert.ok(code !== undefined && code in exitCodes, `no code: ${said}`);
        assert.equal(ran.status, exitCodes[code as ProblemCode], said);
        assert.notEqual(name, "config", "which needs nothing of the machine");
      });
    }
});
