import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { exitCodes } from "../../../src/model/problem.ts";
import { firnBehind, start, type Ran } from "../../kit/firn.ts";
import { assertRefused, assertUntouched } from "../../kit/refused.ts";
import { requires } from "../../kit/requires.ts";
import { commandLine, on, succeeded } from "../../kit/verbs.ts";
import { mounted } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

describe("what firn's caller has set does not reach what firn makes and runs", { skip }, () => {
  const world = ownWorld();
  let image = "";
  before(async () => {
    image = await world.image();
  });

  /** Runs a command in a draft from a shell that has said `script` before. */
  const called = async (script: string, ...argv: string[]): Promise<Ran> =>
    (await start(commandLine(image, "run", "--", ...argv), ["sh", "-c", `${script}\nexec "$@"`, "sh"])).ended;

  test("a worker that is killed is told of, with a code, and as an object with --json", async () => {
    for (const [flags, stream] of [[[], "stderr"] as const, [["--json"], "stdout"] as const]) {
      const words = ["run", "--volume", image, ...flags, "--", "sh", "-c", "echo begun >&2; sleep 50"];
      const { child, said, ended } = await start(words);
      child.stderr?.on("data", () => {
        if (!said().includes("begun")) return;
        const worker = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim();
        if (worker !== "") process.kill(Number(worker), "SIGKILL");
      });
      const ran = await ended;
      assert.equal(ran.status, exitCodes.E_KILLED, ran.stderr);
      assert.match(ran[stream], flags.length === 0 ? /^E_KILLED: Signal 9 /m : /^\{"error":\{"code":"E_KILLED",/);
      assert.match(ran[stream], /when memory runs out.*`firn status` says which/s);
    }
  });

  test("a /run that is full or read-only is what is told of, not the volume", async () => {
    const table = [
      ["mount -t tmpfs -o nr_inodes=1 none /run", /No space left on device/],
      ["mount -t tmpfs -o size=4k none /run; cp /dev/zero /run/full 2>/dev/null || true", /No space left on device/],
      ["mount -t tmpfs -o ro none /run", /Read-only file system/],
    ] as const;
    for (const [script, reason] of table) {
      const ran = await firnBehind(script, commandLine(image, "pin", "0"));
      assertUntouched(ran, { code: "E_RUN", message: reason, hint: /findmnt \/run/ });
      assert.doesNotMatch(ran.stderr, /gc/);
    }
    for (const at of [0, 2])
      assertRefused(await firnBehind(table[at]?.[0] ?? "", commandLine(image, "list")), {
        ...{ code: "E_RUN", message: /^Nothing can be written below \/run\/firn/ },
      });
  });

  /** The same, with a signal to firn's whole group once the command runs. */
  async function signalled(
    signal: NodeJS.Signals,
    wrapper: string[],
    seconds: number,
  ): Promise<Ran & { took: number }> {
    const argv = ["sh", "-c", `echo begun >&2; sleep ${seconds}; touch /etc/slept`];
    const { child, said, ended } = await start(commandLine(image, "run", "--", ...argv), wrapper);
    let sent = 0;
    child.stderr?.on("data", () => {
      if (sent !== 0 || !said().includes("begun")) return;
      sent = Date.now();
      process.kill(-(child.pid ?? 0), signal);
    });
    return { ...(await ended), took: Date.now() - sent };
  }

  test("a umask of 077 makes nothing that only root can read", async () => {
    const ran = succeeded(await called("umask 077", "sh", "-c", "umask; mkdir /opt/wide; : > /etc/wide"));
    assert.match(ran.stdout, /^0022$/m);
    mounted(image, (top) => {
      assert.equal(statSync(`${top}/current/0/@/opt/wide`).mode & 0o777, 0o755);
      assert.equal(statSync(`${top}/current/0/@/etc/wide`).mode & 0o777, 0o644);
    });
  });

  test("with little stack allowed, text that is nested too deep is refused and no crash", async () => {
    const file = join(world.folder, "deep.toml");
    writeFileSync(file, `a = ${"[".repeat(200_000)}`);
    for (const kib of [128, 1024]) {
      const script = `ulimit -s ${kib}\nexec "$@"`;
      const { ended } = await start(
        ["image", "--config", file, join(world.folder, "never.img")],
        ["sh", "-c", script, "sh"],
      );
      const ran = await ended;
      assert.match(ran.stderr, /^E_CONFIG_SYNTAX: /, String(ran.status));
    }
  });

  test("descriptors that the caller has open are not open in the draft", async () => {
    const ran = succeeded(await called("exec 7</etc/passwd 9>/dev/null", "sh", "-c", "echo fds: /proc/$$/fd/*"));
    assert.match(ran.stdout, /^fds: .*\/2/m);
    assert.doesNotMatch(ran.stdout, /fd\/[79]\b/);
  });

  test("children are waited for although the caller ignores their end", async () => {
    const ran = await start(commandLine(image, "run", "--", "true"), ["env", "--ignore-signal=CHLD"]);
    assert.match(succeeded(await ran.ended).stdout, /Nothing changed/);
  });

  test("nohup protects firn and what it runs", async () => {
    succeeded(await signalled("SIGHUP", ["nohup"], 1));
    await on(image, "run", "--", "rm", "/etc/slept");
  });

  test("SIGTERM is heard although the caller has blocked it", async () => {
    const { status, took } = await signalled("SIGTERM", ["env", "--block-signal=TERM"], 30);
    assert.equal(status, 130);
    assert.ok(took < 15_000, `${took} ms`);
  });

  test("^\\ stops a change as ^C does: with a word, and without its draft", async () => {
    const { status, stderr, took } = await signalled("SIGQUIT", [], 30);
    assert.equal(status, 130, stderr);
    assert.match(stderr, /E_INTERRUPTED: Stopped by \^\\\. The draft was discarded/);
    assert.ok(took < 15_000, `${took} ms`);
  });

  test("a stderr that takes nothing does not make firn deaf to SIGTERM", async () => {
    const fifo = join(world.folder, "full");
    const script = `mkfifo ${fifo}; exec 2<>${fifo}; dd if=/dev/zero bs=4096 count=16 status=none >&2; exec "$@"`;
    const { child, ended } = await start(commandLine(image, "run", "--", "true"), ["sh", "-c", script, "sh"]);
    const timer = setTimeout(() => child.kill("SIGTERM"), 2000);
    const tooLong = setTimeout(() => child.kill("SIGKILL"), 20_000);
    assert.equal((await ended).status, 130);
    clearTimeout(timer);
    clearTimeout(tooLong);
  });
});
