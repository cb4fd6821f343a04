import { FirnError } from "../../../model/problem.ts";
import { ownVariable } from "../../kernel/process.ts";
import { isFile } from "../../kernel/files.ts";
import { tryRun, type Finished } from "../../kernel/run.ts";

/** Seconds without a byte after which a mirror counts as unreachable. */
const PATIENCE = "30";

/** The proxy settings, which the rebuilt environment of programs would otherwise lose. */
export function proxySettings(): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const name of ["http_proxy", "https_proxy", "no_proxy"]) {
    const value = ownVariable(name) ?? ownVariable(name.toUpperCase());
    if (value !== undefined) settings[name] = value;
  }
  return settings;
}

/** wget (GNU's or busybox's), or curl where there is none. */
function fetch(url: string, file: string): Finished {
  const env = proxySettings();
  try {
    return tryRun(["wget", "-nv", "-T", PATIENCE, "-t", "2", "-O", file, url], { env });
  } catch (error) {
    if (!(error instanceof FirnError) || error.problem.code !== "E_PROGRAM_MISSING") throw error;
  }
  return tryRun(
    ["curl", "-fsSL", "--connect-timeout", PATIENCE, "--speed-time", PATIENCE, "--speed-limit", "1", "-o", file, url],
    { env },
  );
}

function folderOf(file: string): string {
  return file.slice(0, file.lastIndexOf("/"));
}

/**
 * Fetches a URL into a file. Throws E_MIRROR with the URL and what the program said, E_PROGRAM_MISSING without wget and
 * curl, E_NO_SPACE.
 */
export function download(url: string, file: string): void {
  const { status, stderr } = fetch(url, file);
  if (status === 0 && isFile(file)) return;
  // GNU's and busybox's wget, and curl's exit code for what it could not write.
  if (/No space left on device|curl: \(23\)/.test(stderr))
    throw new FirnError(
      "E_NO_SPACE",
      `${url} cannot be kept: no space is left in ${folderOf(file)}.`,
      "Make room there.",
    );
  const last = stderr.trim().split("\n").at(-1) ?? "";
  const said = last.replace(/^(failed|wget|curl): /, "").replace(/\.$/, "");
  throw new FirnError(
    "E_MIRROR",
    `${url} cannot be fetched${said === "" ? "" : `: ${said}`}.`,
    "Check the network and the repository's address.",
  );
}
