/** The real binary, and ways to run it. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildFirn } from "../../scripts/build.ts";
import { given } from "../../src/model/given.ts";

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

let lent: readonly string[] = [];

/** Flags that name the folders of this machine from which images are installed: see withLent. */
export function lendRepositories(flags: readonly string[]): void {
  lent = flags;
}

/**
 * The words of a command line, with those flags where packages for an image are asked for: firn reads no folder of this
 * machine because an image names it.
 */
export function withLent([verb = "", ...words]: readonly string[]): string[] {
  return [verb, ...(["add", "del", "upgrade"].includes(verb) && words.includes("--volume") ? lent : []), ...words];
}

export interface Ran {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs the real binary to its end. */
export async function firn(
  args: readonly string[],
  options: { input?: string; env?: Record<string, string>; cwd?: string; lend?: boolean } = {},
): Promise<Ran> {
  const words = options.lend === false ? args : withLent(args);
  const { status, signal, stdout, stderr } = spawnSync(await firnBinary(), words, {
    encoding: "utf8",
    input: options.input ?? "",
    maxBuffer: 1 << 28,
    ...given({ cwd: options.cwd, env: options.env && { ...process.env, ...options.env } }),
  });
  return { status: status ?? (signal === null ? -1 : 128), stdout, stderr };
}

export interface Running {
  child: ChildProcess;
  /** What it has said so far, on stderr. */
  said: () => string;
  ended: Promise<Ran>;
}

/** Starts firn, or `wrapper` with firn behind it, in a process group of its own, without waiting for its end. */
export async function start(args: readonly string[], wrapper: readonly string[] = []): Promise<Running> {
  const [program = "", ...rest] = [...wrapper, await firnBinary(), ...withLent(args)];
  const child = spawn(program, rest, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = once(child, "close").then(([code]): Ran => ({
    status: (code as number | null) ?? 128,
    stdout,
    stderr,
  }));
  return { child, said: () => stderr, ended };
}

/**
 * What a command line begins with to run in a mount namespace of its own, in which `script` (sh) has hidden or lent
 * things.
 */
export function behind(script: string): string[] {
  return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", `${script}\nexec "$@"`, "sh"];
}

/** Runs firn there, perhaps as somebody else. */
export async function firnBehind(
  script: string,
  args: readonly string[],
  prefix: readonly string[] = [],
): Promise<Ran> {
  const [program = "", ...rest] = [...behind(script), ...prefix, await firnBinary(), ...withLent(args)];
  const { status, stdout, stderr } = spawnSync(program, rest, { encoding: "utf8", input: "" });
  return { status: status ?? -1, stdout, stderr };
}
