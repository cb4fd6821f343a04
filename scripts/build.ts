/**
 * `npm run build [-- --coverage|--sanitize]`: TypeScript → one bundle → QuickJS bytecode → dist/firn, static with musl.
 * With a word, a variant for the tests, beside it: with counters in the TypeScript, or with sanitizers in the C.
 */
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type EngineBuild, fastEngine, muslCompiler, quickjs } from "./quickjs.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const program = join(root, "src/main.ts");

export type Kind = "release" | "coverage" | "sanitize";

export const binaries: Readonly<Record<Kind, string>> = {
  release: join(root, "dist/firn"),
  coverage: join(root, "dist/coverage/firn"),
  sanitize: join(root, "dist/sanitize/firn"),
};

/** Where the sanitizers of a process that met something write it. */
export const sanitizerReports = join(root, "dist/sanitize/reports");

/** Kernel headers, after musl's own. */
const kernelHeaders = ["/usr/include", `/usr/include/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`];

interface Compilation {
  readonly compiler: string;
  readonly flags: readonly string[];
  readonly engine: EngineBuild;
  /** More C, compiled along. */
  readonly more: string;
}

const release: Compilation = {
  compiler: muslCompiler(),
  flags: [
    ...["-Os", "-static", "-s", "-Wall", "-Wl,--gc-sections", "-ffunction-sections", "-fdata-sections"],
    ...kernelHeaders.flatMap((folder) => ["-idirafter", folder]),
  ],
  engine: fastEngine,
  more: "",
};

const ADDRESS = ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address"];
/**
 * glibc, dynamic: musl has no sanitizers. What the two do is compiled in, since tests clear the environment; they write
 * to files, since tests read stderr. The engine's own undefined behaviour (it shifts signed numbers) is not ours to
 * see. Leaks: src/host is handed its memory by the engine, which ends without freeing anything.
 */
const sanitize: Compilation = {
  compiler: "gcc",
  flags: [...ADDRESS, "-Wall", "-fsanitize=undefined", "-fno-sanitize-recover=undefined"],
  engine: { archive: "libengine-address.a", compiler: "gcc", flags: ADDRESS },
  more: ["asan", "ubsan"]
    .map((name) => {
      const options = `detect_leaks=0:exitcode=99:print_stacktrace=1:log_path=${sanitizerReports}/${name}`;
      return `const char *__${name}_default_options(void) { return ${JSON.stringify(options)}; }\n`;
    })
    .join(""),
};

/**
 * One module for the engine: a function's captured variables are looked up in a list there, and a bundle has a thousand
 * of them.
 */
async function bundle(entry: string, output: string, kind: Kind): Promise<void> {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const coverage = kind === "coverage" ? await import("./coverage/instrument.ts") : undefined;
  await build({
    entryPoints: [entry],
    outfile: output,
    bundle: true,
    // Half of the start went into the function that esbuild's other formats put around.
    format: "esm",
    target: "es2023",
    platform: "neutral",
    mainFields: ["module", "main"],
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    // QuickJS 2025-04-26 has no Symbol.dispose yet; classes use it as a key before any module could define it.
    banner: { js: `Symbol.dispose ??= Symbol("Symbol.dispose");${coverage?.banner ?? ""}` },
    loader: { ".txt": "text", ".pub": "text", ".toml": "text", ".initd": "text", ".confd": "text" },
    define: { FIRN_VERSION: JSON.stringify(version) },
    plugins: coverage === undefined ? [] : [coverage.plugin],
    logLevel: "warning",
  });
}

/**
 * Builds `entry` into the program `output`. Tests give an entry of their own, to reach the code of src/host in its
 * engine; that is of the same kind as the firn under test, which FIRN_BUILD says.
 */
export async function buildFirn(
  entry = program,
  output = binaries.release,
  kind = entry === program ? "release" : ((process.env["FIRN_BUILD"] ?? "release") as Kind),
): Promise<string> {
  const { compiler, flags, engine, more } = kind === "sanitize" ? sanitize : release;
  const engineFolder = quickjs(process.env["FIRN_CACHE"] ?? join(root, ".cache"), engine);
  const work = mkdtempSync(join(tmpdir(), "firn-build-"));
  try {
    const script = join(work, "bundle.js");
    await bundle(entry, script, kind);
    const bytecode = join(work, "bundle.c");
    execFileSync(join(engineFolder, "qjsc"), ["-c", "-m", "-s", "-N", "firn_bundle", "-o", bytecode, script], {
      stdio: "inherit",
    });
    const additions = join(work, "more.c");
    writeFileSync(additions, more);
    const sources = readdirSync(join(root, "native"))
      .filter((name) => name.endsWith(".c"))
      .map((name) => join(root, "native", name));
    mkdirSync(dirname(output), { recursive: true });
    const binary = join(work, "firn");
    execFileSync(
      compiler,
      [
        ...[...flags, `-I${engineFolder}`, ...sources, bytecode, additions],
        ...[join(engineFolder, engine.archive), "-lm", "-o", binary],
      ],
      { stdio: "inherit" },
    );
    // Beside the output, under a name of its own: two builds at once must not meet, and a running firn keeps its file.
    const beside = mkdtempSync(`${output}.`);
    copyFileSync(binary, join(beside, "firn"));
    renameSync(join(beside, "firn"), output);
    rmSync(beside, { recursive: true });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return output;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wish = (process.argv[2] ?? "--release").slice(2);
  if (!(wish in binaries)) throw new Error(`There is no build called ${wish}: ${Object.keys(binaries).join(", ")}`);
  const file = await buildFirn(undefined, binaries[wish as Kind], wish as Kind);
  console.log(`${file}: ${(statSync(file).size / 1024).toFixed(0)} KiB`);
}
