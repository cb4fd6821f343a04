import { FirnError, type Problem } from "../../model/problem.ts";

/** A system call said no. The name of the errno is in `code`: "ENOENT", "EROFS", … */
export class SysError extends Error {
  constructor(
    readonly code: string,
    readonly call: string,
    readonly path: string | null,
    readonly reason: string,
  ) {
    super(`${call}${path === null ? "" : ` ${path}`}: ${reason}`);
  }
}

/** True when `error` is a SysError with one of these codes. */
export function isSysError(error: unknown, ...codes: string[]): error is SysError {
  return error instanceof SysError && (codes.length === 0 || codes.includes(error.code));
}

/** The error that came first, when releasing something failed because of it: what a user needs to know. */
function firstCause(error: unknown): unknown {
  if (error instanceof Error && error.name === "SuppressedError" && "suppressed" in error)
    return firstCause(error.suppressed);
  return error;
}

/** The calls whose names lie below a volume's top level or in a root of it: native/within.c and native/volume.c. */
const BELOW = /^(?:(?:open|mkdir|unlink|symlink|rename)at$|subvolume )/;

/** Where a path lies: on the volume, or on a root of it that a draft's programs see, in memory, or anywhere else. */
function placeOf({ call, path }: SysError): "volume" | "run" | "elsewhere" {
  if (BELOW.test(call)) return /^\/(run|tmp|dev)(\/|$)/.test(path ?? "") ? "run" : "volume";
  if (path === null || /^\/run\/firn\/(volume|root(?!\/(run|tmp|dev)(\/|$)))(\/|$)/.test(path)) return "volume";
  return /^\/run(\/|$)/.test(path) ? "run" : "elsewhere";
}

/** What helps where the volume is full. */
export const GC_FREES = "`firn gc` frees space.";

const room = {
  volume: GC_FREES,
  run: "/run is in memory: make room there (`df /run`).",
  elsewhere: "This is not the volume: make room there.",
} as const;

/** What stands in the way of root. */
const FLAGGED = "a flag of the file may forbid it (`lsattr`), or a container that was not given the device.";

/** What a failed system call means to a user, by what it happened to; undefined when it was none. */
function systemFailure(error: unknown): Problem | undefined {
  if (!(error instanceof SysError)) return undefined;
  const { message } = error;
  const place = placeOf(error);
  switch (error.code) {
    case "ENOSPC":
    case "EDQUOT":
      return { code: "E_NO_SPACE", message: `The filesystem is full (${message}).`, hint: room[place] };
    case "EROFS":
      if (place === "volume") return { code: "E_VOLUME_READONLY", message: `${message}.` };
      return {
        code: "E_FILE",
        message: `${message}.`,
        hint: "This is not the volume: firn must be able to write there.",
      };
    case "EPERM":
    case "EACCES":
      // Only root gets as far as that.
      if (BELOW.test(error.call)) return { code: "E_FILE", message: `${message}.`, hint: `For root too ${FLAGGED}` };
      return { code: "E_NOT_ROOT", message: `${message}.`, hint: `Run it as root. For root too ${FLAGGED}` };
    default:
      return { code: "E_FILE", message: `${message}.` };
  }
}

/** What a thrown thing means to a user. Only what nobody foresaw is E_INTERNAL. */
export function problemOf(thrown: unknown): Problem {
  const error = firstCause(thrown);
  if (error instanceof FirnError) return error.problem;
  const failure = systemFailure(error);
  if (failure !== undefined) return failure;
  // The engine's own words (JS_ThrowStackOverflow in quickjs.c).
  if (error instanceof Error && error.name === "InternalError" && error.message === "stack overflow")
    return { code: "E_FILE", message: "Folders are nested too deep for firn." };
  const hint = "This is a defect of firn.";
  if (!(error instanceof Error)) return { code: "E_INTERNAL", message: String(error), hint };
  return { code: "E_INTERNAL", message: error.message, details: (error.stack ?? "").trimEnd().split("\n"), hint };
}

/**
 * Cleans up after a failure, whose cause is about to be thrown: what fails here must not hide it. What is left, the
 * next run finds.
 */
export function cleanUp(work: () => void): void {
  try {
    work();
  } catch {
    return;
  }
}
