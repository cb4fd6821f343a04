import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { buildFirn } from "../../../scripts/build.ts";

interface Answer {
  spawned: string[];
  within: string[];
  leaked: number;
  children: string;
  poll: string;
  names: string[];
  told: string;
}

let work = "";
let answer: Answer;

before(async () => {
  work = mkdtempSync(join(tmpdir(), "firn-port-"));
  const program = await buildFirn(join(import.meta.dirname, "../../kit/probes/port-probe.ts"), join(work, "probe"));
  answer = JSON.parse(execFileSync(program, { encoding: "utf8", input: "", timeout: 20_000 })) as Answer;
});

after(() => {
  if (work !== "") rmSync(work, { recursive: true, force: true });
});

test("a program that cannot be started leaves neither a descriptor nor a child behind", () => {
  assert.deepEqual(answer.spawned, ["exec ENOENT", "dup EBADF", "spawn ENOENT"]);
  assert.equal(answer.leaked, 0);
  assert.equal(answer.children, "wait ECHILD");
});

test("a name does not lead out of a directory, and what is no small regular file is not read as one", () => {
  assert.deepEqual(answer.within, [
    "open EXDEV",
    "open EXDEV",
    "open EXDEV",
    "open EXDEV",
    "open ENOENT",
    "read EISDIR",
    "read EFBIG",
    "read EINVAL",
    "mkdir EINVAL",
    "unlink EINVAL",
    "rename EXDEV",
    "null",
    "false",
  ]);
});

test("more descriptors than poll looks at are refused, not dropped", () => assert.equal(answer.poll, "poll EINVAL"));

test("a reader that stands still, a program's stdin too, does not make firn deaf", () => {
  assert.equal(answer.told, "write EINTR");
});

test("a failed call names its errno", () => {
  assert.deepEqual(answer.names, [
    "close EBADF",
    "kill ESRCH",
    "sector size ENOTTY",
    "unlink EPERM",
    "open ENOTDIR",
    "open EISDIR",
    "open ELOOP",
  ]);
});
