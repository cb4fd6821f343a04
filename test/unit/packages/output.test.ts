/**
 * Samples are what apk 2.14.0 and 2.14.4 printed when each was provoked; those of apk 3 are from its source,
 * src/print.c.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseChanges, parseStep } from "../../../src/model/packages/output.ts";
import { apkTrouble, startsScript, type ApkTrouble } from "../../../src/model/packages/trouble.ts";

/** The trouble in a run whose repositories the user calls as apk does. */
const troubleIn = (stderr: string, status: number, stdout = ""): ApkTrouble | undefined =>
  apkTrouble({ status, stdout, stderr }, { shown: {}, keys: () => [] });

test("every kind of step is read", () => {
  const cases: [string, unknown][] = [
    [
      "(1/25) Installing alpine-baselayout-data (3.4.3-r2)",
      { name: "alpine-baselayout-data", kind: "added", to: "3.4.3-r2" },
    ],
    ["( 1/25) Installing musl (1.2.5-r0)", { name: "musl", kind: "added", to: "1.2.5-r0" }],
    [
      "(1/3) Upgrading apk-tools (2.14.0-r5 -> 2.14.4-r0)",
      { name: "apk-tools", kind: "upgraded", from: "2.14.0-r5", to: "2.14.4-r0" },
    ],
    [
      "(1/1) Downgrading apk-tools (2.14.4-r0 -> 2.14.0-r5)",
      { name: "apk-tools", kind: "downgraded", from: "2.14.4-r0", to: "2.14.0-r5" },
    ],
    ["(2/25) Purging alpine-baselayout (3.4.3-r2)", { name: "alpine-baselayout", kind: "removed", from: "3.4.3-r2" }],
    [
      "(1/1) Reinstalling musl (1.2.4_git20230717-r4)",
      { name: "musl", kind: "replaced", from: "1.2.4_git20230717-r4", to: "1.2.4_git20230717-r4" },
    ],
    [
      "(1/1) Replacing musl (1.2.5-r0 -> 1.2.5-r0)",
      { name: "musl", kind: "replaced", from: "1.2.5-r0", to: "1.2.5-r0" },
    ],
    ["(3/9) Installing chrony@edge (4.5-r0)", { name: "chrony", kind: "added", to: "4.5-r0" }],
    ["(1/1) Updating pinning chrony@edge (4.5-r0)", undefined],
  ];
  for (const [line, change] of cases) {
    const step = parseStep(line);
    assert.ok(step, line);
    assert.deepEqual(step.change, change, line);
  }
  for (const line of ["Executing busybox-1.36.1-r15.post-install", "OK: 10 MiB in 25 packages", "(1/2) words", ""])
    assert.equal(parseStep(line), undefined);
});

test("what a script says is its own, however much it looks like a word of apk's", () => {
  const said = [
    "ERROR: Unable to lock database: temporary error",
    "WARNING: Ignoring http://evil/x: UNTRUSTED signature",
    "WARNING: opening http://evil/x: could not connect to server (check repositories file)",
    "ERROR: jq-1.7-r0: UNTRUSTED signature",
    "ERROR: /tmp/a.apk: UNTRUSTED signature",
    "ERROR: cp: No space left on device",
  ];
  const context = { shown: {}, keys: () => [] };
  const stdout = "(1/1) Installing a (1-r0)\nExecuting a-1-r0.post-install\nOK: 1 MiB in 1 packages";
  for (const line of said) {
    assert.equal(apkTrouble({ status: 0, stdout, stderr: `${line}\n`, beforeScripts: 0 }, context), undefined, line);
    assert.notEqual(apkTrouble({ status: 0, stdout, stderr: `${line}\n`, beforeScripts: 1 }, context), undefined);
  }
  const failed = `${said[0]}\nERROR: a-1-r0.post-install: script exited with error 1\n`;
  const trouble = apkTrouble({ status: 1, stdout, stderr: failed, beforeScripts: 0 }, context);
  assert.equal(trouble?.problem.code, "E_PACKAGE_SCRIPT");
  assert.ok(startsScript("Executing busybox-1.36.1-r15.trigger") && !startsScript("(1/1) Executing"));
});

