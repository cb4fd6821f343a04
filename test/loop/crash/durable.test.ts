import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { exitCodes, type ProblemCode } from "../../../src/model/problem.ts";
import { assertReleased } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { traced, workersOwn, type Traced } from "../../kit/trace.ts";
import { commandLine, on } from "../../kit/verbs.ts";
import { assertWhole, mounted, templateAt, type Whole } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";
import { readdirSync, readFileSync } from "node:fs";

/** Every call that changes what is on a filesystem or says that it is on disk, and what firn tells. */
const changing = "mkdirat,symlinkat,unlinkat,renameat2,truncate,chmod,syncfs,fsync,fdatasync,sync,ioctl,mount,write";

const isFlush = ({ name, text }: { name: string; text: string }): boolean => name === "syncfs" && text.endsWith("= 0");

/** Calls that change something on the volume's top level, in order, with the flushes between them. */
function onVolume(trace: Traced): string[] {
  return workersOwn(trace).flatMap((call) => {
    if (isFlush(call)) return ["flush"];
    const changes = ["mkdirat", "symlinkat", "unlinkat", "renameat2"].includes(call.name);
    if (changes && call.text.includes('"/run/firn/volume/')) return [`${call.name} ${call.text}`];
    if (call.name === "ioctl" && /SNAP_CREATE|SUBVOL_SETFLAGS|SNAP_DESTROY/.test(call.text)) return [call.text];
    return call.name === "write" && call.text.startsWith("1<") ? ["answer"] : [];
  });
}

const skip = requires("root", "loop", "mirror", "strace");

