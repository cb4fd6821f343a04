/** What a run left behind: loop devices, mounts, processes. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

function processText(pid: string, file: string): string {
  try {
    return readFileSync(join("/proc", pid, file), "utf8")
      .replaceAll("\0", " ")
      .trim();
  } catch {
    return "";
  }
}

/** Command lines of the processes that name `path`, those of this test excepted. */
function processesAt(path: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .map((pid) => processText(pid, "cmdline"))
    .filter((line) => line.includes(path));
}

/** The loop devices of files below `path`: loop0, … */
export function loopsOf(path: string): string[] {
  return readdirSync("/sys/block").filter((name) => {
    try {
      return readFileSync(join("/sys/block", name, "loop/backing_file"), "utf8").includes(path);
    } catch {
      return false;
    }
  });
}

/**
 * What a run on a file below `path` left: loop devices (a mount would hold one), mounts in any namespace, processes.
 */
export function leftovers(path: string): string[] {
  const held = loopsOf(path);
  const names = held.map((name) => `/dev/${name} `);
  const mounts = readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) =>
      processText(pid, "mountinfo")
        .split("\n")
        .filter((line) => line.includes(path) || names.some((name) => line.includes(name))),
    );
  return [...held.map((name) => `/dev/${name}`), ...new Set(mounts), ...processesAt(path)];
}

/** Waits for the kernel to clear away what a killed firn held: at most two seconds. */
export async function nothingLeft(path: string): Promise<void> {
  for (let waited = 0; ; waited += 50) {
    const left = leftovers(path);
    if (left.length === 0) return;
    assert.ok(waited < 2000, `left behind: ${left.join("\n")}`);
    await sleep(50);
  }
}

/** Asserts that no loop device of an image is left: one that a mount or a process in any namespace holds would be. */
export async function assertReleased(image: string): Promise<void> {
  for (let left = 50; ; left -= 1) {
    const { stdout } = spawnSync("losetup", ["-j", image], { encoding: "utf8" });
    if (stdout === "") return;
    if (left === 0) assert.fail(`still held: ${stdout}`);
    await sleep(100);
  }
}