test("the two phases of a self-upgrade are one list of changes", () => {
  const changes = parseChanges(`Upgrading critical system libraries and apk-tools:
(1/1) Upgrading apk-tools (2.14.0-r5 -> 2.14.4-r0)
Continuing the upgrade transaction with new apk-tools:
(1/2) Upgrading zlib (1.3.1-r0 -> 1.3.1-r1)
(2/2) Reinstalling apk-tools (2.14.4-r0)
OK: 10 MiB in 25 packages`);
  assert.deepEqual(changes, [
    { name: "apk-tools", kind: "replaced", from: "2.14.0-r5", to: "2.14.4-r0" },
    { name: "zlib", kind: "upgraded", from: "1.3.1-r0", to: "1.3.1-r1" },
  ]);
});

test("each trouble has its code, whatever the exit code", () => {
  const cases: [number, string, string, RegExp][] = [
    [0, "WARNING: opening /nonexist: No such file or directory", "E_MIRROR", /\/nonexist/],
    [0, "WARNING: opening /srv/v3.19.1: UNTRUSTED signature", "E_SIGNATURE", /\/srv\/v3\.19\.1.*not trusted/],
    [0, "WARNING: opening /srv/ti: IO ERROR", "E_SIGNATURE", /damaged/],
    [0, "WARNING: opening /srv/ti: BAD signature", "E_SIGNATURE", /damaged/],
    [0, "WARNING: opening from cache http://a/v3.19: No such file or directory", "E_MIRROR", /http:\/\/a\/v3\.19/],
    [
      2,
      "WARNING: fetching http://127.0.0.1:1/a: could not connect to server (check repositories file)",
      "E_MIRROR",
      /127\.0\.0\.1:1\/a: could not connect to server\./,
    ],
    [2, "WARNING: updating and opening http://nohost.invalid/a: DNS lookup error", "E_MIRROR", /DNS/],
    [
      1,
      "WARNING: updating http://a/v3.19.1: could not connect to server (check repositories file)",
      "E_MIRROR",
      /http:\/\/a/,
    ],
    [2, "WARNING: updating and opening https://a/APKINDEX.tar.gz: UNTRUSTED signature", "E_SIGNATURE", /not trusted/],
    [
      2,
      "ERROR: chrony-4.5-r0: BAD signature\nERROR: chrony-openrc-4.5-r0: package mentioned in index not found (try 'apk update')",
      "E_SIGNATURE",
      /chrony-4\.5-r0/,
    ],
    [1, "ERROR: chrony-4.5-r0: IO ERROR", "E_SIGNATURE", /chrony/],
    [1, "ERROR: chrony-4.5-r0: v2 package integrity error", "E_SIGNATURE", /chrony/],
    [2, "ERROR: chrony-4.5-r0: package mentioned in index not found (try 'apk update')", "E_MIRROR_STALE", /chrony/],
    [1, "ERROR: chrony-4.5-r0: remote server returned error (try 'apk update')", "E_MIRROR", /chrony/],
    [
      13,
      "ERROR: libedit-20230828.3.1-r3: could not connect to server (check repositories file)",
      "E_MIRROR",
      /libedit/,
    ],
    [
      1,
      "told you\nERROR: pre-fails-1.0-r0.pre-install: script exited with error 3",
      "E_PACKAGE_SCRIPT",
      /pre-install script exited with error 3\.\ntold you/,
    ],
    [0, "ERROR: trig-1.0-r0.trigger: script exited with error 5", "E_PACKAGE_SCRIPT", /trigger/],
    [1, "ERROR: post-1.0-r0.post-install: killed by signal 9", "E_PACKAGE_SCRIPT", /killed by signal 9/],
    [
      1,
      "ERROR: file-b-1.0-r0: trying to overwrite usr/share/same owned by file-a-1.0-r0.",
      "E_PACKAGE_CONFLICT",
      /file-b-1\.0-r0 and file-a-1\.0-r0 both bring the file \/usr\/share\/same\./,
    ],
    [
      2,
      "ERROR: unable to select packages:\n  con-b-1.0-r0:\n    breaks: con-a-1.0-r0[!con-b]\n    satisfies: world[con-b]",
      "E_PACKAGE_CONFLICT",
      /con-b-1\.0-r0: breaks: con-a/,
    ],
    [
      3,
      "ERROR: Failed to create usr/share/big: No space left on device\nERROR: big-1.0-r0: No space left on device",
      "E_NO_SPACE",
      /filled up/,
    ],
    [
      99,
      "ERROR: Unable to lock database: temporary error (try again later)\nERROR: Failed to open apk database: temporary error (try again later)",
      "E_LOCKED",
      /Another apk/,
    ],
    [99, "ERROR: Unable to lock database: Read-only file system", "E_VOLUME_READONLY", /read-only/],
    [99, "ERROR: Unable to lock database: Permission denied", "E_NOT_ROOT", /root/],
    [99, "ERROR: /run/firn/files/0.apk: UNTRUSTED signature", "E_SIGNATURE", /0\.apk: .*not signed with a key/],
    [99, "ERROR: /run/firn/files/0.apk: BAD signature", "E_SIGNATURE", /0\.apk: this is no package, or a damaged one/],
    [99, "ERROR: /run/firn/files/0.apk: No space left on device", "E_NO_SPACE", /filled up/],
    [99, "ERROR: /run/firn/files/0.apk: Is a directory", "E_FILE", /0\.apk: Is a directory\./],
    [
      2,
      "WARNING: updating and opening http://a/x/x86_64/APKINDEX.tar.gz: No space left on device",
      "E_NO_SPACE",
      /http:\/\/a\/x: no space/,
    ],
    [1, "ERROR: No such package: nonesuch", "E_PACKAGE_MISSING", /nonesuch/],
    [
      99,
      "WARNING: The repository tag for world dependency 'chrony@edge' does not exist\nERROR: Not committing changes due to missing repository tags.",
      "E_PACKAGE_MISSING",
      /chrony@edge/,
    ],
  ];
  for (const [status, stderr, code, message] of cases) {
    const problem = troubleIn(stderr, status)?.problem;
    assert.equal(problem?.code, code, stderr);
    assert.match([problem?.message, ...(problem?.details ?? [])].join("\n"), message);
  }
});

