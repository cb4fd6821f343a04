import { FirnError } from "../../model/problem.ts";
import { packageOf } from "../../model/kernel/programs.ts";
import { isSysError } from "./failure.ts";
import { ownTerminal } from "./process.ts";
import { O, SIGINT, SIGKILL, SIGQUIT, SIGTERM, sys } from "./sys.ts";

/** How a program is run. All paths in `argv` are seen from inside `chroot`. */
export interface RunOptions {
  chroot?: string;
  cwd?: string;
  /** Added to, or replacing, the rebuilt environment. */
  env?: Readonly<Record<string, string>>;
  /** Text for stdin; without it stdin is /dev/null. */
  input?: string;
  /** A descriptor for stdin, closed here once the program has it. */
  stdin?: number;
  /** The terminal itself instead of pipes: for shells and editors. */
  terminal?: boolean;
  /** At the terminal, what it prints goes to stderr: stdout is kept for firn's own answer. */
  keepStdout?: boolean;
  /** At the terminal: called when the program has asked its init, which firn is, to reboot or halt. */
  onReboot?: () => void;
  /** Called with each line of stdout as it comes, and how many lines of stderr have come before it. */
  onLine?: (line: string, saidBefore: number) => void;
}

export interface Finished {
  argv: readonly string[];
  /** Exit code, or 128 plus the signal's number. */
  status: number;
  stdout: string;
  stderr: string;
}

/** The whole environment of every child: nothing of the caller's leaks into apk's scripts. */
const environment = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  LC_ALL: "C",
  TZ: "UTC0",
};

/** Bytes that are kept of the beginning of what a program prints to stdout and stderr, and of the end of each. */
const KEPT = [16 << 20, 1 << 20] as const;
/** Reads after which a line is nobody's that firn waits for: a program's without line ends. */
const LONGEST_LINE = 4096;

/** Longest tail of stderr, in characters, that a failure carries. */
const TAIL = 2000;

/** What stops firn, as a person knows it. */
const stops = new Map([
  [SIGINT, "^C"],
  [SIGQUIT, "^\\"],
  [SIGTERM, "SIGTERM"],
]);

/** Throws E_INTERRUPTED once a caught signal has come in. */
export function checkInterrupt(): void {
  const signal = sys.pendingSignal();
  if (signal === 0) return;
  throw new FirnError("E_INTERRUPTED", `Stopped by ${stops.get(signal) ?? "a hang-up"}.`);
}

/** Waits. A signal that firn catches ends it early. */
export function pause(milliseconds: number): void {
  sys.poll([], milliseconds);
}

/**
 * Runs a program to its end and gives what it printed, whatever its exit code. A signal that firn catches is passed on
 * to it, and then thrown. Throws E_PROGRAM_MISSING when there is no such program, E_INTERRUPTED on a signal.
 */
export function tryRun(argv: readonly string[], options: RunOptions = {}): Finished {
  checkInterrupt();
  const env = Object.entries({ ...environment, ...options.env }).map(([name, value]) => `${name}=${value}`);
  const pipes = options.terminal ? [] : [sys.pipe(), sys.pipe()];
  const input = options.input === undefined ? undefined : sys.pipe();
  const given = options.stdin ?? (options.terminal || input ? undefined : sys.open("/dev/null", O.RDONLY, 0));
  const stdin = input?.[0] ?? given ?? 0;
  if (options.terminal) ownTerminal();
  let pid: number;
  try {
    const fds = [stdin, pipes[0]?.[1] ?? (options.keepStdout ? 2 : 1), pipes[1]?.[1] ?? 2];
    pid = sys.spawn(argv, env, fds, options.chroot ?? null, options.cwd ?? (options.chroot === undefined ? null : "/"));
  } catch (error) {
    for (const fd of [...pipes.map(([read]) => read), ...(input ? [input[1]] : [])]) sys.close(fd);
    if (!isSysError(error, "ENOENT", "EACCES") || error.call !== "exec") throw error;
    const program = argv[0] ?? "";
    throw new FirnError("E_PROGRAM_MISSING", `${program}: this program is not installed.`, packageOf(program));
  } finally {
    for (const [, write] of pipes) sys.close(write);
    if (input) sys.close(input[0]);
    if (given !== undefined) sys.close(given);
  }
  if (input) feed(input[1], options.input ?? "");
  if (options.terminal) {
    const status = reap(pid, true, options.onReboot);
    ownTerminal();
    checkInterrupt();
    return { argv, status, stdout: "", stderr: "" };
  }
  const said = collect(
    pipes.map(([read]) => read),
    pid,
    options.onLine,
  );
  checkInterrupt();
  return { argv, ...said };
}

