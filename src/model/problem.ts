import { given } from "./given.ts";

/**
 * What can stop firn, each with a stable code and an exit code of its own. 0 is success,
 * 2 a wrong command line, 130 an interruption (128 + SIGINT).
 */
export const exitCodes = {
  E_INTERNAL: 70,
  E_USAGE: 2,
  E_INTERRUPTED: 130,
  E_NOT_ROOT: 10,
  E_CONFIG_SYNTAX: 11,
  E_CONFIG_KEY: 12,
  E_CONFIG_VALUE: 13,
  E_CONFIG_FILE: 14,
  E_DISK_MISSING: 20,
  E_DISK_PARTITION: 21,
  E_DISK_BUSY: 22,
  E_DISK_SMALL: 23,
  E_DISK_FULL_OF_DATA: 24,
  E_IMAGE_EXISTS: 25,
  E_IMAGE_SPACE: 26,
  E_LOOP: 27,
  E_CONFIRM: 28,
  E_PROGRAM_MISSING: 30,
  E_PROGRAM_FAILED: 31,
  E_MIRROR: 32,
  E_MIRROR_STALE: 33,
  E_SIGNATURE: 34,
  E_PACKAGE_MISSING: 35,
  E_PACKAGE_SCRIPT: 36,
  E_PACKAGE_CONFLICT: 37,
  E_BOOT_FILES: 38,
  E_BOOT_LOADER: 39,
  E_TIMEZONE: 40,
  E_KEYMAP: 41,
  E_COMMONS: 42,
  E_ARCH: 43,
  E_NOT_A_VOLUME: 50,
  E_VOLUME_READONLY: 51,
  E_INSTALL_UNFINISHED: 52,
  E_GENERATION_MISSING: 53,
  E_GENERATION_AMBIGUOUS: 54,
  E_GENERATION_KEPT: 55,
  E_LOCKED: 56,
  E_NO_SPACE: 57,
  E_COMMAND: 58,
  E_FILE: 59,
  E_MOUNT: 60,
  E_NOT_DURABLE: 61,
  E_IN_DRAFT: 62,
  E_OUTPUT: 63,
  E_NESTED: 64,
  E_INDEX_OLD: 65,
  E_INDEX_RELEASE: 66,
  E_DOWNGRADE: 67,
  E_KILLED: 75,
  E_RUN: 76,
  E_UNFIT: 77,
} as const;

export type ProblemCode = keyof typeof exitCodes;

/**
 * How things stand after a problem. Set by the scope that knows it (`settled`), never by the line that failed: what a
 * failure means for the machine is decided by what was done before it and what was taken back after it.
 */
export type Effect =
  | "nothing changed"
  | "draft discarded"
  | "draft left"
  | "draft kept"
  | "image left"
  | "default unchanged"
  | "committed"
  | "disk unfinished"
  | "image removed";

/**
 * What stopped (`message`, one line), what to do next (`hint`), and how things stand (`effect`). The message promises
 * nothing: that is the effect's.
 */
export interface Problem {
  readonly code: ProblemCode;
  readonly message: string;
  /** What a program or a list says of it, a line each. */
  readonly details?: readonly string[];
  readonly hint?: string;
  readonly effect?: Effect;
  /** The disk, image or draft that `effect` speaks of. */
  readonly about?: string;
}

/** A no as a value: what a plan or a parser gives in place of what was asked for. */
export interface Refusal {
  readonly kind: "refusal";
  readonly problem: Problem;
}

function problem(code: ProblemCode, message: string, hint?: string, details?: readonly string[]): Problem {
  return given({ code, message, details: details?.length === 0 ? undefined : details, hint });
}

export function refuse(code: ProblemCode, message: string, hint?: string, details?: readonly string[]): Refusal {
  return { kind: "refusal", problem: problem(code, message, hint, details) };
}

export function isRefusal(value: unknown): value is Refusal {
  return typeof value === "object" && value !== null && (value as { kind?: unknown }).kind === "refusal";
}

/** A no that is thrown: a broken world. Carries the same Problem as a Refusal, and is printed in one place, report/. */
export class FirnError extends Error {
  readonly problem: Problem;
  constructor(code: ProblemCode, message: string, hint?: string, details?: readonly string[]) {
    super(message);
    this.problem = problem(code, message, hint, details);
  }

  static of(what: Problem): FirnError {
    const error = new FirnError(what.code, what.message, what.hint);
    return Object.assign(error, { problem: what });
  }
}

/** The value, or the refusal thrown as an error: where the caller has nothing left to decide. */
export function orThrow<T>(value: T | Refusal): T {
  if (!isRefusal(value)) return value;
  throw FirnError.of(value.problem);
}

/** A problem with its effect, unless an inner scope, which knew better, has set one. */
export function settled(what: Problem, effect: Effect, about?: string): Problem {
  if (what.effect !== undefined) return what;
  return about === undefined ? { ...what, effect } : { ...what, effect, about };
}
