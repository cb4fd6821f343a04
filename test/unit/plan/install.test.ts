import assert from "node:assert/strict";
import { test } from "node:test";
import { completeMachine, type PartialMachine } from "../../../src/model/machine/machine.ts";
import {
  describeInstallStep,
  minimumRoot,
  packageSets,
  planInstall,
  type InstallStep,
} from "../../../src/plan/install.ts";
import { MiB, granted, problemIn } from "../../fixtures/state.ts";

const machine = (wish: PartialMachine = {}): ReturnType<typeof completeMachine> => completeMachine(wish);
const guids = { disk: "d", EFI: "e", ROOT: "r", SWAP: "s" };

function plan(kind: "disk" | "image", config = machine()): readonly InstallStep[] {
  const target = { kind, bytes: 20_480 * MiB, sectorBytes: 512, memoryBytes: 1024 * MiB };
  const sets = packageSets(config, () => true);
  return granted(planInstall({ config, target, guids, sets, installedBytes: 100 * MiB })).steps;
}

const lines = (steps: readonly InstallStep[]): string[] => steps.map(describeInstallStep);
const kinds = (steps: readonly InstallStep[]): string[] => steps.map(({ kind }) => kind);

test("an installation's plan reads as what happens to this disk", () => {
  const config = machine({
    disk: { slots: 3, commons: ["/var/lib/docker" as never] },
    system: { flavor: "virt" },
    identity: { hostname: "web" },
  });
  const [partition = "", format, volume, base, commons = "", , kernel, identity, , loader] = lines(
    plan("disk", config),
  );
  assert.match(partition, /^Partition: EFI .*200 MiB.*, ROOT .*, SWAP 1 GiB$/);
  assert.deepEqual([format, volume, base], ["Format: FAT32, btrfs, swap", "Lay out the volume", "Install alpine-base"]);
  assert.match(commons, /^Make the commons: .*\/var\/log.* \/var\/lib\/docker/);
  assert.equal(kernel, "Install the kernel linux-virt");
  assert.equal(identity, "Set host name, users and network of web");
  assert.equal(loader, "Write the boot loader, with a menu of 3 entries");
});

test("an image is made first, with room for what will be in it, and has no swap unless asked", () => {
  const [make, , format] = plan("image");
  assert.deepEqual(make, { kind: "create-image", bytes: 20_480 * MiB, neededBytes: 196 * MiB });
  assert.equal(describeInstallStep(format!), "Format: FAT32, btrfs");
});

test("the disk becomes bootable last, after a sealed generation is committed", () => {
  const order = kinds(plan("disk"));
  assert.deepEqual(order.slice(-4), ["seal", "commit", "enable", "finish"]);
  assert.equal(order[0], "partition");
  assert.ok(order.indexOf("packages") < order.indexOf("kernel"), "mkinitfs copies /sbin/btrfs");
});

test("a disk without room for two generations is refused, in numbers", () => {
  const target = { kind: "disk", bytes: 300 * MiB, sectorBytes: 512, memoryBytes: 0 } as const;
  const config = machine();
  const sets = packageSets(config, () => true);
  const problem = problemIn(planInstall({ config, target, guids, sets, installedBytes: 100 * MiB }));
  assert.equal(problem.code, "E_DISK_SMALL");
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
