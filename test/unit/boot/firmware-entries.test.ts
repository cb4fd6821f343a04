import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  parseBootOrder,
  parseLoadOption,
  renderBootOrder,
  renderLoadOption,
  replaced,
  type BootEntry,
} from "../../../src/model/boot/firmware-entries.ts";

/** Spelled out after UEFI 2.10, 3.1.3: attributes, length, "firn", HD(1,GPT,…), File(…), end. */
const bytes = new Uint8Array(
  Buffer.from(
    [
      "01000000 5c00 6600 6900 7200 6e00 0000",
      "0401 2a00 01000000 0008000000000000 0040060000000000 9c0e3f5a5e6f1b4c9a510c1d2e3f4a5b 02 02",
      "0404 2e00 5c00 4500 4600 4900 5c00 6600 6900 7200 6e00 5c00",
      "7200 6500 6600 6900 6e00 6400 2e00 6500 6600 6900 0000",
      "7fff 0400",
    ]
      .join("")
      .replaceAll(" ", ""),
    "hex",
  ),
);
const partition = { number: 1, firstBlock: 2048, blocks: 409_600, guid: "5a3f0e9c-6f5e-4c1b-9a51-0c1d2e3f4a5b" };
const loader = "\\EFI\\firn\\refind.efi";

test("an entry's bytes are read and written as the specification spells them", () => {
  assert.deepEqual(parseLoadOption(bytes), { label: "firn", active: true, partition, loader });
  assert.deepEqual(renderLoadOption("firn", partition, loader), bytes);
});

test("data behind the path, which efibootmgr 18 prints as part of it, is no part of it", () => {
  const behind = new Uint8Array([...bytes, ...Buffer.from("WINDOWS\0", "utf16le")]);
  assert.equal(parseLoadOption(behind)?.loader, loader);
});

test("no bytes whatever make it throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (any) => void parseLoadOption(any)));
  for (let length = 0; length < bytes.length; length++) parseLoadOption(bytes.subarray(0, length));
});

test("the order is read and written as numbers of two bytes", () => {
  const order = ["0003", "0001", "000A"];
  assert.deepEqual(renderBootOrder(order), new Uint8Array([3, 0, 1, 0, 10, 0]));
  assert.deepEqual(parseBootOrder(new Uint8Array([3, 0, 1, 0, 10, 0])), order);
});

test("an installation replaces what starts the same file there, whatever GUID its partition had then", () => {
  const entry = (number: string, change: Partial<BootEntry>): BootEntry => ({
    ...{ number, label: "firn", active: true, partition, loader },
    ...change,
  });
  const gone = { ...partition, guid: "00000000-0000-0000-0000-000000000001" };
  const other = { ...partition, guid: "00000000-0000-0000-0000-000000000002" };
  const entries = [
    entry("0001", {}),
    entry("0002", { partition: gone }),
    entry("0003", { partition: gone, loader: loader.toUpperCase() }),
    entry("0004", { partition: other }),
    entry("0005", { partition: gone, label: "mine" }),
    entry("0006", { partition: gone, loader: "\\EFI\\BOOT\\BOOTX64.EFI" }),
    entry("0007", { partition: undefined }),
  ];
  const found = replaced(entries, { label: "firn", partition, loader }, new Set([other.guid]));
  assert.deepEqual(
    found.map(({ number }) => number),
    ["0001", "0002", "0003"],
  );
});
