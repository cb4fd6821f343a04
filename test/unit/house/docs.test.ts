/** The documents agree with the program and with each other. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";
import { commandTree } from "../../../scripts/completions/tree.ts";
import { exitCodes } from "../../../src/model/problem.ts";
import { exampleOf } from "../../../src/model/config/example.ts";
import { machineToml } from "../../../src/model/machine/machine-toml.ts";
import { describeStep, planChange } from "../../../src/plan/change.ts";
import { describeSwitchStep, planSwitch } from "../../../src/plan/switch.ts";
import { generation, granted, id, volume } from "../../fixtures/state.ts";

const root = resolve(import.meta.dirname, "../../..");

/** Every Markdown file that is part of the project, relative to its root. */
const documents = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
].sort();

function read(name: string): string {
  return readFileSync(join(root, name), "utf8");
}

/** GitHub's anchors: lower case, spaces to hyphens, other signs dropped. */
function anchors(text: string): Set<string> {
  return new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

/** Links of a document that lead nowhere: relative ones to files or headings that are not there. */
function deadLinks(name: string, text: string): string[] {
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
  return links.filter((target) => {
    if (/^https?:/.test(target)) return false;
    const [path = "", anchor] = target.split("#");
    const file = path === "" ? name : join(dirname(name), path);
    if (!existsSync(join(root, file))) return true;
    return anchor !== undefined && !anchors(read(file)).has(anchor);
  });
}

test("the README names every command", async () => {
  const readme = read("README.md");
  for (const { path } of (await commandTree()).verbs)
    assert.match(readme, new RegExp(`firn ${path.join(" ")}(?![a-z-])`), path.join(" "));
});

test("the README's recording shows the steps that an upgrade and a rollback have", () => {
  const shown = read("README.md")
    .split("\n")
    .filter((line) => /^\[\d+\/\d+\] /.test(line));
  const [, next = "", first = ""] = /Open draft (\S+) from (\S+)/.exec(shown[0] ?? "") ?? [];
  const numbered = <S>(steps: readonly S[], describe: (step: S) => string): string[] =>
    steps.map((step, at) => `[${at + 1}/${steps.length}] ${describe(step)}`);
  const upgrade = planChange(volume([generation(first)]), {
    change: { kind: "packages", verb: "upgrade", packages: [] },
    ...{ id: id(next), force: false, neededBytes: 0, fetchBytes: 0, autoGc: false, unasked: [], allowDowngrade: false },
  });
  const rollback = planSwitch(volume([generation(first), generation(next)], { booted: id(next) }), undefined);
  assert.deepEqual(shown, [
    ...numbered(granted(upgrade), describeStep),
    ...numbered(granted(rollback), describeSwitchStep),
  ]);
});

test("no document names a command that there is not", async () => {
  const known = new Set((await commandTree()).verbs.map(({ path }) => path[0]));
  for (const name of documents)
    for (const [, word = ""] of read(name).matchAll(/`firn ([a-z]+)/g))
      assert.ok(known.has(word), `${name}: firn ${word}`);
});

test("docs/errors.md lists every code with its exit status, in their order, and no other", () => {
  const rows = [...read("docs/errors.md").matchAll(/^\| (\d+) \| `(E_[A-Z_]+)` \| \S.* \| .*\|$/gm)];
  assert.deepEqual(Object.fromEntries(rows.map(([, status, code]) => [code, Number(status)])), exitCodes);
  const statuses = rows.map(([, status]) => Number(status));
  assert.deepEqual(
    statuses,
    statuses.toSorted((a, b) => a - b),
  );
  assert.equal(rows.length, Object.keys(exitCodes).length);
});

test("a dead link is found, and the documents have none", () => {
  const example =
    "[a](nowhere.md) [b](errors.md#nothing) [c](errors.md#errors-and-exit-codes) [d](https://example.org)";
  assert.deepEqual(deadLinks("docs/example.md", example), ["nowhere.md", "errors.md#nothing"]);
  for (const name of documents) assert.deepEqual(deadLinks(name, read(name)), [], name);
});

test("every document below docs/ can be reached from the README", () => {
  const seen = new Set<string>();
  const visit = (name: string): void => {
    if (seen.has(name) || !existsSync(join(root, name))) return;
    seen.add(name);
    if (!name.endsWith(".md")) return;
    for (const [, target = ""] of read(name).matchAll(/\]\(([^)\s#]+)/g))
      if (!/^https?:/.test(target)) visit(join(dirname(name), target));
  };
  visit("README.md");
  assert.deepEqual(
    documents.filter((name) => !seen.has(name)),
    [],
  );
});

test("the keys of machine.toml that the documents name exist", () => {
  const example = exampleOf(machineToml);
  for (const [, section = "", key = ""] of read("docs/install.md").matchAll(/`([a-z.]+)\.([a-z-]+)`/g)) {
    if (!["disk", "system", "identity", "identity.root", "network", "services"].includes(section)) continue;
    const [, body = ""] = example.split(`[${section}]`);
    assert.match(body.split(/^\[/m)[0] ?? "", new RegExp(`^(# )?${key} = `, "m"), `${section}.${key}`);
  }
});

/** The project's text files in these folders and files, as they are on disk; what no person writes left out. */
function filesIn(...places: readonly string[]): string[] {
  return places.flatMap((place) =>
    statSync(join(root, place)).isFile()
      ? [place]
      : readdirSync(join(root, place), { recursive: true, encoding: "utf8" })
          .map((name) => join(place, name))
          .filter((name) => statSync(join(root, name)).isFile()),
  );
}

const code = filesIn("src", "native", "scripts", "test", "system", "bench", ".ci", "demo", "run-tests");

test("every document that the code names exists", () => {
  // The names that this very file makes up.
  const madeUp = ["nowhere.md", "docs/example.md"];
  const lost = code.flatMap((file) =>
    [...read(file).matchAll(/[\w./-]*\w\.md\b/g)]
      .map(([name]) => name)
      .filter(
        (name) => !madeUp.includes(name) && ![name, join("docs", name)].some((path) => existsSync(join(root, path))),
      )
      .map((name) => `${file}: ${name}`),
  );
  assert.deepEqual(lost, []);
});

test("every file of TypeScript that a comment or a document names exists", () => {
  const comments = (text: string): string => text.replace(/^(?!\s*(?:\*|\/\*|\/\/)).*$/gm, "");
  const lost = [...code, ...documents].flatMap((file) => {
    const text = file.endsWith(".md") ? read(file) : comments(read(file));
    return [...text.matchAll(/(?<![\w./-])(?:[\w-]+\/)+[\w.-]+\.ts\b/g)].flatMap(([path]) =>
      code.some((known) => known === path || known.endsWith(`/${path}`)) ? [] : [`${file}: ${path}`],
    );
  });
  assert.deepEqual(lost, []);
});

test("CONTRIBUTING.md lists every variable of scripts and tests, and no other", () => {
  const asked = code.flatMap((file) =>
    [...read(file).matchAll(/env\["(FIRN_[A-Z_]+)"\]|"(FIRN_BENCH_[A-Z]+)"/g)].map(
      ([, name, other = ""]) => name ?? other,
    ),
  );
  const listed = [...read("CONTRIBUTING.md").matchAll(/^\| `(FIRN_[A-Z_]+)` \|/gm)].map(([, name = ""]) => name);
  assert.deepEqual(
    listed,
    [...new Set(asked)].toSorted((a, b) => (a < b ? -1 : 1)),
  );
});

test("every file that CONTRIBUTING.md names exists", () => {
  const named = [...read("CONTRIBUTING.md").matchAll(/`((?:src|native|test|scripts|docs)\/[\w./-]+)`/g)];
  assert.ok(named.length > 20);
  for (const [, path = ""] of named) if (!path.includes("DOOR")) assert.ok(existsSync(join(root, path)), path);
});

test("no document names a path of the machine it was written on", () => {
  for (const name of documents)
    assert.doesNotMatch(read(name), /\/work\/|\/tmp\/[a-z]|\.library|\/home\/[a-z]|\/root\/[a-z]+\/(?!note)/, name);
});
