import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { booted } from "../../kit/booted.ts";
import { requires } from "../../kit/requires.ts";
import { list, on, succeeded } from "../../kit/verbs.ts";
import { assertWhole } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

interface Status {
  pending: { action: string; reasons: string[] } | null;
}

describe("on a machine that booted from the volume", { skip }, () => {
  const world = ownWorld();
  let three = "";
  let [slot0, slot1, slot2] = ["", "", ""];
  before(async () => {
    three = await world.image();
    await on(three, "run", "--description", "the first", "--", "sh", "-c", "echo 1 > /etc/motd");
    await on(three, "run", "--description", "the second", "--", "sh", "-c", "echo 2 > /etc/motd; touch /opt/two");
    [slot0 = "", slot1 = "", slot2 = ""] = (await list(three)).slots;
  });

  test("who chose slot 1 in the boot menu is told that slot 0 boots next and how to stay, not to reboot into it", async () => {
    const image = world.copy(three);
    const told = `The boot menu chose slot 1 \\(${slot1}\\); slot 0 \\(${slot0}\\) boots next\\. \`firn rollback\` makes`;
    for (const verb of [["status"], ["list"], ["run", "--", "true"]]) {
      const { stdout } = succeeded(await booted(image, slot1, "before", ...verb));
      assert.match(stdout, new RegExp(`^${told}`, "m"), verb.join(" "));
      assert.doesNotMatch(stdout, /reboot/, verb.join(" "));
    }
    const json = JSON.parse((await booted(image, slot1, "before", "status", "--json")).stdout) as Status;
    assert.equal(json.pending, null);
    const made = succeeded(await booted(image, slot1, "before", "run", "--", "touch", "/etc/three"));
    assert.match(made.stderr, new RegExp(`^This is made from ${slot0}, not from what runs\\.`, "m"));
    succeeded(await booted(image, slot1, "before", "rollback"));
    assert.equal(assertWhole(image).slots[0], slot1);
    assert.match((await booted(image, slot1, "before", "status")).stdout, /^Next: +the same$/m);
  });

  test("a changed file in /etc waits for a reboot, and status says so", async () => {
    const { stdout } = succeeded(await booted(three, slot1, "after", "status"));
    assert.match(stdout, /^Change: reboot to use it \(\/etc\/motd changed\)$/m);
    const json = JSON.parse((await booted(three, slot1, "after", "status", "--json")).stdout) as Status;
    assert.deepEqual(json.pending, { action: "reboot", services: [], reasons: ["/etc/motd changed"] });
  });

  test("what nothing that runs uses waits for the next boot too", async () => {
    const image = world.copy(three);
    await on(image, "run", "--", "touch", "/opt/three");
    assert.match((await booted(image, slot0, "after", "status")).stdout, /^Change: the next boot brings it; nothing/m);
  });

  test("a change that changes nothing, and a switch to the default, say that something waits for the next boot", async () => {
    const image = world.copy(three);
    const same = succeeded(await booted(image, slot1, "after", "run", "--", "true"));
    assert.match(same.stdout, new RegExp(`^${slot0} waits for the next boot; ${slot1} runs\\.$`, "m"));
    const stay = succeeded(await booted(image, slot1, "after", "switch", "0"));
    assert.match(stay.stdout, new RegExp(`^${slot1} runs until the reboot\\.$`, "m"));
  });

  test("--base says which changes of slot 0 will not be in it, planned or made", async () => {
    const image = world.copy(three);
    const left = `What slot 0 has of these will not be in it:\n  ${slot1} the first\n  ${slot0} the second\n`;
    const plan = succeeded(await booted(image, slot2, "after", "run", "--base", "booted", "--dry-run", "--", "true"));
    assert.ok(plan.stdout.includes(left), plan.stdout);
    const json = await booted(image, slot2, "after", "run", "--base", "booted", "--dry-run", "--json", "--", "true");
    assert.deepEqual((JSON.parse(json.stdout) as { leftOut: string[] }).leftOut, [slot1, slot0]);
    const made = succeeded(await booted(image, slot2, "after", "run", "--base", "booted", "--", "touch", "/etc/x"));
    assert.ok(made.stderr.includes(left), made.stderr);
    const stacked = succeeded(await booted(image, slot2, "after", "run", "--", "touch", "/etc/y"));
    assert.doesNotMatch(stacked.stderr, /will not be in it/);
  });
});
