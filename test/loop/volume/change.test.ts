import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { alpineMirror, fixtures } from "../../fixtures/fixtures.ts";
import { firn } from "../../kit/firn.ts";
import { assertReleased } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { answer, attempt, commandLine, current, list, on, refused, succeeded } from "../../kit/verbs.ts";
import { assertWhole, fileIn, has, mounted, treeOf } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

describe("changes of the next generation", { skip }, () => {
  const world = ownWorld();

  test("add and del change the packages of a new generation and of no other; two adds stack", async () => {
    const image = await world.image();
    const first = await current(image);
    const jq = await answer(image, "add", "jq");
    assert.deepEqual(
      jq.changes.map(({ name, kind }) => `${kind} ${name}`),
      ["added jq", "added oniguruma"],
    );
    assert.equal(jq.parent, first);
    const git = await answer(image, "add", "zstd", "--description", "two tools");
    assert.equal(git.parent, jq.generation);
    assert.equal(git.description, "two tools");
    assert.ok(has(image, "usr/bin/jq") && has(image, "usr/bin/zstd"));
    assert.ok(!has(image, "usr/bin/zstd", jq.generation) && !has(image, "usr/bin/jq", first));
    const removed = await answer(image, "del", "jq");
    assert.deepEqual(
      removed.changes.map(({ name, kind }) => `${kind} ${name}`),
      ["removed jq", "removed oniguruma"],
    );
    assert.ok(!has(image, "usr/bin/jq") && has(image, "usr/bin/zstd"));
    const after = assertWhole(image);
    assert.deepEqual(after.slots, [removed.generation, git.generation, jq.generation, first]);
    assert.deepEqual(after.drafts, []);
    const world0 = fileIn(image, "etc/apk/world").split("\n");
    assert.ok(world0.includes("zstd") && !world0.includes("jq"));
  });

  test("a daemon that a script leaves running, with the pipes it was given, does not hold firn", async () => {
    const image = await world.image();
    const hook = "/etc/apk/commit_hooks.d/hook";
    const script = `mkdir -p /etc/apk/commit_hooks.d; printf '#!/bin/sh\\nsleep 60 &\\n' > ${hook}; chmod 755 ${hook}`;
    await on(image, "run", "--", "sh", "-c", script);
    const begun = Date.now();
    const made = await answer(image, "add", "jq");
    assert.ok(Date.now() - begun < 20_000, `${Date.now() - begun} ms`);
    assert.ok(has(image, "usr/bin/jq"));
    assert.equal(made.changes.length, 2);
    assertWhole(image);
  });

  test("a change starts from --base, not from slot 0, when one is named", async () => {
    const image = await world.image();
    const first = await current(image);
    await on(image, "add", "jq");
    const other = await answer(image, "add", "zstd", "--base", first.slice(0, 18));
    assert.equal(other.parent, first);
    assert.ok(has(image, "usr/bin/zstd") && !has(image, "usr/bin/jq"));
    const third = await answer(image, "run", "--base", "1", "--", "touch", "/etc/third");
    assert.ok(has(image, "usr/bin/jq", third.generation) && !has(image, "usr/bin/zstd", third.generation));
    await refused("E_GENERATION_MISSING", image, "run", "--base", "booted", "--", "true");
    await refused("E_GENERATION_MISSING", image, "run", "--base", "nonsense", "--", "true");
    await refused("E_GENERATION_AMBIGUOUS", image, "run", "--base", first.slice(0, 4), "--", "true");
  });

  test("run changes files inside the generation only, and a command that fails leaves no trace", async () => {
    const image = await world.image();
    const made = await answer(
      image,
      "run",
      "--",
      "sh",
      "-c",
      "echo snow > /etc/motd; rm /etc/issue; mkdir -m 0700 /opt/x",
    );
    assert.equal(fileIn(image, "etc/motd"), "snow\n");
    assert.ok(!has(image, "etc/issue") && has(image, "opt/x"));
    assert.equal(made.command, "firn run -- sh ...");
    const before = await list(image);
    const error = await refused("E_COMMAND", image, "run", "--", "sh", "-c", "echo rain > /etc/motd; exit 3");
    assert.match(error.message, /exit code 3/);
    await refused("E_PROGRAM_MISSING", image, "run", "--", "no-such-program");
    assert.deepEqual(await list(image), before);
    assert.deepEqual(assertWhole(image).drafts, []);
    await assertReleased(image);
  });

  test("what a command writes to /tmp, /run, /dev or the commons makes no generation", async () => {
    const image = await world.image();
    const before = await list(image);
    const ran = await on(
      image,
      "run",
      "--",
      "sh",
      "-c",
      "echo x > /tmp/x; echo x > /run/x; echo kept > /var/log/firn-test",
    );
    assert.match(ran.stdout, /Nothing changed/);
    assert.deepEqual(await list(image), before);
    assert.equal(
      mounted(image, (top) => readFileSync(`${top}/commons/@var@log/firn-test`, "utf8")),
      "kept\n",
    );
  });

  test("a run without effect makes nothing, exits 0 and says so; --force keeps it", async () => {
    const image = await world.image();
    const before = await list(image);
    for (const verb of [["run", "--", "true"], ["add", "alpine-base"], ["upgrade"]] as const) {
      const [name, ...args] = verb;
      const ran = await on(image, name, ...args);
      assert.match(ran.stdout, /Nothing changed, so no generation was made/, name);
    }
    assert.deepEqual(await list(image), before);
    assert.equal((await answer(image, "upgrade")).changed, false);
    const forced = await answer(image, "run", "--force", "--description", "the same", "--", "true");
    assert.equal(forced.changed, true);
    assert.equal(await current(image), forced.generation);
    assert.equal(assertWhole(image).generations.length, before.generations.length + 1);
  });

  test("shell runs a script from stdin in the draft; exit 1 discards it", async () => {
    const image = await world.image();
    const before = await current(image);
    succeeded(await firn(commandLine(image, "shell"), { input: "echo shelled > /etc/motd\nexit 0\n" }));
    assert.equal(fileIn(image, "etc/motd"), "shelled\n");
    const kept = await current(image);
    assert.notEqual(kept, before);
    const gone = await firn(commandLine(image, "shell", "--json"), { input: "echo gone > /etc/motd\nexit 1\n" });
    assert.equal((JSON.parse(gone.stdout) as { error: { code: string } }).error.code, "E_COMMAND");
    assert.equal(await current(image), kept);
  });

  test("edit opens the next generation's file in $EDITOR, which runs inside it", async () => {
    const image = await world.image();
    const env = { EDITOR: "sed -i s/snow/ice/" };
    succeeded(await firn(commandLine(image, "edit", "/etc/hostname"), { env }));
    assert.equal(fileIn(image, "etc/hostname"), "ice\n");
    const same = succeeded(await firn(commandLine(image, "edit", "/etc/hostname"), { env: { EDITOR: "true" } }));
    assert.match(same.stdout, /Nothing changed/);
    // What holds spaces alone names no editor.
    const blank = { VISUAL: " ", EDITOR: "true" };
    assert.match(succeeded(await firn(commandLine(image, "edit", "/etc/hostname"), { env: blank })).stdout, /Nothing/);
    const failed = await firn(commandLine(image, "edit", "--json", "/etc/hostname"), { env: { EDITOR: "false" } });
    assert.equal((JSON.parse(failed.stdout) as { error: { code: string } }).error.code, "E_COMMAND");
    await refused("E_FILE", image, "edit", "etc/hostname");
    await on(image, "run", "--", "sh", "-c", "ln -s ../etc/apk /opt/apk; ln -s /var/log /opt/log");
    succeeded(
      await firn(commandLine(image, "edit", "/opt/apk/../hostname"), { env: { EDITOR: "sed -i s/ice/firn/" } }),
    );
    assert.equal(fileIn(image, "etc/hostname"), "firn\n");
    assert.match(
      (await refused("E_FILE", image, "edit", "/opt/log/messages")).message,
      /\/var\/log\/messages is shared/,
    );
    await refused("E_FILE", image, "edit", "/etc");
    assert.match((await refused("E_FILE", image, "edit", "/var/log/messages")).message, /shared/);
  });

  test("--dry-run changes nothing on the volume, of any command", async () => {
    const image = await world.image();
    await on(image, "run", "--description", "second", "--", "touch", "/etc/second");
    const before = treeOf(image);
    const commands: [string, ...string[]][] = [
      ["add", "jq"],
      ["del", "chrony"],
      ["upgrade", "-X", join(alpineMirror, "v3.19.4")],
      ["run", "--", "touch", "/etc/x"],
      ["shell"],
      ["edit", "/etc/motd"],
      ["rollback"],
      ["switch", "1"],
      ["pin", "0"],
      ["describe", "0", "words"],
      ["gc", "--keep", "0"],
      ["commons add", "/var/lib/docker"],
      ["commons remove", "/srv"],
    ];
    for (const [verb, ...args] of commands) {
      const at = args.indexOf("--") < 0 ? args.length : args.indexOf("--");
      await on(image, verb, "--dry-run", ...args.slice(0, at), ...args.slice(at));
    }
    assert.equal(treeOf(image), before);
  });

  test("--dry-run of add tells apk's own simulation, and what is made is what was told", async () => {
    const image = await world.image();
    const plan = await answer<{ dryRun: boolean; steps: string[]; changes: unknown[] }>(
      image,
      "add",
      "--dry-run",
      "git",
    );
    assert.equal(plan.dryRun, true);
    assert.ok(plan.steps.includes("Add git"), plan.steps.join("\n"));
    const made = await answer(image, "add", "git");
    assert.deepEqual(sortedNames(plan.changes), sortedNames(made.changes));
  });

  test("packages come from -X for one run; a repository that is not there is refused", async () => {
    const image = await world.image();
    const { v2, keysDir } = await fixtures();
    await refused("E_MIRROR", image, "add", "-X", "/no/such/repository", "firn-test-conf");
    const made = await answer(image, "add", "-X", v2, "--keys-dir", keysDir, "firn-test-conf");
    assert.deepEqual(
      made.changes.map(({ name, to }) => `${name} ${to}`),
      ["firn-test-conf 2-r0"],
    );
    assert.ok(!fileIn(image, "etc/apk/repositories").includes(v2));
    assert.equal((await attempt(image, "add")).status, 2);
  });
});

function sortedNames(changes: readonly unknown[]): string[] {
  return (changes as { name: string; kind: string }[]).map(({ name, kind }) => `${kind} ${name}`).sort();
}
