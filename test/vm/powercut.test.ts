import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fixtures } from "../fixtures/fixtures.ts";
import * as disk from "./harness/media/disk.ts";
import type { Machine } from "./harness/machine.ts";
import {
  Computer,
  Held,
  lean,
  loginRoot,
  mirror,
  mountMirror,
  skip,
  type Status,
  status,
  systemImage,
  useMirror,
} from "./system.ts";

const upgrade = "firn upgrade -X /media/mirror/v3.19.4 -X /media/mirror/v2";

/**
 * The cut kills QEMU: what the guest has written stays, what its kernel had not yet written is lost. Which of the
 * writes a disk may lose besides is what test/loop/crash/durable.test.ts is about.
 */
describe("a computer that loses its power during firn upgrade", { skip }, () => {
  const open = new Held();
  let computer: Computer;
  let machine: Machine;
  let kernels: { old: string; new: string };
  let old = "";

  before(async () => {
    const { v1, v2 } = (await fixtures()).kernels;
    kernels = { old: v1.release, new: v2.release };
    const image = await systemImage("3G", lean);
    const folder = open.use(await disk.temporaryFolder());
    const disks = [
      await disk.overlay(image, folder.path),
      { file: await mirror(), format: "raw", readonly: true } as const,
    ];
    computer = open.use(new Computer({ disks, firmwareVars: join(folder.path, "vars.fd") }));
    machine = await computer.on();
    await loginRoot(machine);
    await useMirror(machine);
    old = (await status(machine)).next ?? "";
  });
  after(() => open[Symbol.asyncDispose]());

  /** Starts a command, cuts the power when it says `moment`, and lets the computer boot as it comes. */
  async function cutAt(command: string, moment: RegExp): Promise<Status> {
    machine.start(command);
    const ended = /firn-[0-9a-f]+:\d+>/;
    const { match, text } = await machine.waitFor(new RegExp(`${moment.source}|${ended.source}`), {
      timeoutSeconds: 300,
    });
    await machine.powerCut();
    assert.doesNotMatch(match[0], ended, `it ended before ${moment}:\n${text}`);
    machine = await computer.on();
    await loginRoot(machine);
    await mountMirror(machine);
    return status(machine);
  }

  async function kernel(): Promise<string> {
    return (await machine.check("uname -r")).trim();
  }

  test("in the middle of apk's work the old generation boots, and the next run deletes the draft", async () => {
    const { booted, next, drafts, slots } = await cutAt(upgrade, /\(\d+\/\d+\) Upgrading linux-virt/);
    assert.deepEqual([booted, next, await kernel()], [old, old, kernels.old]);
    assert.equal(drafts.length, 1);
    const draft = drafts[0] ?? "";
    await machine.check("firn add jq --description 'after the cut'", { timeoutSeconds: 300 });
    const later = await status(machine);
    assert.deepEqual(later.drafts, []);
    assert.deepEqual([later.slots[1], later.slots[2]], [slots[0], slots[1]]);
    assert.ok(
      !(await machine.check("firn list")).includes(draft.replace(".draft", "")),
      `${draft} became a generation`,
    );
    old = later.next ?? "";
  });

  test("while it seals and commits the old or the new generation boots, whole", async () => {
    const { booted, next, slots } = await cutAt(upgrade, /Make it slot 0 of/);
    assert.equal(booted, next);
    // The new one has a new id; the old one is what booted by default before.
    if (booted === old) {
      assert.equal(await kernel(), kernels.old);
    } else {
      assert.equal(slots[1], old);
      assert.equal(await kernel(), kernels.new);
    }
    assert.match(await machine.check("jq --version"), /^jq-1/);
    const again = await machine.check(`${upgrade} --json`, { timeoutSeconds: 300 });
    assert.equal((JSON.parse(again) as { changed: boolean }).changed, booted === old);
    assert.deepEqual((await status(machine)).drafts, []);
  });

  test("from the moment it reports success on, the new generation boots", async () => {
    const before_ = (await status(machine)).next;
    const { booted, slots } = await cutAt("firn run -- sh -c 'echo kept >/etc/kept'", /(\d{14}\w{8}) boots next/);
    assert.notEqual(booted, before_);
    assert.deepEqual([slots[0], slots[1]], [booted, before_]);
    assert.equal(await machine.check("cat /etc/kept"), "kept\n");
    assert.equal(await kernel(), kernels.new);
  });
});