/** As tryRun, but an exit code other than 0 throws E_PROGRAM_FAILED with argv, the code and the end of stderr. */
export function run(argv: readonly string[], options: RunOptions = {}): Finished {
  const finished = tryRun(argv, options);
  if (finished.status !== 0) throw programFailed(finished);
  return finished;
}

/**
 * Runs `first | second` and gives what the second printed; `stdin` is the first's. Throws when the second fails; the
 * first's own words are dropped.
 */
export function runPiped(first: readonly string[], second: readonly string[], options: RunOptions = {}): Finished {
  const [read, write] = sys.pipe();
  const nothing = sys.open("/dev/null", O.RDWR, 0);
  const input = options.stdin ?? nothing;
  const env = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  let pid: number;
  try {
    pid = sys.spawn(
      first,
      env,
      [input, write, nothing],
      options.chroot ?? null,
      options.chroot === undefined ? null : "/",
    );
  } finally {
    sys.close(write);
    sys.close(nothing);
    if (input !== nothing) sys.close(input);
  }
  const finished = run(second, { ...options, stdin: read });
  reap(pid, false);
  return finished;
}

export function programFailed(finished: Finished): FirnError {
  const said = (finished.stderr.trim() || finished.stdout.trim()).slice(-TAIL);
  const message = `\`${finished.argv.join(" ")}\` failed with exit code ${finished.status}.`;
  return new FirnError("E_PROGRAM_FAILED", message, undefined, said === "" ? [] : said.split("\n"));
}

function feed(fd: number, text: string): void {
  try {
    sys.tell(fd, text);
  } catch (error) {
    // It reads no more, or a signal came: whoever waits for its end passes that on.
    if (!isSysError(error, "EPIPE", "EINTR")) throw error;
  } finally {
    sys.close(fd);
  }
}

/** Milliseconds: the longest pause between two looks at a child that says nothing. */
const LOOK = 200;
/** Milliseconds without output after which an ended child has said all. */
const QUIET = 100;
/** Milliseconds in which what an ended child wrote is read, however much its daemons go on writing. */
const DRAIN = 2000;
/** Milliseconds from SIGTERM to SIGKILL. */
const PATIENCE = 10_000;

/**
 * Reads what a child prints until it has ended, and reaps it. The end of the pipes is not waited for: a daemon that a
 * script left running holds them for as long as it lives.
 */
function collect(
  fds: number[],
  pid: number,
  onLine?: (line: string, saidBefore: number) => void,
): { status: number; stdout: string; stderr: string } {
  const parts = fds.map((_, at) => new Kept(KEPT[at] ?? 0));
  let open = fds;
  let line: Uint8Array[] = [];
  let said = 0;
  const ended = watch(pid);
  // A child that closed its pipes ends at once as a rule: looked at soon, then ever less often.
  let pause = 1;
  while (open.length > 0 || ended.status() === undefined) {
    const ready = sys.poll(open, open.length > 0 ? ended.pause() : (pause = Math.min(pause * 2, LOOK)));
    // stdout first: what came on stderr in the same moment may be of later.
    for (const fd of fds.filter((one) => ready.includes(one))) {
      const bytes = new Uint8Array(sys.read(fd, 65_536));
      if (bytes.length === 0) {
        open = open.filter((other) => other !== fd);
        continue;
      }
      const index = fds.indexOf(fd);
      parts[index]?.add(bytes);
      if (index === 0 && onLine) line = emitLines([...line, bytes], (text) => onLine(text, said));
      if (line.length > LONGEST_LINE) line = [];
      if (index === 1) said += bytes.filter((byte) => byte === 10).length;
    }
    if (ended.saidAll(ready.length === 0)) break;
  }
  for (const fd of fds) sys.close(fd);
  const [stdout = "", stderr = ""] = parts.map((part) => part.text());
  return { status: ended.status() ?? 0, stdout, stderr };
}

