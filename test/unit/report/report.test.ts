import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FirnError, exitCodes, orThrow, refuse, type Effect } from "../../../src/model/problem.ts";
import { age, changeText } from "../../../src/report/format.ts";
import { table } from "../../../src/report/result.ts";
import { recordTerminal } from "../../fixtures/terminal.ts";

const recorded = recordTerminal();
const { finish } = await import("../../../src/report/finish.ts");
const { problemOf } = await import("../../../src/host/kernel/failure.ts");
const { problemJson, problemText } = await import("../../../src/report/problem-text.ts");
const { terminalReport } = await import("../../../src/report/report.ts");
const { SysError } = await import("../../../src/host/kernel/failure.ts");

test("an age is one number and its largest unit", () => {
  const table: readonly (readonly [number, string])[] = [
    [0, "0 s"],
    [59_999, "59 s"],
    [60_000, "1 min"],
    [3_599_999, "59 min"],
    [3_600_000, "1 h"],
    [86_399_999, "23 h"],
    [86_400_000, "1 d"],
    [400 * 86_400_000, "400 d"],
    [-5000, "0 s"],
  ];
  for (const [milliseconds, text] of table) assert.equal(age(milliseconds, 1), text);
  assert.equal(age(86_400_000, 0), "-");
});

test("each change of a package has its own sign", () => {
  assert.equal(changeText({ name: "jq", kind: "added", to: "1-r0" }), "+ jq 1-r0");
  assert.equal(changeText({ name: "jq", kind: "removed", from: "1-r0" }), "- jq 1-r0");
  assert.equal(changeText({ name: "jq", kind: "upgraded", from: "1-r0", to: "2-r0" }), "^ jq 1-r0 -> 2-r0");
  assert.equal(changeText({ name: "jq", kind: "downgraded", from: "2-r0", to: "1-r0" }), "v jq 2-r0 -> 1-r0");
  assert.equal(changeText({ name: "jq", kind: "replaced", from: "1-r0", to: "1-r0" }), "~ jq 1-r0");
});

test("a table's columns line up, and no line ends in blanks", () => {
  assert.deepEqual(table([["A", "LONG", "C"], ["aaaa", "b", ""], ["x"]]), ["A     LONG  C", "aaaa  b", "x"]);
  assert.deepEqual(table([]), []);
  const cell = fc.stringMatching(/^[a-z]{0,6}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell, fc.constant("END")), { minLength: 1 }), (rows) => {
      const ends = table(rows).map((line) => line.indexOf("END", line.length - 3));
      assert.equal(new Set(ends).size, 1);
    }),
  );
});

test("a problem is its code, what stopped, and on the next line what to do", () => {
  assert.deepEqual(problemText({ code: "E_LOCKED", message: "m", hint: "h" }), ["E_LOCKED: m", "  h"]);
  assert.deepEqual(problemText({ code: "E_LOCKED", message: "m" }), ["E_LOCKED: m"]);
  assert.deepEqual(JSON.parse(problemJson({ code: "E_LOCKED", message: "m", hint: "h" })), {
    error: { code: "E_LOCKED", message: "m", hint: "h" },
  });
});

test("what a failure left behind is said after what stopped, before its details and the hint, and in JSON", () => {
  const what = { code: "E_DISK_BUSY", message: "In use.", details: ["detail"], hint: "h" } as const;
  const problem = { ...what, effect: "nothing changed" } as const;
  assert.deepEqual(problemText(problem), ["E_DISK_BUSY: In use. Nothing was changed.", "detail", "  h"]);
  const { error } = JSON.parse(problemJson(problem));
  assert.deepEqual([error.effect, error.message], ["nothing changed", "In use.\ndetail"]);
});

test("what is left is named: the image that could not be removed, the draft that was kept", () => {
  const said = (effect: Effect, about: string): string | undefined =>
    problemText({ code: "E_FILE", message: "m.", effect, about })[0];
  assert.match(said("image left", "/srv/a.img") ?? "", /^E_FILE: m\. \/srv\/a\.img could not be removed/);
  assert.match(said("draft kept", "x.draft") ?? "", / subvol=\/snapshots\/x\.draft\/@ .* was not touched\.$/);
});

test("every problem has an exit code of its own, none of them success", () => {
  const codes = Object.values(exitCodes);
  assert.equal(new Set(codes).size, codes.length);
  for (const code of codes) assert.ok(code > 0 && code < 256);
});

test("a refusal becomes an error with the same words, and anything else passes", () => {
  assert.equal(orThrow(5), 5);
  assert.deepEqual(orThrow({ kind: "other" }), { kind: "other" });
  assert.throws(
    () => orThrow(refuse("E_LOCKED", "m", "h")),
    (error: FirnError) => {
      assert.deepEqual(error.problem, { code: "E_LOCKED", message: "m", hint: "h" });
      return error.message === "m";
    },
  );
  assert.deepEqual(refuse("E_LOCKED", "m").problem, { code: "E_LOCKED", message: "m" });
});

