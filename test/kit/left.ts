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

/**
 * Waits for the kernel to clear away what a killed firn held: half a minute at most, since a mount that goes writes out
 * what it holds, and the disk may be busy with other tests.
 */
export async function cleared(left: () => readonly string[]): Promise<void> {
  for (const end = Date.now() + 30_000; ; await sleep(50)) {
    const now = left();
    if (now.length === 0) return;
    assert.ok(Date.now() < end, `left behind: ${now.join("\n")}`);
  }
}

/** Nothing of a run on a file below `path` is left, or will be in a moment. */
export async function nothingLeft(path: string): Promise<void> {
  await cleared(() => leftovers(path));
}

/** Asserts that no loop device of an image is left: one that a mount or a process in any namespace holds would be. */
export async function assertReleased(image: string): Promise<void> {
  await cleared(() => spawnSync("losetup", ["-j", image], { encoding: "utf8" }).stdout.split("\n").filter(Boolean));
}
