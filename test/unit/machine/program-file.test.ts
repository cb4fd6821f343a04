import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { PROGRAM_HEAD, programFile } from "../../../src/model/machine/program-file.ts";

const own = readFileSync(process.execPath);
const head = new Uint8Array(own.subarray(0, PROGRAM_HEAD));

test("a program is whole when it has the length that it asks for, and names its loader", () => {
  assert.match(programFile(head, own.length)?.interpreter ?? "", /^\/lib.*\/ld-/);
  assert.equal(programFile(head, own.length)?.whole, true);
  assert.equal(programFile(head, own.length - 1)?.whole, false);
  assert.equal(programFile(head, 1000)?.whole, false);
});

test("a script names its interpreter; anything else is no program", () => {
  const of = (text: string) => programFile(Buffer.from(text), text.length);
  assert.deepEqual(of("#!/sbin/openrc-run\nname=x\n"), { whole: true, interpreter: "/sbin/openrc-run" });
  assert.equal(of("#! /bin/sh -e\n")?.interpreter, "/bin/sh");
  for (const text of ["", "\x7fELF", "echo no interpreter\n", "MZ"]) assert.equal(of(text), undefined);
});
