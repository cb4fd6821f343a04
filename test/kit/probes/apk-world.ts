/**
 * What the tests of src/host/packages/apk stand on: the real packages in a folder and behind HTTP, and the probe that
 * runs firn's code.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildFirn } from "../../../scripts/build.ts";
import type { PackageChange } from "../../../src/model/packages/changes.ts";
import type { exitCodes, Problem } from "../../../src/model/problem.ts";
import type { Call } from "./apk-probe.ts";
import { alpineMirror } from "../../fixtures/fixtures.ts";
import { requires } from "../requires.ts";

const here = dirname(fileURLToPath(import.meta.url));
export const mirror: string = alpineMirror;
export const skip = requires("root", "mirror");

export interface Answer {
  problem?: Problem;
  keys?: string[];
  argv?: string[];
  steps?: string[];
  apk?: { lines: string[]; notes: string[]; changes: PackageChange[] };
  simulation?: { changes: PackageChange[]; installedBytesDelta: number; downloadBytes: number };
  names?: string[];
  file?: string;
  list?: string[];
  bytes?: number;
  notes?: string[];
  release?: string;
}

export let work = "";
let probe = "";
export let keys = "";
export let root = "";
export let server: Server;
export let url = "";
const requests: string[] = [];

/** Has the probe call what is asked for; with a folder, that is its /var/cache, which nobody else's firn writes to. */
export function call(what: Call, cache?: string): Promise<Answer> {
  const own = ["--mount", "sh", "-c", 'mount --bind "$1" /var/cache && shift && exec "$@"', "sh", cache ?? "", probe];
  const [program, ...words] = cache === undefined ? [probe] : ["unshare", ...own];
  return new Promise((resolve, reject) => {
    execFile(program, [...words, JSON.stringify(what)], { maxBuffer: 1 << 26 }, (_, stdout, stderr) => {
      try {
        resolve(JSON.parse(stdout) as Answer);
      } catch {
        reject(new Error(`the probe said: ${stdout}${stderr}`));
      }
    });
  });
}

export function folder(name: string): string {
  const path = join(work, name);
  mkdirSync(path, { recursive: true });
  return path;
}

export const v3191 = join(mirror, "v3.19.1");
export const bootstrap = (repositories: readonly string[], keysDir = keys): Call => ({
  bootstrap: { repositories, keysDir, cacheDir: folder("cache") },
});

/** A copy of a repository, with links to the packages, whose files can be replaced. */
export function copyOf(name: string, source = v3191): string {
  const path = folder(join(name, "x86_64"));
  for (const file of readdirSync(join(source, "x86_64"))) symlinkSync(join(source, "x86_64", file), join(path, file));
  return join(work, name);
}

/** Replaces one file of such a copy by one in which a single bit differs. `at` below 0 counts from the end. */
export function tamper(repository: string, file: string, at: number): void {
  const path = join(repository, "x86_64", file);
  const bytes = readFileSync(path);
  unlinkSync(path);
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = (bytes[index] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

export async function refused(what: Call, code: keyof typeof exitCodes, ...words: RegExp[]): Promise<Problem> {
  const { problem } = await call(what);
  assert.ok(problem, `nothing was refused; expected ${code}`);
  assert.equal(problem.code, code, problem.message);
  for (const word of words) assert.match([problem.message, ...(problem.details ?? []), problem.hint].join(" "), word);
  return problem;
}

/** Builds the probe, gathers the keys and serves the mirror over HTTP. */
export async function open(): Promise<void> {
  if (skip) return;
  work = mkdtempSync(join(tmpdir(), "firn-apk-test-"));
  probe = await buildFirn(join(here, "apk-probe.ts"), join(work, "probe"));
  keys = join(work, "keys");
  root = folder("root");
  await call({ keys: { into: keys, from: [], keysDir: join(mirror, "keys") } });
  ({ server, url } = await serve(mirror, (path) => requests.push(path)));
}

/** Serves a folder over HTTP; `asked` hears of every request. */
export async function serve(
  from: string,
  asked: (path: string) => void = () => {},
): Promise<{ server: Server; url: string }> {
  const serving = createServer((request, response) => {
    asked(request.url ?? "");
    const file = join(from, decodeURIComponent(request.url ?? "").replaceAll("//", "/"));
    if (!existsSync(file)) return response.writeHead(404).end();
    return response.writeHead(200).end(readFileSync(file));
  });
  await new Promise<void>((resolve) => serving.listen(0, "127.0.0.1", resolve));
  return { server: serving, url: `http://127.0.0.1:${(serving.address() as AddressInfo).port}` };
}

export function close(): void {
  server?.close();
  if (work !== "") rmSync(work, { recursive: true, force: true });
}

/** What was requested since the last call, which is forgotten. */
export function requested(): string[] {
  return requests.splice(0);
}
