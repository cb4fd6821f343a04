import assert from "node:assert/strict";
import { test } from "node:test";
import { CPIO_HEADER, cpioAligned, cpioEntry } from "../../../src/model/boot/cpio.ts";

test("an entry's header gives the lengths of its name and of its file, and nothing else is one", () => {
  const header = (magic: string): Uint8Array => {
    const fields = [1, 0o100644, 0, 0, 1, 0, 0x1a2b, 0, 0, 0, 0, 11, 0];
    const text = magic + fields.map((field) => field.toString(16).padStart(8, "0")).join("");
    return new TextEncoder().encode(text);
  };
  for (const magic of ["070701", "070702"])
    assert.deepEqual(cpioEntry(header(magic)), { bytes: 0x1a2b, nameBytes: 11 });
  assert.equal(header("070701").length, CPIO_HEADER);
  assert.equal(cpioEntry(header("070707")), undefined);
  assert.equal(cpioEntry(header("070701").slice(0, -1)), undefined);
  assert.equal(cpioEntry(header("070701").fill(0x20, 60)), undefined);
  assert.deepEqual([0, 1, 4, 121].map(cpioAligned), [0, 4, 4, 124]);
});
