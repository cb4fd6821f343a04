/** `npm run house`: writes the rules of scripts/house/rules.ts into .oxlintrc.json. */
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { floors, isOpen, lintOverrides, type House } from "./house/rules.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const CONFIG = join(root, ".oxlintrc.json");

/** The generated overrides, the last of the configuration. */
const SECTION = /(\/\/ Written by `npm run house`[^\n]*\n)([^]*)(\n\s*\]\s*\}\s*)$/;

export function houseOf(folder: string): House {
  const files = readdirSync(join(folder, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .toSorted();
  const doorsOf = (floor: string): string[] =>
    readdirSync(join(folder, "src", floor), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .toSorted();
  return {
    doors: Object.fromEntries(
      Object.entries(floors).flatMap(([name, { foundation }]) =>
        foundation === undefined ? [] : [[name, doorsOf(name)]],
      ),
    ),
    open: files.filter((file) => isOpen(readFileSync(join(folder, file), "utf8"))),
  };
}

/** The overrides that stand in the configuration now. */
export function writtenOverrides(): unknown {
  const [, , section = ""] = SECTION.exec(readFileSync(CONFIG, "utf8")) ?? [];
  return JSON.parse(`[${section}]`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const section = lintOverrides(houseOf(root))
    .map((each) => JSON.stringify(each))
    .join(",\n");
  const text = readFileSync(CONFIG, "utf8").replace(
    SECTION,
    (_, head: string, __, tail: string) => head + section + tail,
  );
  writeFileSync(CONFIG, text);
  execFileSync(join(root, "node_modules/.bin/oxfmt"), [CONFIG], { stdio: "inherit" });
}
