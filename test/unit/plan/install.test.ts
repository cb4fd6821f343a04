import assert from "node:assert/strict";
import { test } from "node:test";
import { completeMachine, type PartialMachine } from "../../../src/model/machine/machine.ts";
import { planDisk, type DiskLayout } from "../../../src/model/disk/layout.ts";
import { describeInstallStep, installSteps, minimumRoot, packageSets } from "../../../src/plan/install.ts";
import { MiB, granted } from "../../fixtures/state.ts";

const machine = (wish: PartialMachine = {}): ReturnType<typeof completeMachine> => completeMachine(wish);
const guids = { disk: "d", EFI: "e", ROOT: "r", SWAP: "s" };

function layout(kind: "disk" | "image"): DiskLayout {
  const target = { kind, bytes: 20_480 * MiB, sectorBytes: 512, memoryBytes: 1024 * MiB };
  return granted(planDisk(target, { espBytes: "auto", swapBytes: "auto", minimumRootBytes: 1024 * MiB }, guids));
}

test("an installation's plan reads as what happens to this disk", () => {
  const config = machine({
    disk: { slots: 3, commons: ["/var/lib/docker" as never] },
    system: { flavor: "virt" },
    identity: { hostname: "web" },
  });
  const lines = installSteps.map((step) => describeInstallStep(step, config, layout("disk")));
  assert.equal(lines.length, 13);
  assert.match(lines[0]!, /^Partition: EFI .*200 MiB.*, ROOT .*, SWAP 1 GiB$/);
  assert.equal(lines[1], "Format: FAT32, btrfs, swap");
  assert.match(lines[4]!, /^Make the commons: .*\/var\/log.* \/var\/lib\/docker/);
  assert.equal(lines[6], "Install the kernel linux-virt");
  assert.equal(lines[7], "Set host name, users and network of web");
  assert.equal(lines[9], "Write rEFInd with 3 entries");
});

test("an image without swap formats none", () => {
  assert.equal(describeInstallStep("format", machine(), layout("image")), "Format: FAT32, btrfs");
});

test("the disk becomes bootable last, after a sealed generation is committed", () => {
  assert.deepEqual(installSteps.slice(-3), ["seal", "commit", "enable"]);
  assert.ok(installSteps.indexOf("partition") === 0);
  assert.ok(installSteps.indexOf("packages") < installSteps.indexOf("kernel"), "mkinitfs copies /sbin/btrfs");
});

test("what is installed follows from what is wished", () => {
  const everything = (): boolean => true;
  const packages = (wish: PartialMachine, available: (name: string) => boolean = everything): readonly string[] =>
    packageSets(machine(wish), available).packages;
  assert.deepEqual(packages({}), ["mkinitfs", "btrfs-progs", "firn"]);
  assert.deepEqual(
    packages({}, (name) => name !== "firn"),
    ["mkinitfs", "btrfs-progs"],
  );
  const rest = (wish: PartialMachine): readonly string[] => packages(wish).slice(3);
  assert.deepEqual(rest({ identity: { timezone: "Europe/Berlin" } }), ["tzdata"]);
  assert.deepEqual(rest({ identity: { keymap: { layout: "de", variant: "de" } } }), ["kbd-bkeymaps"]);
  assert.deepEqual(rest({ identity: { users: [{ name: "ann", groups: [] }] } }), []);
  assert.deepEqual(
    rest({ identity: { users: [{ name: "ann" }] } }),
    ["doas"],
    "a user is in wheel unless told otherwise",
  );
  assert.deepEqual(rest({ identity: { root: { sshKeys: ["ssh-ed25519 A"] } } }), ["openssh"]);
  assert.deepEqual(rest({ identity: { users: [{ name: "a", groups: [], sshKeys: ["k"] }] } }), ["openssh"]);
  assert.deepEqual(rest({ system: { packages: ["jq", "git", "jq"] } }), ["jq", "git"]);
  assert.deepEqual(packageSets(machine(), everything).base, ["alpine-base"]);
});

test("ROOT has room for two generations, their boot files and btrfs itself", () => {
  for (const installed of [0, 100 * MiB, 3000 * MiB]) {
    const least = minimumRoot(installed);
    assert.ok(Number.isInteger(least));
    assert.equal(least, Math.ceil(1.1 * (2 * installed + 64 * MiB + 109 * MiB)));
  }
});