test("a missing package tells who wants it", () => {
  const stderr = `ERROR: unable to select packages:
  alpine-bse (no such package):
    required by: world[alpine-bse]
  so:libnone.so.1 (no such package):
    required by: needs-missing-1.0-r0[so:libnone.so.1]
                 other-1.0-r0[so:libnone.so.1]
`;
  const trouble = troubleIn(stderr, 2);
  assert.deepEqual(trouble?.missing, [
    { name: "alpine-bse", requiredBy: ["world[alpine-bse]"] },
    { name: "so:libnone.so.1", requiredBy: ["needs-missing-1.0-r0[so:libnone.so.1]", "other-1.0-r0[so:libnone.so.1]"] },
  ]);
  assert.match(
    trouble?.problem.message ?? "",
    /alpine-bse, so:libnone\.so\.1 \(needed by needs-missing-1\.0-r0, other-1\.0-r0\)/,
  );
});

test("what a script says is no trouble", () => {
  const stderr = "ERROR: from a script\nWARNING: opening things: hello\nwarning: deprecated\nERROR: Unable to do it";
  assert.equal(troubleIn(stderr, 0, "OK: 1 MiB in 1 packages"), undefined);
});

test("a repository is called as the user called it, and who signed with a stranger's key is told which keys count", () => {
  const context = { shown: { "/run/firn/repositories/1": "/srv/own" }, keys: () => ["a.rsa.pub", "b.rsa.pub"] };
  const said = (stderr: string): string | undefined =>
    apkTrouble({ status: 0, stdout: "", stderr }, context)?.problem.message;
  assert.equal(
    said("WARNING: opening /run/firn/repositories/1: UNTRUSTED signature"),
    "/srv/own: the index is signed with a key that is not trusted here. Known keys: a.rsa.pub, b.rsa.pub.",
  );
  // A path may be the start of another one.
  assert.match(
    said("WARNING: opening /run/firn/repositories/11: BAD signature") ?? "",
    /^\/run\/firn\/repositories\/11: /,
  );
});
