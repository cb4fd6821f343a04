/**
 * The arrows and habits of the house: scripts/house/rules.ts is the table, the lint rules hold the arrows, this file
 * holds all.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize, relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { houseOf, writtenOverrides } from "../../../scripts/house.ts";
import {
  CROWD,
  LONGEST,
  WIDEST,
  isOpen,
  lintOverrides,
  refuseImport,
  sharedNames,
} from "../../../scripts/house/rules.ts";

const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

function read(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

/** Packages that the bundle takes in. */
const bundled = new Set(Object.keys((JSON.parse(read("package.json")) as { dependencies: object }).dependencies));

interface Import {
  readonly name: string;
  readonly typeOnly: boolean;
}

/** `import … from` and `export … from`, as the formatter leaves them: at the start of a line. */
const FROM =
  /^(?:import|export)\s+(type\s+)?(?:\{[^}]*\}|\*(?:\s+as\s+\w+)?|\w+(?:\s*,\s*\{[^}]*\})?)\s+from\s+["']([^"']+)["']/gm;
const BARE = /^import\s+["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm;

function importsOf(text: string): Import[] {
  const from = [...text.matchAll(FROM)].map(([, type, name = ""]) => ({ name, typeOnly: type !== undefined }));
  const bare = [...text.matchAll(BARE)].map(([, effect, late]) => ({ name: effect ?? late ?? "", typeOnly: false }));
  return [...from, ...bare];
}

const house = houseOf(root);

/** What is wrong with the imports of `file` (a path from the repository's root), a line each. */
function wrongImports(file: string, text: string): string[] {
  const nowhere = refuseImport(file, file, false, house.open);
  if (nowhere !== undefined) return [`${file}: ${nowhere}`];
  return importsOf(text).flatMap(({ name, typeOnly }) => {
    if (!name.startsWith(".")) {
      return bundled.has(name) ? [] : [`${file}: imports ${name}; src/ runs in QuickJS and bundles pure packages only`];
    }
    const target = normalize(join(dirname(file), name));
    if (!target.startsWith("src/")) {
      return /^system\/.*[^s]$/.test(target) ? [] : [`${file}: imports ${name} from outside src/`];
    }
    if (!name.endsWith(".ts")) return [`${file}: imports ${name} without .ts`];
    const refused = refuseImport(file, target, typeOnly, house.open);
    return refused === undefined ? [] : [`${file}: ${name}: ${refused}`];
  });
}

function filesBelow(folder: string, endings: readonly string[]): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .toSorted();
}

const source = filesBelow("src", [".ts"]);
const everything = ["src", "native", "scripts", "test", "bench"].flatMap((folder) =>
  filesBelow(folder, [".ts", ".c", ".h"]),
);

test("each file of src imports only what its floor and its door may, only host/kernel sys.ts, and nothing Node", () => {
  assert.ok(source.length > 20, "src/ is where this test looks for it");
  assert.deepEqual(
    source.flatMap((file) => wrongImports(file, read(file))),
    [],
  );
});

test("the check above refuses each arrow that points the wrong way", () => {
  const refused: readonly (readonly [string, string])[] = [
    ["src/model/ids.ts", 'import { readFileSync } from "node:fs";'],
    ["src/host/run.ts", 'import * as os from "os";'],
    ["src/main.ts", 'import { sys } from "./host/kernel/sys.ts";'],
    ["src/report/finish.ts", 'import {\n  SysError,\n  sys,\n} from "../host/kernel/sys.ts";'],
    ["src/apply/lock.ts", 'export { sys } from "../host/kernel/sys.ts";'],
    ["src/commands/list.ts", 'const late = import("../host/kernel/sys.ts");'],
    ["src/model/config/schema.ts", 'import { inspect } from "../../host/inspect.ts";'],
    ["src/model/ids.ts", 'import type { Report } from "../report/report.ts";'],
    ["src/plan/gc.ts", 'import { lockVolume } from "../apply/lock.ts";'],
    ["src/host/run.ts", 'import { planGc } from "../plan/gc.ts";'],
    ["src/apply/draft.ts", 'import { terminalReport } from "../report/report.ts";'],
    ["src/commands/list.ts", 'import { application } from "../app.ts";'],
    ["src/host/run.ts", 'import { build } from "../../scripts/build.ts";'],
    ["src/host/run.ts", 'import "./files";'],
    ["src/utils/text.ts", ""],
    ["src/host/disk/image.ts", 'import { O } from "../kernel/sys.ts";'],
    ["src/host/disk/image.ts", 'import { seedCommons } from "../volume/seed.ts";'],
    ["src/host/packages/apk/apk.ts", 'import { seedCommons } from "../../volume/seed.ts";'],
    ["src/host/kernel/run.ts", 'import { ask } from "../machine/terminal.ts";'],
    ["src/model/text/size.ts", 'import { parseGpt } from "../disk/gpt.ts";'],
    ["src/report/finish.ts", 'import { names } from "../host/kernel/files.ts";'],
  ];
  for (const [file, text] of refused) assert.equal(wrongImports(file, text).length, 1, `${file}: ${text}`);
  const fine: readonly (readonly [string, string])[] = [
    [
      "src/apply/gc.ts",
      'import type { Report } from "../report/report.ts";\nimport { Fd } from "../host/kernel/files.ts";\n',
    ],
    ["src/host/volume/open-volume.ts", 'import { mapPartition } from "../disk/map.ts";'],
    ["src/host/packages/apk/apk.ts", 'import { exists } from "../../kernel/files.ts";'],
    ["src/report/finish.ts", 'import { say } from "../host/machine/terminal.ts";'],
    ["src/host/kernel/files.ts", 'import { sys } from "./sys.ts";'],
  ];
  for (const [file, text] of fine) assert.deepEqual(wrongImports(file, text), []);
});

