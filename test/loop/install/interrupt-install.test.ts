import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { completeMachine } from "../../../src/model/machine/machine.ts";
import { packageSets, planInstall, type InstallStep } from "../../../src/plan/install.ts";
import { granted } from "../../fixtures/state.ts";
import { attached, espIn, fatFile, fatFiles, hashOf, startsByItself } from "../../kit/disk.ts";
import { firn, firnBinary } from "../../kit/firn.ts";
import { machineFlags } from "../../kit/image.ts";
import { cleared, nothingLeft } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { workFolder } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

type Signal = "SIGINT" | "SIGTERM" | "SIGKILL";

interface Ended {
  /** Exit code; null when the signal ended it. */
  status: number | null;
  stderr: string;
  /** False when it had ended by itself before. */
  hit: boolean;
}

/** Runs firn and sends it a signal `later` milliseconds after the progress line of a step. */
async function interrupted(args: readonly string[], step: number, signal: Signal, later = 0): Promise<Ended> {
  const child = spawn(await firnBinary(), args, { stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  let hit = false;
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    const seen = stderr.includes(`[${step}/`);
    stderr += text;
    if (seen || !stderr.includes(`[${step}/`)) return;
    if (later === 0) hit = child.kill(signal);
    else setTimeout(() => (hit = child.kill(signal)), later);
  });
  const status = await new Promise<number | null>((go) => child.on("close", (code) => go(code)));
  return { status, stderr, hit };
}

/** The kinds of an installation's steps, in their order. */
function kindsOf(kind: "disk" | "image"): InstallStep["kind"][] {
  const config = completeMachine({});
  const target = { kind, bytes: 2 ** 32, sectorBytes: 512, memoryBytes: 0 };
  const guids = { disk: "d", EFI: "e", ROOT: "r", SWAP: "s" };
  const sets = packageSets(config, () => true);
  return granted(planInstall({ config, target, guids, sets, installedBytes: 2 ** 20 })).steps.map(({ kind }) => kind);
}

const order = { disk: kindsOf("disk"), image: kindsOf("image") };
/** The number that firn shows for a step. */
const numberOf = (kind: "disk" | "image", step: InstallStep["kind"]): number => order[kind].indexOf(step) + 1;
/** Steps of milliseconds. */
const small: readonly InstallStep["kind"][] = ["fstab", "flush", "make-readable", "boot-files", "seal", "commit"];
const imageStep = (step: InstallStep["kind"]): number => numberOf("image", step);
const diskStep = (step: InstallStep["kind"]): number => numberOf("disk", step);
/** Milliseconds after a step's line: at once, and somewhere within. */
const somewhere = (): number => 1 + Math.floor(Math.random() * 120);

