/** The arrows and habits of the house: docs/ names them, the lint rules hold most of them, this file holds them all. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

/** Which folders of src/ each folder may import values from; itself is always allowed. */
const arrows: Record<string, readonly string[]> = {
  model: [],
  plan: ["model"],
  host: ["model"],
  report: ["model", "host"],
  apply: ["model", "plan", "host"],
  commands: ["model", "plan", "apply", "report", "host"],
  // main.ts and app.ts, the roots of the program.
  "": ["model", "plan", "apply", "report", "host", "commands"],
};

/** Types of another folder that a folder may name without calling it: apply is handed its Report. */
const typeArrows: Record<string, readonly string[]> = { apply: ["report"] };

/** Lines. A file that passes them wants to be two. */
const LONGEST = 400;

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

/** What is wrong with the imports of `file` (a path from the repository's root), a line each. */
function wrongImports(file: string, text: string): string[] {
  const folderOf = (path: string): string => (dirname(path) === "src" ? "" : path.split("/")[1]!);
  const folder = folderOf(file);
  const allowed = arrows[folder];
  if (allowed === undefined) return [`${file}: the house has no folder src/${folder}`];
  return importsOf(text).flatMap(({ name, typeOnly }) => {
    if (!name.startsWith(".")) {
      return bundled.has(name) ? [] : [`${file}: imports ${name}; src/ runs in QuickJS and bundles pure packages only`];
    }
    const target = normalize(join(dirname(file), name));
    if (!target.startsWith("src/")) {
      return /^system\/.*[^s]$/.test(target) ? [] : [`${file}: imports ${name} from outside src/`];
    }
    if (!name.endsWith(".ts")) return [`${file}: imports ${name} without .ts`];
    const to = folderOf(target);
    if (target === "src/host/kernel/sys.ts" && folder !== "host")
      return [`${file}: imports sys.ts, which belongs to src/host`];
    if (to === folder || allowed.includes(to)) return [];
    if (typeOnly && typeArrows[folder]?.includes(to)) return [];
    return [`${file}: src/${folder || "*.ts"} must not import src/${to || "*.ts"} (${name})`];
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
const everything = ["src", "native", "scripts", "test", "bench"].flatMap((folder) => filesBelow(folder, [".ts", ".c"]));

test("each folder of src imports only what its arrow allows, only host imports sys.ts, and nothing imports Node", () => {
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
  ];
  for (const [file, text] of refused) assert.equal(wrongImports(file, text).length, 1, `${file}: ${text}`);
  const fine = 'import type { Report } from "../report/report.ts";\nimport { Fd } from "../host/files.ts";\n';
  assert.deepEqual(wrongImports("src/apply/draft.ts", fine), []);
});

test("no module of Node is named in src, not even in a string", () => {
  const named = source.filter((file) => /["'`]node:\w/.test(read(file)));
  assert.deepEqual(named, []);
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