/** The beginning and the end of what a program prints, which may be more than there is memory. */
class Kept {
  private readonly head: Uint8Array[] = [];
  private readonly tail: Uint8Array[] = [];
  private headBytes = 0;
  private tailBytes = 0;
  private leftOut = 0;

  constructor(private readonly most: number) {}

  add(bytes: Uint8Array): void {
    if (this.headBytes < this.most) {
      this.head.push(bytes);
      this.headBytes += bytes.length;
      return;
    }
    this.tail.push(bytes);
    this.tailBytes += bytes.length;
    while (this.tailBytes - (this.tail[0]?.length ?? 0) > this.most) {
      const gone = this.tail.shift()?.length ?? 0;
      this.tailBytes -= gone;
      this.leftOut += gone;
    }
  }

  text(): string {
    if (this.leftOut === 0) return sys.decode(joined([...this.head, ...this.tail]));
    const [start, end] = [this.head, this.tail].map((part) => sys.decode(joined(part)));
    return `${start}\n(${this.leftOut} bytes are left out here)\n${end}`;
  }
}

interface Watch {
  /** The exit code, once it has ended. Reaps it, and passes signals on while it runs. */
  status(): number | undefined;
  /** Milliseconds to wait for output. */
  pause(): number;
  /** True when it has ended and nothing more of its own can come. */
  saidAll(quiet: boolean): boolean;
}

function watch(pid: number): Watch {
  let status: number | undefined;
  let endedAt = 0;
  let asked: number | undefined;
  let killed = false;
  const look = (): number | undefined => {
    if (status !== undefined) return status;
    const result = sys.wait(pid, false);
    if (result !== null && result[0] === pid) {
      endedAt = Date.now();
      return (status = result[1]);
    }
    if (sys.pendingSignal() === 0) return undefined;
    // Asked once; a child that ignores it is killed.
    if (asked === undefined) signalChild(pid, SIGTERM);
    asked ??= Date.now();
    if (!killed && Date.now() - asked >= PATIENCE) {
      signalChild(pid, SIGKILL);
      killed = true;
    }
    return undefined;
  };
  return {
    status: look,
    pause: () => (status === undefined ? LOOK : QUIET),
    // Quiet counts only when it was already known to have ended: what it wrote before lies in the pipe then.
    saidAll: (quiet) => {
      const known = status !== undefined;
      return look() !== undefined && known && (quiet || Date.now() - endedAt >= DRAIN);
    },
  };
}

function emitLines(chunks: Uint8Array[], onLine: (line: string) => void): Uint8Array[] {
  const last = chunks.at(-1);
  if (last === undefined || !last.includes(10)) return chunks;
  const whole = new Uint8Array(joined(chunks));
  const end = whole.lastIndexOf(10);
  for (const text of sys.decode(whole.slice(0, end).buffer).split("\n")) onLine(text);
  return end + 1 < whole.length ? [whole.slice(end + 1)] : [];
}

function joined(chunks: Uint8Array[]): ArrayBuffer {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole.buffer;
}

function signalChild(pid: number, signal: number): void {
  try {
    sys.kill(pid, signal);
  } catch (error) {
    if (!isSysError(error)) throw error;
  }
}

function reap(pid: number, terminal: boolean, onReboot?: () => void): number {
  // At a terminal ^C belongs to the shell or the editor: it has had the signal itself.
  if (terminal) sys.ignoreSignal(SIGINT);
  try {
    for (;;) {
      const ended = sys.wait(pid, true);
      if (sys.initSignal() !== 0) onReboot?.();
      if (ended !== null) return ended[1];
      if (sys.pendingSignal() !== 0) signalChild(pid, SIGTERM);
    }
  } finally {
    if (terminal) sys.catchSignal(SIGINT);
  }
}

/** Throws E_PROGRAM_MISSING, naming all that are missing, unless every program is in the PATH that run() uses. */
export function requirePrograms(programs: readonly string[]): void {
  const folders = environment.PATH.split(":");
  const missing = programs.filter(
    (program) => !folders.some((folder) => sys.stat(`${folder}/${program}`, true) !== null),
  );
  if (missing.length === 0) return;
  const hints = [...new Set(missing.flatMap((program) => packageOf(program) ?? []))];
  throw new FirnError("E_PROGRAM_MISSING", `Not installed: ${missing.join(", ")}.`, hints.join(" "));
}
