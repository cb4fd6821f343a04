import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  approximateSize,
  formatSize,
  parseDays,
  parseSize,
  parseSpace,
  roundedUpSize,
  soldSize,
  spaceIn,
} from "../../../src/model/text/size.ts";
import { isRefusal } from "../../../src/model/problem.ts";
import { bad } from "../../../src/model/text/complaint.ts";

test("sizes are read as mkfs reads them, in 1024s", () => {
  const table: [string, number][] = [
    ["0", 0],
    ["512", 512],
    ["512B", 512],
    ["4K", 4096],
    ["200M", 209_715_200],
    ["200 MiB", 209_715_200],
    ["1.5G", 1_610_612_736],
    ["4g", 4_294_967_296],
    ["2TiB", 2 ** 41],
    [" 1G ", 2 ** 30],
  ];
  for (const [text, bytes] of table) assert.deepEqual(parseSize(text), bytes, text);
});

test("what is no size is refused by name", () => {
  const table: [string, string][] = [
    ["", '"" is not a size.'],
    ["big", '"big" is not a size.'],
    ["-1G", '"-1G" is not a size.'],
    ["4X", '"4X" is not a size.'],
    ["4iB", '"4iB" is not a size.'],
    ["1.5", '"1.5" is not a whole number of bytes.'],
    ["4GB", '"4GB" is ambiguous: GB counts in 1000s or in 1024s.'],
    ["99999P", '"99999P" is larger than any disk.'],
  ];
  for (const [text, message] of table) {
    const hint = "Write for example 4G, 200M or 1.5GiB; the units count in 1024s.";
    assert.deepEqual(parseSize(text), bad(message, hint), text);
  }
});

test("a size is printed shortly, and read back as the same number", () => {
  const table: [number, string][] = [
    [0, "0"],
    [1000, "1000"],
    [1024, "1K"],
    [2 ** 32, "4G"],
    [1.5 * 2 ** 30, "1.5G"],
    [209_715_200, "200M"],
    [2 ** 30 + 1, "1073741825"],
  ];
  for (const [bytes, text] of table) assert.equal(formatSize(bytes), text);
  const bytes = fc.oneof(
    fc.maxSafeNat(),
    fc
      .tuple(fc.nat(5000), fc.constantFrom(1024, 2 ** 20, 2 ** 30, 2 ** 40))
      .map(([n, unit]) => Math.round((n / 10) * unit)),
  );
  fc.assert(
    fc.property(bytes, (size) => {
      assert.deepEqual(parseSize(formatSize(size)), size);
    }),
    { numRuns: 1000 },
  );
});

test("time spans are days", () => {
  assert.deepEqual(parseDays("30d"), 30);
  assert.deepEqual(parseDays("30"), 30);
  assert.deepEqual(parseDays("4w"), 28);
  assert.deepEqual(parseDays("1y"), 365);
  for (const text of ["", "d", "3h", "-1d", "1.5d"]) assert.ok(isRefusal(parseDays(text)), text);
});

test("free space is a size or a share of the volume", () => {
  assert.deepEqual(parseSpace("2G"), { bytes: 2 ** 31 });
  assert.deepEqual(parseSpace("10%"), { percent: 10 });
  assert.deepEqual(parseSpace("95%"), bad('"95%" leaves no room to work in.', "Keep at most 90% of the volume free."));
  assert.ok(isRefusal(parseSpace("ten")));
  assert.equal(spaceIn({ percent: 10 }, 1001), 101);
  assert.equal(spaceIn({ bytes: 5 }, 1001), 5);
});

test("a person reads a size rounded, in 1024s, or in 1000s as on a disk's label", () => {
  const table: readonly (readonly [bytes: number, about: string, enough: string, sold: string])[] = [
    [0, "0 bytes", "0 MiB", "0 bytes"],
    [999, "999 bytes", "1 MiB", "999 bytes"],
    [1024, "1 KiB", "1 MiB", "1.0 kB"],
    [3.5 * 2 ** 30, "3.5 GiB", "3584 MiB", "3.8 GB"],
    [10 * 2 ** 30 + 1, "10 GiB", "10.1 GiB", "10.7 GB"],
    [500_107_862_016, "466 GiB", "465.8 GiB", "500.1 GB"],
    [2 ** 50, "1024 TiB", "1048576.0 GiB", "1.1 PB"],
  ];
  for (const [bytes, about, enough, sold] of table)
    assert.deepEqual([approximateSize(bytes), roundedUpSize(bytes), soldSize(bytes)], [about, enough, sold]);
});
