import { checkInterrupt } from "../kernel/run.ts";
import { isSysError, sys } from "../kernel/sys.ts";

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;

/** Writes to stdout. A reader that went away (`firn list | head`) ends the program as it ends any other. */
export function print(text: string): void {
  write(STDOUT, text);
}

/** Writes to stderr. */
export function say(text: string): void {
  write(STDERR, text);
}

/** 128 + SIGPIPE. */
const BROKEN_PIPE = 141;

function write(fd: number, text: string): void {
  try {
    sys.write(fd, text);
  } catch (error) {
    if (!isSysError(error, "EPIPE")) throw error;
    // Nobody reads the talk any more; the work goes on. An answer that nobody reads ends the program, its work being done.
    if (fd === STDOUT) exit(BROKEN_PIPE);
  }
}

export function exit(code: number): never {
  return sys.exit(code);
}

/** The words of the command line, the program's own name left out. */
export function commandLine(): string[] {
  return sys.args.slice(1);
}

export function environment(name: string): string | undefined {
  return sys.getenv(name) ?? undefined;
}

export function isTerminal(): boolean {
  return sys.isatty(STDIN);
}

/** One byte from the terminal, or none at its end. Throws E_INTERRUPTED on ^C. */
function readLetter(): ArrayBuffer {
  for (;;) {
    try {
      return sys.read(STDIN, 1);
    } catch (error) {
      if (!isSysError(error, "EINTR")) throw error;
      say("\n");
      checkInterrupt();
    }
  }
}

/** Asks on stderr and gives the answer without its line end; undefined when stdin has ended. */
export function ask(question: string): string | undefined {
  say(question);
  let line = "";
  for (;;) {
    const bytes = readLetter();
    if (bytes.byteLength === 0) return line === "" ? undefined : line;
    const letter = sys.decode(bytes);
    if (letter === "\n") return line.trim();
    line += letter;
  }
}

/** The folder that relative paths on the command line start from. */
export function workingDirectory(): string {
  return sys.readlink("/proc/self/cwd");
}