test("only what nobody foresaw is an internal error", () => {
  assert.equal(problemOf(new FirnError("E_MIRROR", "m")).code, "E_MIRROR");
  const table = {
    ENOSPC: "E_NO_SPACE",
    EDQUOT: "E_NO_SPACE",
    EROFS: "E_FILE",
    EPERM: "E_NOT_ROOT",
    EIO: "E_FILE",
  };
  for (const [code, problem] of Object.entries(table))
    assert.equal(problemOf(new SysError(code, "write", "/x", "reason")).code, problem, code);
  // A code speaks of what the call happened to.
  for (const [path, hint, code] of [
    [null, /firn gc/, "E_VOLUME_READONLY"],
    ["/run/firn/volume/snapshots/x", /firn gc/, "E_VOLUME_READONLY"],
    ["/run/firn/root/etc/fstab", /firn gc/, "E_VOLUME_READONLY"],
    ["/run/firn/root/run/firn/x", /\/run is in memory/, "E_FILE"],
    ["/run/firn/scratch/x", /\/run is in memory/, "E_FILE"],
    ["/var/cache/firn/x", /not the volume/, "E_FILE"],
  ] as const) {
    assert.match(problemOf(new SysError("ENOSPC", "write", path, "reason")).hint ?? "", hint, path ?? "");
    assert.equal(problemOf(new SysError("EROFS", "mkdir", path, "reason")).code, code, path ?? "");
  }
  for (const call of ["openat", "mkdirat", "unlinkat", "symlinkat", "renameat", "subvolume snapshot"]) {
    const failed = (code: string, path: string): ReturnType<typeof problemOf> =>
      problemOf(new SysError(code, call, path, "reason"));
    for (const path of ["snapshots/x", "/etc/fstab", "@"]) {
      assert.match(failed("ENOSPC", path).hint ?? "", /firn gc/);
      assert.equal(failed("EROFS", path).code, "E_VOLUME_READONLY", call);
      assert.equal(failed("EPERM", path).code, "E_FILE");
      assert.match(failed("EPERM", path).hint ?? "", /lsattr/);
    }
    assert.match(failed("ENOSPC", "/run/firn/prompt").hint ?? "", /\/run is in memory/);
  }
  assert.match(problemOf(new SysError("EPERM", "mount", "/x", "reason")).hint ?? "", /as root.*lsattr/);
  const overflow = Object.assign(new Error("stack overflow"), { name: "InternalError" });
  assert.deepEqual(problemOf(overflow), { code: "E_FILE", message: "Folders are nested too deep for firn." });
  assert.match(problemOf(new TypeError("x is undefined")).message, /x is undefined/);
  assert.equal(problemOf(new TypeError("x")).code, "E_INTERNAL");
  const released = Object.assign(new Error(), { name: "SuppressedError", error: new Error("later") });
  const first = Object.assign(released, { suppressed: new FirnError("E_MIRROR", "m") });
  assert.equal(problemOf(first).code, "E_MIRROR", "not what failed while the first failure was cleaned up after");
  assert.equal(problemOf("thrown text").message, "thrown text");
});

test("an answer goes to stdout, one line each, or one JSON object", () => {
  const answer = () => ({ data: { a: [1] }, lines: ["one", "two"] });
  assert.deepEqual(
    recorded(() => finish({}, answer)),
    { stdout: "one\ntwo\n", stderr: "", exit: 0 },
  );
  const json = recorded(() => finish({ json: true }, answer));
  assert.deepEqual([JSON.parse(json.stdout), json.stderr, json.exit], [{ a: [1] }, "", 0]);
  assert.equal(recorded(() => finish({}, () => ({ data: {}, lines: [], exit: 3 }))).exit, 3);
});

test("of an answer only what is asked for is made", () => {
  const asked: string[] = [];
  const lazy = () => ({
    get data() {
      return asked.push("data");
    },
    get lines() {
      asked.push("lines");
      return ["one"];
    },
  });
  recorded(() => finish({}, lazy));
  recorded(() => finish({ json: true }, lazy));
  assert.deepEqual(asked, ["lines", "data"]);
});

test("a problem goes to stderr with its exit code, and to stdout when JSON is asked for", () => {
  const failing = () => {
    throw new FirnError("E_LOCKED", "m", "h");
  };
  assert.deepEqual(
    recorded(() => finish({}, failing)),
    { stdout: "", stderr: "E_LOCKED: m\n  h\n", exit: exitCodes.E_LOCKED },
  );
  const json = recorded(() => finish({ json: true }, failing));
  assert.deepEqual([JSON.parse(json.stdout).error.code, json.stderr, json.exit], ["E_LOCKED", "", exitCodes.E_LOCKED]);
});

test("no answer, problem or talk has more lines than it says, nor anything that a terminal would obey", () => {
  const name = "a\nE_FORGED: b\u001b[2J";
  const seen = "a\\nE_FORGED: b\\u001b[2J";
  assert.equal(recorded(() => finish({}, () => ({ data: {}, lines: [name] }))).stdout, `${seen}\n`);
  const failing = () => {
    throw new FirnError("E_NESTED", name, name, [name]);
  };
  assert.equal(recorded(() => finish({}, failing)).stderr, `E_NESTED: ${seen}\n${seen}\n  ${seen}\n`);
  const report = terminalReport(false);
  const talk = recorded(() => [report.note(name), report.detail(name), report.step(1, 1, name)]);
  assert.equal(talk.stderr, `${seen}\n      ${seen}\n[1/1] ${seen}\n`);
});

test("talk goes to stderr; a quiet report leaves only notes", () => {
  const talk = (quiet: boolean) => () => {
    const report = terminalReport(quiet);
    report.step(2, 6, "Seal");
    report.detail("(1/3) Installing");
    report.note("Look.");
  };
  assert.equal(recorded(talk(false)).stderr, "[2/6] Seal\n      (1/3) Installing\nLook.\n");
  assert.equal(recorded(talk(true)).stderr, "Look.\n");
  assert.equal(recorded(talk(false)).stdout, "");
});
