/** Counters in the TypeScript of src/, the same for the unit tests in Node and for the binary in its engine. */
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin } from "esbuild";
import { createInstrumenter } from "istanbul-lib-instrument";
import type { FileCoverage } from "istanbul-lib-instrument";

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Where each process that ends leaves its counters, a file or more each. */
export const counts = join(root, "dist/coverage/counts");

/**
 * The TypeScript itself is instrumented, types and all, so that every place is the one in the file and no source map is
 * needed.
 */
const instrumenter = createInstrumenter({
  esModules: true,
  compact: false,
  coverageGlobalScope: "globalThis",
  coverageGlobalScopeFunc: false,
  parserPlugins: ["typescript", "explicitResourceManagement"],
});

/** True for what is measured. */
export function isMeasured(file: string): boolean {
  return file.startsWith(join(root, "src/")) && file.endsWith(".ts") && !file.endsWith(".d.ts");
}

/** A file of src/ with counters, and all of them at zero. The key of both is the path below the project's root. */
export function instrument(file: string): { code: string; zero: FileCoverage } {
  const code = instrumenter.instrumentSync(readFileSync(file, "utf8"), relative(root, file));
  return { code, zero: instrumenter.lastFileCoverage() };
}

export const plugin: Plugin = {
  name: "coverage",
  setup(build) {
    build.onLoad({ filter: /\.ts$/ }, ({ path }) =>
      isMeasured(path) ? { contents: instrument(path).code, loader: "ts" } : undefined,
    );
  },
};

/** An expression for the bundle: the counters without the places they stand for, as JSON. */
const JSON_OF_COUNTERS =
  "JSON.stringify(Object.values(globalThis.__coverage__ ?? {}).map(({ path, s, f, b }) => ({ path, s, f, b })))";

/**
 * The first lines of an instrumented bundle. The file is opened at the start: at the end a process may have another
 * root, or mounts over the folder. A forked worker shares it, each process adds one line. What fails here must not
 * change how firn behaves.
 */
export const banner = `{
  const { exit, getpid, open, random, write } = __firn;
  let fd = -1;
  try {
    const name = [getpid(), ...new Uint8Array(random(6))].join("-");
    fd = open(${JSON.stringify(counts)} + "/" + name + ".json", 0o2101, 0o644); // O_WRONLY | O_CREAT | O_APPEND
  } catch {}
  __firn.exit = (code) => {
    try {
      if (fd >= 0) write(fd, ${JSON_OF_COUNTERS} + "\\n");
    } catch {}
    return exit(code);
  };
}`;
