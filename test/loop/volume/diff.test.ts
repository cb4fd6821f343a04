import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { alpineMirror, fixtures } from "../../fixtures/fixtures.ts";
import { assertReleased } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { answer, current, list, on } from "../../kit/verbs.ts";
import { mounted } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";
import { execFileSync, spawnSync } from "node:child_process";

const skip = requires("root", "loop", "mirror");

interface Diff {
  from: string;
  to: string;
  packages: { name: string; kind: string; from?: string; to?: string }[];
  files: { path: string; kind: string }[];
  texts: { path: string; text: string }[];
}

/** What diff(1) and find(1) say of two generations: `kind path`, without what firn leaves out. */
function bySlowMeans(image: string, a: string, b: string): string[] {
  return mounted(image, (top) => {
    // Times of directories follow from what changed in them.
    const find = "find . -mindepth 1 -printf '%P|%y|%m|%U:%G|%l' '(' -type d -o -printf '|%n|%T@' ')' -printf '\\n'";
    const script = `
      cd "$1" && ${find} | sort > "$3/a"
      cd "$2" && ${find} | sort > "$3/b"
      diff -rq --no-dereference "$1" "$2"; true`;
    const folder = execFileSync("mktemp", ["-d"], { encoding: "utf8" }).trim();
    const [x, y] = [`${top}/snapshots/${a}/@`, `${top}/snapshots/${b}/@`];
    const { stdout } = spawnSync("sh", ["-c", script, "sh", x, y, folder], { encoding: "utf8", maxBuffer: 1 << 28 });
    const read = (name: string): Map<string, string> =>
      new Map(
        execFileSync("cat", [`${folder}/${name}`], { encoding: "utf8", maxBuffer: 1 << 28 })
          .split("\n")
          .filter(Boolean)
          .map((line) => [line.slice(0, line.indexOf("|")), line.slice(line.indexOf("|"))]),
      );
    const [before, now] = [read("a"), read("b")];
    execFileSync("rm", ["-r", folder]);
    const differ = [...stdout.matchAll(/^Files (.+) and .+ differ$/gm)].map((m) => (m[1] ?? "").slice(x.length + 1));
    const changed = new Set([
      ...differ,
      ...[...now].filter(([p, meta]) => before.has(p) && before.get(p) !== meta).map(([p]) => p),
    ]);
    return [
      ...[...before.keys()].filter((path) => !now.has(path)).map((path) => `removed ${path}`),
      ...[...now.keys()].filter((path) => !before.has(path)).map((path) => `added ${path}`),
      ...[...changed].filter((path) => path !== "etc/fstab").map((path) => `changed ${path}`),
    ].sort();
  });
}

/** Without the folder in which apk makes a script and deletes it: its time alone changes. */
const told = ({ files }: Diff): string[] =>
  files
    .filter(({ path }) => path !== "/lib/apk/exec")
    .map(({ path, kind }) => `${kind} ${path.slice(1)}`)
    .sort();

describe("diff", { skip }, () => {
  const world = ownWorld();

  test("names packages, files and the text of changed files under /etc, both ways, as slow means find them", async () => {
    const image = await world.image();
    const first = await current(image);
    await on(image, "add", "jq");
    const script = [
      "echo changed > /etc/motd",
      "chmod 0600 /etc/issue",
      "rm -r /etc/modprobe.d",
      "mkdir -p /opt/a/b",
      "echo x > /opt/a/b/c",
      "ln -sf /nowhere /opt/link",
      "chown 12:34 /srv /opt",
      "printf '\\000\\001' > /etc/binary",
    ].join("; ");
    const second = await answer(image, "run", "--", "sh", "-c", script);

    const near = await answer<Diff>(image, "diff");
    assert.deepEqual([near.from, near.to, near.packages], [second.parent, second.generation, []]);
    assert.deepEqual(told(near), bySlowMeans(image, near.from, near.to));
    const motd = near.texts.find(({ path }) => path === "/etc/motd");
    assert.match(motd?.text ?? "", /^\+changed$/m);
    assert.match(motd?.text ?? "", /^-Welcome to Alpine!$/m);
    assert.ok(near.texts.every(({ path }) => path.startsWith("/etc/")));

    const far = await answer<Diff>(image, "diff", first, "current");
    assert.deepEqual(
      far.packages.map(({ name, kind }) => `${kind} ${name}`),
      ["added jq", "added oniguruma"],
    );
    assert.deepEqual(told(far), bySlowMeans(image, first, second.generation));

    const back = await answer<Diff>(image, "diff", "0", first);
    assert.deepEqual(
      back.packages.map(({ name, kind }) => `${kind} ${name}`),
      ["removed jq", "removed oniguruma"],
    );
    const swapped: Record<string, string> = { added: "removed", removed: "added", changed: "changed" };
    assert.deepEqual(
      told(back),
      told(far)
        .map((line) => line.replace(/^\w+/, (kind) => swapped[kind] ?? ""))
        .sort(),
    );

    const words = (await on(image, "diff", first)).stdout;
    assert.match(words, /^\+ jq 1\.7\.1-r0$/m);
    assert.match(words, /^~ \/etc\/motd \(content, time\)$/m);
    assert.match(words, /^- \/etc\/modprobe\.d$/m);
    assert.match(words, /^\+ \/opt\/a\/b\/c$/m);
    assert.match((await on(image, "diff", "0", "0")).stdout, /No file differs/);
    await assertReleased(image);
  });

  test("of a real upgrade: packages upgraded one way are downgraded the other", async () => {
    const image = await world.image();
    const { keysDir } = await fixtures();
    const made = await answer(image, "upgrade", "-X", join(alpineMirror, "v3.19.4"), "--keys-dir", keysDir);
    const diff = await answer<Diff>(image, "diff");
    assert.deepEqual(diff.packages, made.changes);
    const kinds = new Set(diff.packages.map(({ kind }) => kind));
    assert.ok(kinds.has("upgraded"));
    const back = await answer<Diff>(image, "diff", "current", "previous");
    const down = back.packages.filter(({ kind }) => kind === "downgraded").map(({ name }) => name);
    assert.deepEqual(
      down,
      diff.packages.filter(({ kind }) => kind === "upgraded").map(({ name }) => name),
    );
    assert.deepEqual(told(diff), bySlowMeans(image, diff.from, diff.to));
    const { generations } = await list(image);
    assert.deepEqual(generations.at(-1)?.changes, diff.packages);
  });
});
