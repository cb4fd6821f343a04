import assert from "node:assert/strict";
import { test } from "node:test";
import { parseBootEntries } from "../../../src/model/boot/firmware-entries.ts";

const guid = "5a3f0e9c-6f5e-4c1b-9a51-0c1d2e3f4a5b";
const shared = (path: string): string => `BootCurrent: 0001
Timeout: 0 seconds
BootOrder: 0003,0001,000a
Boot0000* UiApp\tFvVol(7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1)/FvFile(462caa21-7614-4503-836e-8ab6f4662331)
Boot0001* Windows Boot Manager\tHD(1,GPT,${guid.replace("5a", "6b")},0x800,0x64000)${path.replace("firn\\refind_x64", "Microsoft\\Boot\\bootmgfw")}
Boot0003* firn\tHD(1,GPT,${guid.toUpperCase()},0x800,0x64000)${path}
Boot000A  UEFI Misc Device\tPciRoot(0x0)/Pci(0x2,0x0)
`;

test("entries are read as efibootmgr 17 and 18 print them", () => {
  for (const path of ["/File(\\EFI\\firn\\refind_x64.efi)", "/\\EFI\\firn\\refind_x64.efi"]) {
    const { order, entries } = parseBootEntries(shared(path));
    assert.deepEqual(order, ["0003", "0001", "000A"]);
    assert.deepEqual(
      entries.map(({ number, label }) => `${number} ${label}`),
      ["0000 UiApp", "0001 Windows Boot Manager", "0003 firn", "000A UEFI Misc Device"],
    );
    assert.deepEqual(entries[2], {
      ...{ number: "0003", label: "firn", partitionGuid: guid, loader: "\\EFI\\firn\\refind_x64.efi" },
    });
    assert.equal(entries[3]?.partitionGuid, undefined);
    assert.equal(entries[3]?.loader, undefined);
  }
});

test("nothing is read out of nothing", () => {
  assert.deepEqual(parseBootEntries("EFI variables are not supported on this system.\n"), { order: [], entries: [] });
});
