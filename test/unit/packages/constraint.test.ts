import assert from "node:assert/strict";
import { test } from "node:test";
import { isExact, parsePackage, pinnedNames } from "../../../src/model/packages/constraint.ts";
import { goesBack } from "../../../src/model/packages/release.ts";
import { isRefusal } from "../../../src/model/problem.ts";

/** "message hint" of a refusal, or undefined. */
function complaint(parsed: unknown): string | undefined {
  return isRefusal(parsed) ? `${parsed.problem.message} ${parsed.problem.hint}` : undefined;
}

function accepts(parse: (text: string) => unknown, texts: readonly string[]): void {
  for (const text of texts) assert.equal(complaint(parse(text)), undefined, text);
}

function refuses(parse: (text: string) => unknown, table: readonly (readonly [string, string])[]): void {
  for (const [text, words] of table) assert.equal(complaint(parse(text)), words, text);
}

test("packages are spelled as apk spells them", () => {
  accepts(parsePackage, [
    "openssh",
    "g++",
    "py3-pip",
    "bash=5.2.15-r5",
    "bash~5.2",
    "bash>=5",
    "bash<6_rc1",
    "foo@testing",
    "foo=1.2_git20230717-r4@testing",
    "!busybox-extras",
    "cmd:bash",
    "so:libc.musl-x86_64.so.1",
    "pc:gtk+-3.0>=3.24",
    "cmd:[",
    "/bin/sh",
    ".build-deps=20240101.120000",
    "jq><Q19dRht426yVnvFIFdH/RjZp8Xgag=",
    "jq==1.7",
    "jq>1.2",
    "libstdc++6",
  ]);
  const hint = "Write it as for apk add: name, name=1.2.3-r0, name~1.2, name@tag or !name.";
  refuses(parsePackage, [
    ["", `is empty. ${hint}`],
    ["a b", '"a b" contains a space. Give each package by itself.'],
    ["--allow-untrusted", `"--allow-untrusted" looks like an option of apk. ${hint}`],
    ["bash=", `"bash=" names "", which is not a version. ${hint}`],
    ["bash=latest", `"bash=latest" names "latest", which is not a version. ${hint}`],
    ["./x.apk", `"./x.apk" is not a package. ${hint}`],
    ["jq.apk", `"jq.apk" is not a package. ${hint}`],
    ["a;reboot", `"a;reboot" is not a package. ${hint}`],
  ]);
});

test("a version, an upper bound or a tag asks for a package as it is there; a lower bound does not", () => {
  const asked = ["a=1.2-r0", "b<2", "c~1.2", "d@edge", "e><Q1abc", "f>=1@edge", "cmd:g=1"];
  const others = ["h", "i>1", "j>=1", "!k", "!l=1"];
  assert.deepEqual([...pinnedNames([...asked, ...others])], ["a", "b", "c", "d", "e", "f", "cmd:g"]);
  assert.deepEqual([...asked, ...others].filter(isExact), ["a=1.2-r0", "cmd:g=1", "!l=1"]);
});

test("a release goes back when its number is lower, and only then", () => {
  const table = [
    ["3.20.3", "v3.19", true],
    ["3.9.1", "v3.19", false],
    ["3.19.1", "v3.19", false],
    ["3.19.1", "v3.20", false],
    ["3.21.0_alpha20240923", "v3.20", true],
    ["3.20.3", "edge", false],
    ["3.20.3", undefined, false],
    [undefined, "v3.20", false],
  ] as const;
  for (const [from, to, back] of table) assert.equal(goesBack(from, to), back, `${from} to ${to}`);
});