test("the lint configuration holds the same rules: npm run house writes them", () => {
  assert.deepEqual(writtenOverrides(), lintOverrides(house));
});

test("a file is open to the other doors when the comment that it begins with says so, and only where one comes in", () => {
  assert.ok(isOpen("/** Sizes. Open to the other doors: all print them. */\nexport const a = 1;\n"));
  assert.ok(isOpen("/**\n * Sizes.\n * Open to the other doors.\n */\n"));
  assert.ok(!isOpen('/** Sizes. */\nimport "./a.ts";\n/** Open to the other doors. */\n'));
  const used = new Set(
    source.flatMap((file) =>
      importsOf(read(file))
        .map(({ name }) => normalize(join(dirname(file), name)))
        .filter((target) => target.split("/")[1] === file.split("/")[1] && dirname(target) !== dirname(file)),
    ),
  );
  assert.deepEqual(
    house.open.filter((file) => !used.has(file)),
    [],
  );
});

test("no two files of src share a name, but a verb or a subject on the floors that it passes", () => {
  const names = source.map((file) => basename(file));
  const twice = new Set(names.filter((name, at) => names.indexOf(name) !== at));
  assert.deepEqual([...twice].toSorted(), sharedNames);
});

test(`a folder holds at most ${CROWD} files of code`, () => {
  const count = new Map<string, number>();
  for (const file of everything) count.set(dirname(file), (count.get(dirname(file)) ?? 0) + 1);
  const full = [...count].filter(([folder, files]) => files > CROWD && !folder.startsWith("test/fixtures/mkinitfs"));
  assert.deepEqual(full, []);
});

/** A string of a test or a message, or an address, cannot be broken; the formatter settles all other code. */
const UNBREAKABLE = /["'`/].{30,}|https?:/;

test(`no line passes ${WIDEST} columns but for a string`, () => {
  const wide = everything.flatMap((file) =>
    read(file)
      .split("\n")
      .flatMap((line, at) => {
        const comment = /^\s*(\/?\*|\/\/)/.test(line) || /\s(\/\*|\/\/)\s/.test(line);
        const may = /https?:/.test(line) || (!comment && UNBREAKABLE.test(line));
        return line.length <= WIDEST || may ? [] : [`${file}:${at + 1}`];
      }),
  );
  assert.deepEqual(wide, []);
});

test("only the terminal's gate writes to the terminal", () => {
  const writers = source.filter((file) => /\bimport \{[^}]*\btell\b/.test(read(file)));
  assert.deepEqual(writers, ["src/host/machine/terminal.ts"]);
});

test("no module of Node is named in src, not even in a string", () => {
  const named = source.filter((file) => /["'`]node:\w/.test(read(file)));
  assert.deepEqual(named, []);
});

/** `${top}/…`, `${draft.root.path}/…`: whatever such a path holds may lead elsewhere by the time it is used. */
const JOINED = /\$\{(?:\w+\.)*(?:top|volume|draft|generation|root|chroot)(?:\.path|\.locate\("[^"]*"\))?\}\//;

/** What is walked there are real directories; what was unpacked there lies in firn's own folder in memory. */
const walking = ["src/host/volume/compare-trees.ts", "src/host/packages/apk/bootstrap.ts"];

test("nothing is joined by hand to the path of a volume or a root: names below it are Within's", () => {
  const joined = source.filter((file) => JOINED.test(read(file)));
  assert.deepEqual(joined.sort(), [...walking].sort());
});

test(`no file passes ${LONGEST} lines`, () => {
  const long = everything
    .map((file) => ({ file, lines: read(file).split("\n").length - 1 }))
    .filter(({ lines }) => lines > LONGEST);
  assert.deepEqual(long, []);
});

test("nothing is called utils, helpers, misc or common", () => {
  const vague = everything.filter((file) => /(^|\/)(utils?|helpers?|misc|common)(\/|\.)/i.test(file));
  assert.deepEqual(vague, []);
});

test("nothing is left for later", () => {
  // Not to be found in this very file.
  const marker = new RegExp(
    ["TO", "FIX", "XX"].map((half, index) => `\\b${half}${["DO", "ME", "X"][index]}\\b`).join("|"),
  );
  assert.deepEqual(
    everything.filter((file) => marker.test(read(file))),
    [],
  );
});

test("model and plan are pure: no clock, no chance but what they are handed", () => {
  const impure = source
    .filter((file) => /^src\/(model|plan)\//.test(file))
    .filter((file) => /\bnew Date\(\)|\bDate\.now\b|\bMath\.random\b/.test(read(file)));
  assert.deepEqual(impure, []);
});

test("every file of test/ that ends in .test.ts is in a suite that ./run-tests or npm run test:release runs", () => {
  const lost = filesBelow("test", [".test.ts"]).filter(
    (file) => !/^test\/(unit|loop|vm|release)\/([^/]+\/)?[^/]+$/.test(file),
  );
  assert.deepEqual(lost, []);
});
