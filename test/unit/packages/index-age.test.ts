import assert from "node:assert/strict";
import { test } from "node:test";
import { indexTimes, judgeIndexes } from "../../../src/model/packages/index.ts";
import { releaseNamed, releaseTold } from "../../../src/model/packages/release.ts";
import { lastIndexes } from "../../../src/model/volume/state.ts";
import { generation, volume } from "../../fixtures/state.ts";

const place = "https://mirror.example/alpine/v3.20/main";
const stamp = (written: number, description = "v3.20.3-88-g2f1d7c5") => ({ place, written, description });
const day = (text: string): number => Date.parse(text) / 1000;

test("an index older than the one used last is refused, with both times, unless that is meant", () => {
  const last = indexTimes([stamp(day("2024-06-01T12:00:00Z"))]);
  const older = [stamp(day("2024-05-01T08:30:00Z"))];
  const refusal = judgeIndexes(older, last, false);
  assert.equal(refusal?.problem.code, "E_INDEX_OLD");
  assert.match(refusal?.problem.message ?? "", /v3\.20\/main: .*2024-05-01 08:30 UTC, older .*2024-06-01 12:00 UTC\.$/);
  assert.match(refusal?.problem.hint ?? "", /another mirror.*--allow-downgrade/);
  assert.equal(judgeIndexes(older, last, true), undefined);
  for (const written of [day("2024-06-01T12:00:00Z"), day("2024-07-01T00:00:00Z"), 0])
    assert.equal(judgeIndexes([stamp(written)], last, false), undefined);
  assert.equal(
    judgeIndexes(older, { "https://another.example/v3.20/main": Number.MAX_SAFE_INTEGER }, false),
    undefined,
  );
});

test("an index of another release than its address names is refused, whatever else is meant", () => {
  for (const [description, told] of [
    ["v3.18.2-4-gabc1234", "v3.18"],
    ["3.19.1", "v3.19"],
    ["v20240923-12-g0a1b2c3", "edge"],
  ] as const) {
    const refusal = judgeIndexes([stamp(1, description)], {}, true);
    assert.equal(refusal?.problem.code, "E_INDEX_RELEASE", description);
    assert.ok(refusal?.problem.message.includes(`is of release ${told}, not v3.20`), refusal?.problem.message);
  }
  for (const description of ["v3.20.0_rc1", "v3.20", "3.20 of ours", "our own packages", "", "v3 packages", "20240923"])
    assert.equal(judgeIndexes([stamp(1, description)], {}, false), undefined, description);
});

test("a mirror's user and password are not noted with it, and it is known again all the same", () => {
  const secret = { ...stamp(2), place: "http://me:p@ss@mirror.example/alpine/v3.20/main" };
  const noted = indexTimes([secret]);
  assert.deepEqual(noted, { "http://mirror.example/alpine/v3.20/main": 2 });
  const refusal = judgeIndexes([{ ...secret, written: 1 }], noted, false);
  assert.equal(refusal?.problem.code, "E_INDEX_OLD");
  assert.ok(!refusal?.problem.message.includes("p@ss"), refusal?.problem.message);
});

test("a place names a release by a folder of its own", () => {
  assert.equal(releaseNamed("/srv/v3.19/community"), "v3.19");
  for (const other of ["/srv/v3.19.1", "https://v3.20/main", "https://x/edge/main", "https://x/latest-stable/main"])
    assert.equal(releaseNamed(other), undefined, other);
  assert.equal(releaseTold("v3.21.0_alpha20240923-5-gabc"), "v3.21");
});

test("what was used last is what the newest generation that knows says, on a machine that has gone back too", () => {
  const generations = [
    generation("a", { indexes: { [place]: 1 } }),
    generation("b", { indexes: { [place]: 2 } }),
    generation("c"),
  ];
  assert.deepEqual(lastIndexes(volume(generations, { slots: [] })), { [place]: 2 });
  assert.deepEqual(lastIndexes(volume([generation("c")])), {});
});
