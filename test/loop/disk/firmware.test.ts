import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { buildFirn } from "../../../scripts/build.ts";
import { requires } from "../../kit/requires.ts";
import { workFolder } from "../../kit/world.ts";

const skip = requires("root");
const work = workFolder("firmware");
let program = "";

before(async () => {
  program = await buildFirn(join(import.meta.dirname, "../../kit/probes/block-probe.ts"), join(work, "probe"));
});

/** What became of the entry of an installation whose EFI partition has this GUID; `folder` stands in for efivarfs. */
function entry(guid: string, folder: string): unknown {
  return JSON.parse(execFileSync(program, ["entry", JSON.stringify({ guid, folder })], { encoding: "utf8" }));
}

test("three installations leave one boot entry, first in the order, and others' entries as they are", { skip }, () => {
  const folder = mkdtempSync(join(work, "efivars-"));
  const variable = (name: string): string => join(folder, `${name}-8be4df61-93ca-11d2-aa0d-00e098032b8c`);
  const windows = Buffer.from("0700000001000000040057006900 6e00 0000 7fff0400 0102".replaceAll(" ", ""), "hex");
  writeFileSync(variable("Boot0000"), windows);
  writeFileSync(variable("BootOrder"), Buffer.from([7, 0, 0, 0, 0, 0]));
  for (const last of ["1", "2", "3"]) {
    const guid = `00000000-0000-4000-8000-00000000000${last}`;
    assert.deepEqual(entry(guid, folder), { status: "added", number: "0001" });
    const written = readFileSync(variable("Boot0001"));
    assert.equal(written.readUInt32LE(0), 7, "kept without power, seen while booting and later");
    assert.equal(written.subarray(-4).toString("hex"), "7fff0400");
    assert.ok(written.includes(Buffer.from("\\EFI\\firn\\refind_x64.efi\0", "utf16le")));
    assert.equal(written.at(written.indexOf(Buffer.from([4, 1, 42, 0])) + 39), Number(last));
    spawnSync("chattr", ["+i", variable("Boot0001"), variable("BootOrder")]);
  }
  assert.deepEqual(readFileSync(variable("BootOrder")), Buffer.from([7, 0, 0, 0, 1, 0, 0, 0]));
  assert.deepEqual(readFileSync(variable("Boot0000")), windows);
  assert.equal(readdirSync(folder).length, 3);
  spawnSync("chattr", ["-i", variable("Boot0001"), variable("BootOrder")]);
});
