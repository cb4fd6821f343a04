/** This process: what it was started with, and the namespaces and the terminal that it works in. */
import { hex } from "../../model/text/hex.ts";
import { FirnError, type Problem } from "../../model/problem.ts";
import { isSysError } from "./failure.ts";
import { Fd, readLink, readText } from "./files.ts";
import {
  CLONE_NEWNS,
  CLONE_NEWPID,
  MS,
  SIGHUP,
  SIGINT,
  SIGKILL,
  SIGPIPE,
  SIGQUIT,
  SIGTERM,
  SIGUSR1,
  SIGUSR2,
  sys,
} from "./sys.ts";

/** The words of the command line, the program's own name left out. */
export function commandLine(): string[] {
  return sys.args.slice(1);
}

/** A variable of firn's own environment. No program that firn runs has it: see run.ts. */
export function ownVariable(name: string): string | undefined {
  return sys.getenv(name) ?? undefined;
}

export const stdin = Fd.adopt(0);
export const stdout = Fd.adopt(1);
export const stderr = Fd.adopt(2);

/**
 * Writes to stdout or stderr, whose reader may stand still (a pager, a stopped terminal): signals are heard meanwhile.
 * Throws SysError, EINTR where one came.
 */
export function tell(stream: Fd, text: string): void {
  sys.tell(stream.number, text);
}

export function isTerminal(fd: Fd): boolean {
  return sys.isatty(fd.number);
}

/** The folder that relative paths on the command line start from. */
export function workingDirectory(): string {
  return readLink("/proc/self/cwd");
}

/** Ends the process now; nothing that is open is released by firn. */
export function exit(code: number): never {
  return sys.exit(code);
}

/** The machine's RAM in bytes, from /proc/meminfo. */
export function memoryBytes(): number {
  return Number(/^MemTotal:\s+(\d+) kB/m.exec(readText("/proc/meminfo"))?.[1] ?? 0) * 1024;
}

/** At most 64. */
export function randomBytes(count: number): Uint8Array {
  return new Uint8Array(sys.random(count));
}

/** Random bytes as hexadecimal digits. */
export function randomHex(bytes: number): string {
  return hex(randomBytes(bytes));
}

/** `uname -m` */
export function machineName(): string {
  return sys.uname().machine;
}

/** Signals become a flag that the runner and the executor look at, so that what was acquired is released. */
export function catchSignals(): void {
  for (const signal of [SIGINT, SIGQUIT, SIGTERM, SIGHUP]) sys.catchSignal(signal);
  sys.ignoreSignal(SIGPIPE);
}

/** Gives this process mounts of its own. They go when the process goes. Throws E_NOT_ROOT. */
export function privateMounts(): void {
  if (sys.geteuid() !== 0) throw new FirnError("E_NOT_ROOT", "This needs root.", "Run it with doas or sudo.");
  sys.unshare(CLONE_NEWNS);
  // Slave, not private: what is unmounted outside goes here too, so firn never pins a disk that somebody lets go.
  sys.mount("none", "/", "", MS.REC | MS.SLAVE, "");
}

/**
 * Goes on in a child that is the first process of a PID and mount namespace; the caller's process stays behind,
 * passes signals on and ends with the child's exit code, or as `killed` does when a signal killed the child. However
 * either of them dies, the kernel ends every process inside and drops every mount.
 */
export function isolate(killed: (problem: Problem) => never): void {
  privateMounts();
  sys.unshare(CLONE_NEWPID);
  foreground = sys.foreground();
  const [alive, parentEnd] = sys.pipe();
  const pid = sys.fork();
  if (pid !== 0) supervise(pid, killed);
  sys.deathSignal(SIGKILL);
  for (const signal of [SIGUSR1, SIGUSR2]) sys.catchSignal(signal);
  sys.close(parentEnd);
  // The parent may have died before the death signal was set: then the pipe's other end is gone.
  if (sys.poll([alive], 0).length > 0) sys.exit(1);
}

let foreground = false;

/**
 * Makes this process the terminal's foreground, by itself: the group outside has no number in its PID namespace, and
 * could not be given the terminal again when a shell has had it.
 */
export function ownTerminal(): void {
  if (!foreground || sys.getpid() !== 1) return;
  try {
    sys.ownGroup();
    sys.takeTerminal();
  } catch (error) {
    // The terminal has hung up.
    if (!isSysError(error)) throw error;
  }
}

/** For whoever uses the terminal next. */
function returnTerminal(): void {
  try {
    if (foreground) sys.takeTerminal();
  } catch (error) {
    if (!isSysError(error)) throw error;
  }
}

/** What is left to say when the process that did the work is gone. */
function killedBy(signal: number): Problem {
  const why = signal === SIGKILL ? ", as the kernel does when memory runs out (dmesg)" : "";
  return {
    code: "E_KILLED",
    message: `Signal ${signal} ended firn in the middle of its work${why}.`,
    hint: "The old or the new generation boots, whole: `firn status` says which. A draft that was left goes with the next change; an installation or an image must be begun anew.",
  };
}

function supervise(pid: number, killed: (problem: Problem) => never): never {
  for (;;) {
    const ended = sys.wait(pid, true);
    if (ended !== null) {
      returnTerminal();
      const [, status, signal] = ended;
      if (signal !== 0) killed(killedBy(signal));
      sys.exit(status);
    }
    try {
      sys.kill(pid, sys.pendingSignal());
    } catch (error) {
      if (!isSysError(error)) throw error;
    }
  }
}

/** Ends every other process of the namespace: daemons that a package script left running. */
export function endOthers(): void {
  if (sys.getpid() !== 1) return;
  try {
    sys.kill(-1, SIGKILL);
    while (sys.wait(-1, true) !== null);
  } catch (error) {
    if (!isSysError(error)) throw error;
  }
}
