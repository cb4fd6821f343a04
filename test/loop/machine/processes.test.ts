import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { buildFirn } from "../../../scripts/build.ts";
import type { RunningProcess } from "../../../src/model/packages/impact.ts";
import { requires } from "../../kit/requires.ts";
import { mounted } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

/** Starts a program in a chroot, one in a container's namespaces there, and one in a mount namespace of its own. */
const SCRIPT = `
  chroot "$1" /bin/sleep 50 & chroot=$!
  unshare --mount --pid --fork --kill-child chroot "$1" /bin/sleep 50 & outer=$!
  unshare --mount sleep 50 & own=$!
  until [ "$(cat /proc/$chroot/comm /proc/$own/comm)" = "$(printf 'sleep\\nsleep')" ] &&
    container=$(pgrep -P $outer -x sleep); do sleep 0.1; done
  "$2" processes > "$3"
  echo $chroot $container $own
  kill -9 $chroot $outer $own`;

describe("what uses files that the next generation changes", { skip }, () => {
  const world = ownWorld();

  test("programs of containers and other roots do not count, those of the machine's own root do", async () => {
    const probe = join(import.meta.dirname, "../../kit/probes/block-probe.ts");
    const program = await buildFirn(probe, join(world.folder, "probe"));
    const found = join(world.folder, "found");
    const started = mounted(await world.image(), (top) =>
      execFileSync("sh", ["-c", SCRIPT, "sh", `${top}/current/0/@`, program, found], { encoding: "utf8" }),
    );
    const running = JSON.parse(readFileSync(found, "utf8")) as RunningProcess[];
    const seen = (pid: number): boolean => running.some((process) => process.pid === pid);
    assert.ok(seen(process.pid));
    assert.deepEqual(started.trim().split(" ").map(Number).map(seen), [false, false, true]);
  });
});
