/** `npm run build`: TypeScript → one bundle → QuickJS bytecode → dist/firn, static with musl. */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { muslCompiler, quickjs } from "./quickjs.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Kernel headers, after musl's own. */
const kernelHeaders = ["/usr/include", `/usr/include/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`];

/** Builds `entry` into the static program `output`. Tests give an entry of their own, to reach the code of src/host in its engine. */
export async function buildFirn(entry = join(root, "src/main.ts"), output = join(root, "dist/firn")): Promise<string> {
  const engine = quickjs(process.env["FIRN_CACHE"] ?? join(root, ".cache"));
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const work = mkdtempSync(join(tmpdir(), "firn-build-"));
  try {
    const bundle = join(work, "bundle.js");
    await build({
      entryPoints: [entry],
      outfile: bundle,
      bundle: true,
      // A module, not a function: QuickJS looks a function's captured variables up in a list, and a bundle has a thousand of
      // them. Half of the start went there.
      format: "esm",
      target: "es2023",
      platform: "neutral",
      mainFields: ["module", "main"],
      minifySyntax: true,
      minifyWhitespace: true,
      legalComments: "none",
      // QuickJS 2025-04-26 has no Symbol.dispose yet; classes use it as a key before any module could define it.
      banner: { js: 'Symbol.dispose ??= Symbol("Symbol.dispose");' },
      loader: { ".txt": "text", ".pub": "text", ".toml": "text", ".initd": "text", ".confd": "text" },
      define: { FIRN_VERSION: JSON.stringify(version) },
      logLevel: "warning",
    });
    const bytecode = join(work, "bundle.c");
    execFileSync(join(engine, "qjsc"), ["-c", "-m", "-s", "-N", "firn_bundle", "-o", bytecode, bundle], {
      stdio: "inherit",
    });
    const sources = ["main", "errno", "heap", "files", "process", "volume"].map((name) =>
      join(root, "native", `${name}.c`),
    );
    mkdirSync(dirname(output), { recursive: true });
    const binary = join(work, "firn");
    execFileSync(
      muslCompiler(),
      [
        ...["-Os", "-static", "-s", "-Wall", "-Wl,--gc-sections", "-ffunction-sections", "-fdata-sections"],
        `-I${engine}`,
        ...kernelHeaders.flatMap((folder) => ["-idirafter", folder]),
        ...sources,
        bytecode,
        join(engine, "libengine.a"),
        "-lm",
        ...["-o", binary],
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
  const file = await buildFirn();
  console.log(`${file}: ${(statSync(file).size / 1024).toFixed(0)} KiB`);
}
