/** A loader of Node's: hands over the files of src/ with counters in them. */
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";
import { instrument, isMeasured } from "./instrument.ts";

interface Loaded {
  format: string;
  source: string;
  shortCircuit: true;
}

export function load<Context>(
  url: string,
  context: Context,
  next: (url: string, context: Context) => Promise<Loaded>,
): Promise<Loaded> {
  const path = url.startsWith("file:") ? fileURLToPath(url.split("?")[0] ?? "") : "";
  if (!isMeasured(path)) return next(url, context);
  const { code } = transformSync(instrument(path).code, {
    loader: "ts",
    format: "esm",
    target: "node20",
    sourcefile: path,
  });
  return Promise.resolve({ format: "module", source: code, shortCircuit: true });
}