describe("an installation that is interrupted", { skip }, () => {
  const work = workFolder("interrupt");
  const image = join(work, "new.img");
  const file = join(work, "disk.img");
  let flags: string[];
  let held: ReturnType<typeof attached> | undefined;
  let disk = "";

  before(async () => {
    flags = await machineFlags();
    writeFileSync(file, "");
    truncateSync(file, 2 ** 30);
    held = attached(file);
    disk = held.device;
  });
  after(() => held?.[Symbol.dispose]());
  // What one test leaves when it fails must not fail the next.
  beforeEach(() => rmSync(image, { force: true }));

  const imageArgs = () => ["image", image, "--size", "1G", ...flags];
  const installArgs = () => ["install", disk, "--yes", ...flags];

  /** Nothing is left of firn; the loop device that is the disk itself is this test's. */
  async function diskReleased(): Promise<void> {
    await cleared(() => {
      const loops = spawnSync("losetup", ["--json"], { encoding: "utf8" }).stdout;
      const users = spawnSync("pgrep", ["-f", `install ${disk} `], { encoding: "utf8" }).stdout.trim();
      return [...(users === "" ? [] : [users]), ...(loops.includes(`"back-file":"${disk}"`) ? [loops] : [])];
    });
  }

  /** Boots whole, or not at all, and then says at which step it stopped. */
  async function wholeOrUnfinished(target: string, step: number): Promise<void> {
    const kind = target === image ? "image" : "disk";
    const ran = await firn(["status", "--volume", target]);
    const said = ran.stdout + ran.stderr;
    if (startsByItself(target)) {
      const between = order[kind].slice(step, numberOf(kind, "enable") - 1);
      const soon = between.every((name) => small.includes(name));
      assert.ok(soon, `step ${step}: it would be started by firmware: ${said}`);
      const esp = espIn(target);
      assert.deepEqual(fatFile(esp, "EFI/BOOT/BOOTX64.EFI"), fatFile(esp, "EFI/firn/refind_x64.efi"));
      const beside = fatFiles(esp).filter((name) => name.startsWith("EFI/BOOT/"));
      assert.ok(beside.includes("EFI/BOOT/refind.conf") && beside.includes("EFI/BOOT/drivers_x64/btrfs_x64.efi"));
      return;
    }
    const stopped = /stopped at step "([a-z-]+)"/.exec(said)?.[1];
    if (stopped !== undefined) {
      // The note is written after the line; it may still be that of the step before.
      const at = order[kind].findIndex((name) => name === stopped) + 1;
      // Small steps pass within the time that the signal takes.
      const passed = order[kind].slice(step, at).filter((name) => !small.includes(name));
      assert.ok(passed.length <= 2 && at >= step - 1, `stopped near step ${step}, but status says ${said}`);
      return;
    }
    assert.ok(
      ran.status === 52 || (ran.status === 50 && step <= numberOf(kind, "partition")),
      `step ${step}: exit code ${ran.status}: ${said}`,
    );
    assert.ok(
      step <= numberOf(kind, "volume") && /an installation stopped|no btrfs/.test(said),
      `step ${step}: ${said}`,
    );
  }

  it("by SIGKILL at its steps, an image leaves no mount, process or loop device, and does not boot", async () => {
    for (const [index, step] of (["format", "base", "kernel", "seal", "enable"] as const).map(imageStep).entries()) {
      const ended = await interrupted(imageArgs(), step, "SIGKILL", index % 2 === 0 ? 0 : somewhere());
      if (ended.hit) assert.equal(ended.status, null, ended.stderr);
      await nothingLeft(image);
      await wholeOrUnfinished(image, step);
      rmSync(image);
    }
  });

  it("by ^C or SIGTERM at its steps, an image is removed, firn says so and ends with 130", async () => {
    const at = ["create-image", "format", "volume", "base", "packages", "kernel", "readiness", "commit"] as const;
    for (const [index, step] of at.map(imageStep).entries()) {
      const signal = index % 2 === 0 ? "SIGINT" : "SIGTERM";
      const ended = await interrupted(imageArgs(), step, signal, index % 4 < 2 ? 0 : somewhere());
      await nothingLeft(image);
      if (ended.status === 0) {
        assert.ok(step >= imageStep("commit"), `step ${step} was not interrupted`);
        rmSync(image);
        continue;
      }
      assert.equal(ended.status, 130, `step ${step}: ${ended.stderr}`);
      assert.match(
        ended.stderr,
        signal === "SIGINT" ? /^E_INTERRUPTED: Stopped by \^C\./m : /^E_INTERRUPTED: Stopped by SIGTERM\./m,
      );
      assert.match(ended.stderr, new RegExp(`^E_INTERRUPTED: .* ${image} was removed\\.$`, "m"));
      assert.ok(!existsSync(image), `step ${step}: the image is still there`);
    }
  });

  it("and the next run makes the image", async () => {
    const made = await firn(imageArgs());
    assert.equal(made.status, 0, made.stderr);
    assert.ok(startsByItself(image));
    rmSync(image);
  });

  it("before its first step it has changed nothing", async () => {
    const before = hashOf(file);
    for (const [signal, target] of [
      ["SIGINT", "image"],
      ["SIGTERM", "install"],
    ] as const) {
      const child = spawn(await firnBinary(), target === "image" ? imageArgs() : installArgs());
      let stderr = "";
      child.stderr.on("data", (text) => (stderr += String(text)));
      await sleep(100);
      child.kill(signal);
      const status = await new Promise((go) => child.on("close", go));
      assert.equal(status, 130, stderr);
      assert.match(stderr, /^E_INTERRUPTED: Stopped by .*\. Nothing was changed\.\n$/);
    }
    assert.equal(hashOf(file), before);
    assert.ok(!existsSync(image));
  });

  it("by SIGKILL at any step, a disk holds nothing of firn's and says where it stopped, and does not boot", async () => {
    for (const step of order.disk.map(diskStep)) {
      const ended = await interrupted(installArgs(), step, "SIGKILL", step % 2 === 0 ? 0 : somewhere());
      if (ended.hit) assert.equal(ended.status, null, ended.stderr);
      await diskReleased();
      await wholeOrUnfinished(disk, step);
    }
  });

  it("over a system that boots, SIGKILL at the first steps leaves nothing that boots the old one by halves", async () => {
    for (const [step, later] of [
      [1, 0],
      [1, 30],
    ] as const) {
      const made = await firn(installArgs());
      assert.equal(made.status, 0, made.stderr);
      const old = /\d{14}[A-Za-z]{8}/.exec((await firn(["status", "--volume", disk])).stdout)?.[0] ?? "none";
      await interrupted(installArgs(), step, "SIGKILL", later);
      await diskReleased();
      if (startsByItself(disk)) {
        // Dead before the first byte was written: then the old system is there as it was.
        const now = await firn(["status", "--volume", disk]);
        assert.equal(now.status, 0, now.stderr);
        assert.ok(now.stdout.includes(old), now.stdout);
        continue;
      }
      await wholeOrUnfinished(disk, Math.max(step, 1));
    }
  });

  it("by ^C or SIGTERM, a disk says that it is unfinished and at which step", async () => {
    for (const [at, signal] of [
      ["format", "SIGTERM"],
      ["base", "SIGINT"],
      ["kernel", "SIGTERM"],
      ["commit", "SIGINT"],
    ] as const) {
      const step = diskStep(at);
      const ended = await interrupted(installArgs(), step, signal);
      assert.equal(ended.status, 130, ended.stderr);
      assert.match(ended.stderr, new RegExp(`The installation of ${disk} is unfinished: it may not boot`));
      assert.doesNotMatch(ended.stderr, /Nothing was changed/);
      await diskReleased();
      await wholeOrUnfinished(disk, step);
    }
    const refused = await firn(["upgrade", "--volume", disk]);
    assert.equal(refused.status, 52, refused.stderr);
    assert.match(refused.stderr, /^E_INSTALL_UNFINISHED: .*Install again/s);
  });

  it("and the next run on the same disk makes a system that status finds whole", async () => {
    const made = await firn(installArgs());
    assert.equal(made.status, 0, made.stderr);
    assert.ok(startsByItself(disk));
    const state = JSON.parse((await firn(["status", "--volume", disk, "--json"])).stdout) as Record<string, unknown>;
    assert.deepEqual([state["unfinished"], state["drafts"], state["generations"]], [null, [], 1]);
  });

  it("^C at the question changes nothing", async () => {
    const before = hashOf(file);
    const command = [await firnBinary(), "install", disk, ...flags].map((word) => `'${word}'`).join(" ");
    const child = spawn("script", ["-qec", command, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
    let screen = "";
    child.stdout.on("data", (text) => {
      if (!screen.includes("to go on: ") && (screen + String(text)).includes("to go on: ")) child.stdin.write("\x03");
      screen += String(text);
    });
    const status = await new Promise((go) => child.on("close", go));
    assert.equal(status, 130, screen);
    assert.match(screen, /E_INTERRUPTED: Stopped by \^C\. Nothing was changed\./);
    assert.equal(hashOf(file), before);
  });

  it("a host filesystem that fills up meanwhile: the image is removed, and the message says what happened", async () => {
    const small = join(work, "small");
    spawnSync("mkdir", [small]);
    assert.equal(spawnSync("mount", ["-t", "tmpfs", "-o", "size=256m", "tmpfs", small]).status, 0);
    try {
      const target = join(small, "new.img");
      const child = spawn(await firnBinary(), ["image", target, "--size", "1G", ...flags]);
      let stderr = "";
      child.stderr.on("data", (text) => {
        const full = !stderr.includes("[4/") && (stderr + String(text)).includes("[4/");
        stderr += String(text);
        if (full) spawnSync("dd", ["if=/dev/zero", `of=${join(small, "hog")}`, "bs=1M"]);
      });
      const status = await new Promise((go) => child.on("close", go));
      assert.equal(status, 26, stderr);
      assert.match(
        stderr,
        /^E_IMAGE_SPACE: The filesystem of \S+ filled up while the image was written\. .* was removed\.\n/m,
      );
      assert.ok(!existsSync(target));
      await nothingLeft(target);
      assert.match(readFileSync("/proc/self/mounts", "utf8"), new RegExp(small));
    } finally {
      spawnSync("umount", [small]);
    }
  });
});