describe("the order in which things reach the disk", { skip }, () => {
  const world = ownWorld();
  let image = "";
  before(async () => {
    image = await world.image();
    await on(image, "run", "--", "touch", "/etc/second");
  });

  for (const [what, verb, ...args] of [
    ["a change", "run", "--", "touch", "/etc/third"],
    ["a change of packages", "add", "jq"],
    ["a rollback", "rollback"],
    ["a new commons", "commons add", "/opt/new"],
  ] as const) {
    test(`${what}: all is flushed before the rename of current, the rename after it, and only then is it told`, async () => {
      const own = world.copy(image);
      const trace = await traced(commandLine(own, verb, ...args), changing);
      assert.equal(trace.status, 0, trace.stderr);
      const order = onVolume(trace);
      const switched = order.findIndex((call) => /^rename\w* .*"\/run\/firn\/volume\/current", 0\) += 0/.test(call));
      assert.ok(switched > 0, order.join("\n"));
      assert.deepEqual(order.slice(switched - 1, switched), ["flush"]);
      // The template follows, of which nothing depends.
      const after = order
        .slice(switched + 1)
        .filter((call) => !call.includes('"/run/firn/volume/fstab'))
        .map((call) => call.replace(/^unlink\w* ("[^"]*").*/, "unlink $1"));
      const committed = verb === "rollback" ? [] : ['unlink "/run/firn/volume/next/draft"'];
      assert.deepEqual(after, [...committed, "flush", "answer"]);
      assert.deepEqual(order.slice(-2), ["flush", "answer"]);
      // Each slot, next/current and the sealed generation came before that flush.
      const before = order.slice(0, switched - 1);
      assert.equal(before.filter((call) => /^symlinkat .*snapshots/.test(call)).length, 4);
      assert.ok(before.some((call) => /^symlinkat .*"\/run\/firn\/volume\/next\/current"/.test(call)));
      if (verb !== "rollback") {
        const read = before.findIndex((call) => call.includes("SUBVOL_SETFLAGS, BTRFS_SUBVOL_RDONLY"));
        assert.ok(read > 0 && before.slice(0, read).includes("flush"), "the data goes to disk before the flag");
      }
    });
  }

  test("every flush is told to one descriptor, open before the first write: none misses what another was told", async () => {
    const own = world.copy(image);
    for (const [verb, ...args] of [
      ["run", "--", "touch", "/etc/fourth"],
      ["rollback"],
      ["pin", "1"],
      ["gc", "--keep", "0"],
      ["commons add", "/opt/held"],
    ] as const) {
      const trace = await traced(commandLine(own, verb, ...args), `openat,open,close,${changing}`);
      assert.equal(trace.status, 0, trace.stderr);
      const calls = workersOwn(trace);
      const flushes = calls.flatMap(({ name, text }, at) =>
        name === "syncfs" ? [{ fd: /^\d+/.exec(text)?.[0], at }] : [],
      );
      assert.ok(flushes.length > 0, verb);
      assert.equal(new Set(flushes.map(({ fd }) => fd)).size, 1, `${verb}: ${JSON.stringify(flushes)}`);
      const [{ fd = "", at: last } = { at: 0 }] = flushes.slice(-1);
      const written = calls.findIndex(
        ({ name, text }) => /^(mkdir|symlink|rename|unlink)/.test(name) && text.includes("/run/firn/volume/"),
      );
      const held = calls.findLastIndex(
        ({ name, text }, at) =>
          at < last && name.startsWith("open") && new RegExp(`= ${fd}<.*/run/firn/volume>`).test(text),
      );
      assert.ok(held >= 0 && held < written, `${verb}: opened at ${held}, first write at ${written}`);
    }
  });

  test("a generation is not read-only, and has no name of its own, before its record is with the disk", async () => {
    const own = world.copy(image);
    const trace = await traced(commandLine(own, "run", "--", "touch", "/etc/fifth"), `sync_file_range,${changing}`);
    const calls = workersOwn(trace);
    const at = (found: (call: { name: string; text: string }) => boolean): number => calls.findIndex(found);
    const pushed = at(({ name, text }) => name === "sync_file_range" && text.includes("generation.json"));
    const sealed = at(({ text }) => text.includes("SUBVOL_SETFLAGS, BTRFS_SUBVOL_RDONLY"));
    const named = at(({ name, text }) => name === "renameat2" && text.includes("RENAME_NOREPLACE"));
    assert.ok(0 < pushed && pushed < sealed && sealed < named, `${pushed} ${sealed} ${named}`);
  });

  test("the volume's top directory is never fsynced: the boot loader does not replay the log tree", async () => {
    const own = world.copy(image);
    for (const [verb, ...args] of [
      ["add", "zstd"],
      ["rollback"],
      ["pin", "0"],
      ["describe", "0", "x"],
      ["gc", "--keep", "0"],
    ] as const) {
      const trace = await traced(commandLine(own, verb, ...args), changing);
      assert.equal(trace.status, 0, trace.stderr);
      const flushed = trace.calls.filter(({ name }) => name === "fsync" || name === "fdatasync");
      const top = flushed.filter(({ text }) =>
        /<\/run\/firn\/volume(\/(links|snapshots|next|commons)(\/[^/>]*)?)?>/.test(text),
      );
      assert.deepEqual(top, [], verb);
      assert.deepEqual(
        workersOwn(trace).filter(({ name }) => name === "fsync" || name === "fdatasync" || name === "sync"),
        [],
      );
    }
  });
});

describe("a call that fails", { skip }, () => {
  const world = ownWorld();
  let image = "";
  before(async () => {
    image = await world.image();
    await on(image, "run", "--", "touch", "/etc/second");
  });

  /**
   * What must hold of a run that failed with `code`: nothing is left, and what did not move is as it was. Gives whether
   * `current` moved on.
   */
  async function held(trace: Traced, inject: string, code: ProblemCode, before: Whole): Promise<boolean> {
    assert.equal(trace.status, exitCodes[code], `${inject}: ${trace.stderr}`);
    await assertReleased(image);
    const after = assertWhole(image);
    assert.deepEqual(after.drafts, [], inject);
    const moved = after.slots[0] !== before.slots[0];
    if (!moved) {
      assert.deepEqual(after, before, inject);
      mounted(image, (top) => {
        assert.deepEqual(readdirSync(`${top}/next`), []);
        const commons = readdirSync(`${top}/commons`);
        assert.deepEqual(
          [commons.filter((name) => name.endsWith(".draft")), commons.includes("@opt@new")],
          [[], false],
        );
        const fstab = readFileSync(`${top}/current/0/@/etc/fstab`, "utf8").replaceAll(before.slots[0] ?? "", "ID");
        assert.equal(templateAt(top).replace("CURRENT_SNAPSHOTS_PATH", "/snapshots/ID"), fstab);
      });
    }
    return moved;
  }

  async function faulted(
    inject: string,
    code: ProblemCode,
    verb: string,
    ...args: string[]
  ): Promise<Traced & { moved: boolean }> {
    const before = assertWhole(image);
    const trace = await traced(commandLine(image, verb, ...args), changing, inject);
    return { ...trace, moved: await held(trace, inject, code, before) };
  }

  /**
   * Fails the `number`th call of a name, which `what` matches. Every loop device of other tests that is looked at,
   * and each race for one that is lost, makes ioctls more before it, in the run that was counted too: then the fault
   * hits another one, and the next number is tried.
   */
  async function failCall(name: string, what: RegExp, number: number): Promise<void> {
    for (let tries = 0; tries < 30; tries++) {
      const off = name === "ioctl" ? Math.ceil((tries % 12) / 2) * (tries % 2 === 0 ? -1 : 1) : 0;
      const inject = `${name}:error=ENOSPC:when=${Math.max(1, number + off)}`;
      const before = assertWhole(image);
      const trace = await traced(commandLine(image, "run", "--", "touch", "/etc/x"), changing, inject);
      const hits = trace.calls.filter(({ text }) => text.includes("(INJECTED)"));
      if (!hits.some(({ text }) => what.test(text))) {
        assert.equal(name, "ioctl", `${inject} hit ${hits.map(({ text }) => text).join()}`);
        continue;
      }
      assert.equal(await held(trace, inject, "E_NO_SPACE", before), false);
      return;
    }
    assert.fail(`${name} ${what.source} was never hit`);
  }

  test("a flush that fails before the switch leaves the old generation", async () => {
    for (const [number, verb, ...args] of [
      [1, "run", "--", "touch", "/etc/third"],
      [2, "run", "--", "touch", "/etc/third"],
      [1, "rollback"],
      [2, "commons add", "/opt/new"],
    ] as [number, string, ...string[]][]) {
      const { moved, stderr } = await faulted(`syncfs:error=EIO:when=${number}`, "E_FILE", verb, ...args);
      assert.equal(moved, false);
      assert.match(stderr, /Input\/output error|I\/O error/);
    }
  });

  test("a flush that fails after the switch is told as what it is: either may boot", async () => {
    for (const [number, verb, ...args] of [
      [3, "run", "--", "touch", "/etc/third"],
      [2, "rollback"],
    ] as [number, string, ...string[]][]) {
      const { moved, stderr, stdout } = await faulted(
        `syncfs:error=EIO:when=${number}`,
        "E_NOT_DURABLE",
        verb,
        ...args,
      );
      assert.equal(moved, true);
      assert.match(stderr, /the old or the new generation boots/);
      assert.doesNotMatch(stderr, /was not touched/);
      assert.equal(stdout, "");
    }
  });

  test("no space for a symlink, a snapshot, the flag or the rename: E_NO_SPACE, the old generation, no draft", async () => {
    const clean = workersOwn(await traced(commandLine(world.copy(image), "run", "--", "touch", "/etc/x"), changing));
    const nth = (name: string, what: RegExp): number =>
      clean.filter((call) => call.name === name).findIndex(({ text }) => what.test(text)) + 1;
    for (const [name, what] of [
      ["symlinkat", /links\/.*\/0"/],
      ["symlinkat", /links\/.*\/3"/],
      ["symlinkat", /next\/current"/],
      ["mkdirat", /snapshots\/.*\.draft"/],
      ["mkdirat", /links\//],
      ["ioctl", /SNAP_CREATE/],
      ["ioctl", /SUBVOL_SETFLAGS/],
      ["renameat2", /\.draft/],
      ["renameat2", /"\/run\/firn\/volume\/current"/],
    ] as const) {
      const number = nth(name, what);
      assert.ok(number > 0, `${name} ${what.source} is never called`);
      await failCall(name, what, number);
    }
    await on(image, "run", "--", "touch", "/etc/x");
  });
});
