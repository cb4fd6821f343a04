import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** What a program left behind. */
export interface ProgramResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly cwd?: string;
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Exit codes that are not a failure. Default: only 0. */
  readonly allowed?: readonly number[];
}

/** sbin is where mkfs, losetup and sgdisk live; Debian leaves it out of an ordinary user's PATH. */
const path = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"];

/** The full path of a program, or undefined when no folder of PATH (and no sbin) has it. */
export function findProgram(name: string): string | undefined {
  return path
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/**
 * Runs a program to its end, stdin closed or filled from `input`.
 * Throws with argv, exit status and the end of stderr when the status is not among `allowed`.
 */
export async function runProgram(argv: readonly string[], options: ProgramOptions = {}): Promise<ProgramResult> {
  const [program, ...rest] = argv;
  if (program === undefined) throw new Error("an empty argv");
  const child = spawn(program, rest, {
    cwd: options.cwd,
    env: { ...process.env, PATH: path.join(delimiter), LC_ALL: "C", ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  // A program that does not read its input closes the pipe early; its exit status tells the story.
  child.stdin.on("error", () => {});
  child.stdin.end(options.input);
  const status = await new Promise<number>((resolve, reject) => {
    child.on("error", (error) => reject(new Error(`${argv.join(" ")}: ${error.message}`)));
    child.on("close", (code, signal) => resolve(code ?? (signal === null ? 255 : 128)));
  });
  const result = { status, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
  if (!(options.allowed ?? [0]).includes(status)) {
    const end = (result.stderr.trim() || result.stdout.trim()).split("\n").slice(-15).join("\n");
    throw new Error(`${argv.join(" ")}\nended with status ${status}:\n${end}`);
  }
  return result;
}

/**
 * What to put before an argv so that the kernel kills the program when this process dies, however it dies.
 * Empty where setpriv is missing or busybox's, which cannot.
 */
export function dieWithParent(): readonly string[] {
  parentGuard ??= probeParentGuard();
  return parentGuard;
}

let parentGuard: readonly string[] | undefined;

function probeParentGuard(): readonly string[] {
  const setpriv = findProgram("setpriv");
  if (setpriv === undefined) return [];
  const options = ["--pdeathsig", "KILL"];
  return spawnSync(setpriv, [...options, "true"], { stdio: "ignore" }).status === 0 ? [setpriv, ...options] : [];
}
