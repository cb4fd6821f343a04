import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRelease } from "../../../src/model/packages/release.ts";
import { isRefusal } from "../../../src/model/problem.ts";
import { bad } from "../../../src/model/text/complaint.ts";

test("releases are spelled as a mirror's folders", () => {
  for (const [text, release] of [
    ["3.20", "v3.20"],
    ["v3.20", "v3.20"],
    ["edge", "edge"],
    ["latest-stable", "latest-stable"],
  ] as const)
    assert.equal(parseRelease(text), release);
  for (const text of ["3", "v3.20.1", "", "../v3.20", "latest"]) assert.ok(isRefusal(parseRelease(text)), text);
});

test("what is no release is refused with the way out", () => {
  const table: readonly (readonly [text: string, message: string, hint: string])[] = [
    ["3.20.3", '"3.20.3" is a point release; mirrors carry its branch.', 'Write "v3.20".'],
    ["egde", '"egde" is not a release.', 'Did you mean "edge"?'],
    ["../x", '"../x" is not a release.', "Write for example v3.20, latest-stable or edge."],
  ];
  for (const [text, message, hint] of table) assert.deepEqual(parseRelease(text), bad(message, hint));
});
