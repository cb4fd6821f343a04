import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { buildFirn } from "../../../scripts/build.ts";

interface Answer {
  found: number;
  links: number;
  cutShort: string;
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

/** Every byte that a name can have, alone and between others, and what looks like UTF-8 but is none. */
const names = [
  ...Array.from({ length: 255 }, (_, at) => Buffer.from([at + 1])).filter(
    (one) => !["/", "."].includes(one.toString()),
  ),
  ...["caf\xe9", "\xed\xb2\x80", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80", "\xe2\x82", "\xf0\x9f\x90\xe9"].map(
    (text) => Buffer.from(text, "latin1"),
  ),
  Buffer.from("na\u00efve \u6c34 \u{1f427}"),
];
const bytes = randomBytes(1 << 17);
const inFolder = (name: Buffer): Buffer => Buffer.concat([Buffer.from(join(work, "caf\xe9/"), "latin1"), name]);

before(async () => {
  work = mkdtempSync(join(tmpdir(), "firn-port-"));
  const program = await buildFirn(join(import.meta.dirname, "../../kit/probes/port-probe.ts"), join(work, "probe"));
  mkdirSync(inFolder(Buffer.alloc(0)));
  for (const name of names) writeFileSync(inFolder(name), "");
  writeFileSync(inFolder(Buffer.from("bytes")), bytes);
  const holed = openSync(inFolder(Buffer.from("holed")), "w");
  for (const at of [0, 5_000_000]) writeSync(holed, bytes, 0, bytes.length, at);
  ftruncateSync(holed, 20_000_000);
  closeSync(holed);
  const ran = execFileSync("sh", ["-c", `exec "$0" "$1"/caf*`, program, work], { input: "", timeout: 20_000 });
  answer = JSON.parse(String(ran)) as Answer;
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
    "openat EXDEV",
    "openat EXDEV",
    "openat EXDEV",
    "openat EXDEV",
    "openat ENOENT",
    "read EISDIR",
    "read EFBIG",
    "read EINVAL",
    "mkdirat EINVAL",
    "unlinkat EINVAL",
    "renameat EXDEV",
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

test("a name, an argument and a text of bytes that are no UTF-8 stay what they are, there and back", () => {
  assert.deepEqual([answer.found, answer.links], [names.length + 2, names.length + 2]);
  const folder = readdirSync(inFolder(Buffer.alloc(0)), { encoding: "buffer" }).map((name) => name.toString("hex"));
  for (const name of names) assert.ok(folder.includes(Buffer.concat([Buffer.from("link to "), name]).toString("hex")));
  assert.ok(readFileSync(inFolder(Buffer.from("again"))).equals(bytes));
  assert.equal(answer.cutShort, "text with a NUL EINVAL");
});

test("a copy has the holes of what it is a copy of, also where blocks cannot be shared", () => {
  const [holed, cloned] = ["holed", "cloned"].map((name) => inFolder(Buffer.from(name)));
  assert.ok(holed !== undefined && cloned !== undefined && readFileSync(holed).equals(readFileSync(cloned)));
  assert.equal(statSync(cloned).blocks, statSync(holed).blocks);
});
