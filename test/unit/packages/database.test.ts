import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { diffPackages } from "../../../src/model/packages/changes.ts";
import { filesOf, packageList } from "../../../src/model/packages/database.ts";
import { cacheFile, checksumHex, dependencyName, parseIndex, recordsNamed } from "../../../src/model/packages/index.ts";
import { compareVersions } from "../../../src/model/packages/version.ts";

const database = `C:Q1mcpyM8ftLHlvmaMjdLoBo6zq/Fo=
P:alpine-base
V:3.19.1-r0
A:x86_64
I:4096
T:Meta package: P:wrong
o:alpine-base
c:ce3c39d98c0c7edad96cdd5756e7dfc1005e9ca3
D:alpine-baselayout openrc

C:Q11mV5+Yq5WHkhWIJP27rBrg7izKg=
P:zlib
V:1.3.1-r0
A:x86_64
I:110592
f:fs
D:so:libc.musl-x86_64.so.1
F:
R:at-the-root
F:lib
M:0:0:1777
R:libz.so.1
a:0:0:777
Z:Q1IdZs3QiCHWQV7Ve3k69boHQ4Skw=
R:libz.so.1.3.1
Z:Q1Nzg09Svjw2a/63TXap7lCjrurhk=

`;

test("the database tells packages, also those without files, and what apk calls broken", () => {
  const [base, zlib, ...more] = packageList(database);
  assert.deepEqual(more, []);
  assert.deepEqual(base, {
    name: "alpine-base",
    version: "3.19.1-r0",
    arch: "x86_64",
    checksum: "Q1mcpyM8ftLHlvmaMjdLoBo6zq/Fo=",
    installedBytes: 4096,
    depends: ["alpine-baselayout", "openrc"],
    origin: "alpine-base",
    commit: "ce3c39d98c0c7edad96cdd5756e7dfc1005e9ca3",
    broken: "",
  });
  assert.equal(zlib?.broken, "fs");
  assert.deepEqual(packageList(""), []);
});

test("the files of a package have whole paths", () => {
  const files = filesOf(database, new Set(["zlib", "alpine-base", "nonesuch"]));
  assert.deepEqual(files.get("alpine-base"), []);
  assert.deepEqual(files.get("zlib"), [
    { path: "at-the-root", hash: "" },
    { path: "lib/libz.so.1", hash: "Q1IdZs3QiCHWQV7Ve3k69boHQ4Skw=" },
    { path: "lib/libz.so.1.3.1", hash: "Q1Nzg09Svjw2a/63TXap7lCjrurhk=" },
  ]);
  assert.equal(files.has("nonesuch"), false);
});

test("an index is read whole or for a few packages, with the same result", () => {
  const record = (name: string): string =>
    `C:Q1mcpyM8ftLHlvmaMjdLoBo6zq/Fo=\nP:${name}\nV:1.0-r0\nA:x86_64\nS:1518\nI:4096\nT:P:odd\nD:a so:b\np:so:${name}=1 cmd:x=1\n`;
  const text = ["aa", "bb", "aab"].map((name) => `${record(name)}\n`).join("");
  const all = parseIndex(text);
  assert.deepEqual(
    all.map(({ name }) => name),
    ["aa", "bb", "aab"],
  );
  assert.deepEqual(all[0], {
    name: "aa",
    version: "1.0-r0",
    arch: "x86_64",
    checksum: "Q1mcpyM8ftLHlvmaMjdLoBo6zq/Fo=",
    packageBytes: 1518,
    installedBytes: 4096,
    depends: ["a", "so:b"],
    provides: ["so:aa=1", "cmd:x=1"],
  });
  // A text may lack the line break before the first record: recordsNamed looks for "\nP:", which follows the C line.
  assert.deepEqual(recordsNamed(text, new Set(["aab", "aa"])), [all[0], all[2]]);
});

test("a checksum is the SHA-1 that it encodes", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const sum = createHash("sha1").update(text).digest();
      assert.equal(checksumHex(`Q1${sum.toString("base64")}`), sum.toString("hex"));
    }),
  );
  for (const bad of ["", "Q2abc=", "Q1short=", "X1mcpyM8ftLHlvmaMjdLoBo6zq/Fo="])
    assert.equal(checksumHex(bad), undefined);
  // As apk 2.14.0 named it in its own cache.
  assert.equal(
    cacheFile({ name: "alpine-base", version: "3.19.1-r0", checksum: "Q1mcpyM8ftLHlvmaMjdLoBo6zq/Fo=" }),
    "alpine-base-3.19.1-r0.99ca7233.apk",
  );
  assert.equal(dependencyName("musl>=1.2.3_git20230424"), "musl");
  assert.equal(dependencyName("so:libz.so.1=1.3"), "so:libz.so.1");
});

const number = fc.integer({ min: 0, max: 30 }).map(String);
const version = fc
  .tuple(
    number,
    fc.array(fc.oneof(number, fc.constantFrom("0", "00", "01", "010")), { maxLength: 3 }),
    fc.constantFrom("", "a", "b", "w"),
    fc.array(
      fc.tuple(
        fc.constantFrom("alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"),
        fc.constantFrom("", "1", "2"),
      ),
      { maxLength: 2 },
    ),
    fc.constantFrom("", "-r0", "-r1", "-r10"),
  )
  .map(
    ([first, rest, letter, suffixes, revision]) =>
      [first, ...rest].join(".") + letter + suffixes.map(([name, n]) => `_${name}${n}`).join("") + revision,
  );

test("versions have an order: equal to themselves, and turned round when they change places", () => {
  fc.assert(
    fc.property(version, version, (a, b) => {
      assert.equal(compareVersions(a, a), 0);
      assert.equal(compareVersions(a, b) + compareVersions(b, a), 0);
    }),
  );
});

test("a revision, a patch and a release make a version newer, a candidate older", () => {
  const plain = fc.tuple(number, number, number).map((parts) => parts.join("."));
  fc.assert(
    fc.property(plain, fc.nat(50), fc.nat(50), (base, m, n) => {
      assert.equal(compareVersions(`${base}-r${m}`, `${base}-r${n}`), Math.sign(m - n));
      assert.equal(compareVersions(`${base}_rc1-r${m}`, `${base}-r${n}`), -1);
      assert.equal(compareVersions(`${base}_p1-r${m}`, `${base}-r${n}`), 1);
    }),
  );
});

test("a difference between two sets of packages leads from one to the other", () => {
  const set = fc.uniqueArray(
    fc.record({ name: fc.constantFrom("a", "b", "c", "d", "e"), version, checksum: fc.constantFrom("x", "y") }),
    { selector: ({ name }) => name },
  );
  fc.assert(
    fc.property(set, set, (before, after) => {
      const now = new Map<string, string>(before.map(({ name, version: at }) => [name, at]));
      for (const { name, kind, from, to } of diffPackages(before, after)) {
        assert.equal(now.get(name), from);
        if (to === undefined) now.delete(name);
        else now.set(name, to);
        assert.equal(kind === "added", from === undefined);
        assert.equal(kind === "removed", to === undefined);
      }
      assert.deepEqual(now, new Map(after.map(({ name, version: at }) => [name, at])));
      assert.deepEqual(diffPackages(before, before), []);
    }),
  );
  assert.deepEqual(
    diffPackages([{ name: "a", version: "1-r0", checksum: "x" }], [{ name: "a", version: "1-r0", checksum: "y" }]),
    [{ name: "a", kind: "replaced", from: "1-r0", to: "1-r0" }],
  );
});
