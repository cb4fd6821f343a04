import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeBase64 } from "../../../src/model/text/base64.ts";
import { hex, uuidText } from "../../../src/model/text/hex.ts";

test("base64 is read as Node reads it, and nothing else is", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      assert.deepEqual(decodeBase64(Buffer.from(bytes).toString("base64")), bytes);
    }),
  );
  for (const text of ["A", "AA", "AAA", "A===", "AA=A", "AA-_", "AAAA\n"])
    assert.equal(decodeBase64(text), undefined, text);
});

test("bytes are two digits each, and sixteen of them a UUID", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      assert.equal(hex(bytes), Buffer.from(bytes).toString("hex"));
    }),
  );
  assert.equal(uuidText(Array.from({ length: 16 }, (_, i) => i)), "00010203-0405-0607-0809-0a0b0c0d0e0f");
});
