import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildFirn } from "../../scripts/build.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

function newest(folder: string): number {
  return Math.max(
    ...readdirSync(folder, { withFileTypes: true, recursive: true }).map(
      (entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs,
    ),
  );
}

/** Path of the real binary: FIRN_BINARY, else dist/firn, built when it is missing or older than the sources. */
export async function firnBinary(): Promise<string> {
  const given = process.env["FIRN_BINARY"];
  if (given !== undefined) return given;
  const built = join(root, "dist/firn");
  const sources = Math.max(newest(join(root, "src")), newest(join(root, "native")), newest(join(root, "scripts")));
  if (!existsSync(built) || statSync(built).mtimeMs < sources) await buildFirn();
  return built;
}

export interface Ran {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs the real binary to its end. */
export async function firn(
  args: readonly string[],
  options: { input?: string; env?: Record<string, string>; cwd?: string } = {},
): Promise<Ran> {
  const { status, signal, stdout, stderr } = spawnSync(await firnBinary(), args, {
    encoding: "utf8",
    input: options.input ?? "",
    maxBuffer: 1 << 28,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: { ...process.env, ...options.env } }),
  });
  return { status: status ?? (signal === null ? -1 : 128), stdout, stderr };
}
