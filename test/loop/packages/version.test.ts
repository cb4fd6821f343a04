import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { compareVersions } from "../../../src/model/packages/version.ts";
import { alpineMirror } from "../../fixtures/fixtures.ts";
import { requires } from "../../kit/requires.ts";

const packages = join(alpineMirror, "v3.19.1/x86_64");

test("firn orders versions as the real apk does", { skip: requires("mirror") }, (context) => {
  const apk = mkdtempSync(join(tmpdir(), "firn-apk-version-"));
  context.after(() => rmSync(apk, { recursive: true, force: true }));
  for (const name of ["apk-tools", "musl", "libcrypto3", "libssl3", "zlib"]) {
    const file = readdirSync(packages).find(
      (candidate) => candidate.startsWith(`${name}-`) && /^\d/.test(candidate.slice(name.length + 1)),
    );
    spawnSync("tar", ["-xzf", join(packages, file ?? ""), "-C", apk]);
  }
  const versions = [
    ..."1 1.0 1.00 1.01 1.1 1.10 1.2 1.02 1.001 2 10 1.0.0 1.0a 1.0b 1a 1.0_alpha 1.0_alpha1 1.0_alpha2 1.0_beta 1.0_pre 1.0_rc1 1.0_rc2".split(
      " ",
    ),
    ..."1.0_cvs 1.0_svn 1.0_git20230717 1.0_git 1.0_hg 1.0_p1 1.0_p 1.0_p1_git2 1.0_rc1_p1 1.0-r0 1.0-r1 1.0-r10 1.0_p1-r0 1.0a-r1 1.0a_rc1-r3 1.01_rc1 1.01a 1.010 1.0100 1a1".split(
      " ",
    ),
    ..."3.19.1-r0 3.20.3-r0 1.2.4_git20230717-r4 1.2.5-r0 20230506-r0 20240705-r0 9.6_p1-r0 0.12.1 0.9 1.1.1w-r1 3.1.4-r5".split(
      " ",
    ),
  ];
  const words = { "<": -1, "=": 0, ">": 1 } as const;
  let compared = 0;
  for (const [i, a] of versions.entries()) {
    for (const b of versions.filter((_, j) => (i + j) % 3 === 0)) {
      const said = execFileSync(
        join(apk, "lib/ld-musl-x86_64.so.1"),
        ["--library-path", `${apk}/lib:${apk}/usr/lib`, join(apk, "sbin/apk"), "version", "-t", a, b],
        { encoding: "utf8" },
      ).trim();
      assert.equal(compareVersions(a, b), words[said as keyof typeof words], `${a} ${said} ${b}`);
      compared++;
    }
  }
  assert.ok(compared > 700);
});
