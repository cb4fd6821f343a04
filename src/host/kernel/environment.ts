import { hex } from "../../model/text/hex.ts";
import { Fd, readLink, readText } from "./files.ts";
import { sys } from "./sys.ts";

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
