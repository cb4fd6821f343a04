import { randomBytes } from "node:crypto";
import type { Serial } from "./serial.ts";

export interface CommandResult {
  readonly status: number;
  /** What the command printed to stdout and stderr, line ends as \n. */
  readonly stdout: string;
}

export interface CommandOptions {
  /** Default 60, scaled. */
  readonly timeoutSeconds?: number;
  /** The command's stdin is the console, for questions answered with waitFor and send. Default: /dev/null. */
  readonly interactive?: boolean;
}

/**
 * The loop that takes the place of the login shell: no prompt, no line editing (busybox ash's would echo whatever the
 * terminal's settings say), one base64 line a piece, an empty line to run what has come. `C` holds the pieces.
 */
const loop = [
  "stty -echo",
  "PS1=",
  "exec /bin/sh -c 'C=; while IFS= read -r L; do",
  'case "$L" in',
  '"+"*) C="$C${L#+}";;',
  '"="*) set -- ${L#=}; K="$(printf %s "$C" | base64 -d)"; C=;',
  'echo "<$1"; case "$2" in tty) (eval "$K") 2>&1;; *) (eval "$K") </dev/null 2>&1;; esac; echo "$1:$?>";;',
  "esac; done'",
];

/** The terminal's line buffer holds 4,095 bytes (Linux N_TTY); this stays well below. */
const pieceLength = 1000;

/** Waits for `login:`, logs in, and starts the loop that runCommand talks to. */
export async function login(
  serial: Serial,
  user: string,
  password: string | undefined,
  timeoutSeconds: number,
): Promise<void> {
  // Not anchored: a late message of the kernel's may follow the prompt.
  await serial.waitFor(/(?<!Last )login: /, timeoutSeconds);
  serial.send(`${user}\n`);
  if (password !== undefined) {
    await serial.waitFor(/[Pp]assword: ?$/, timeoutSeconds);
    serial.send(`${password}\n`);
  }
  await waitForPrompt(serial, user, timeoutSeconds);
  const token = newToken();
  // Kernel messages in the middle of an output would be taken for output.
  if (user === "root") serial.send("dmesg -n 1\n");
  serial.send(`${loop[0]}; ${loop[1]}; ${loop.slice(2).join(" ")}\n`);
  serial.send(`+${Buffer.from("true").toString("base64")}\n=${token} none\n`);
  await serial.waitFor(`${token}:0>`, timeoutSeconds);
}

/** A message of the kernel's behind the prompt hides it; another line end brings another prompt. */
async function waitForPrompt(serial: Serial, user: string, timeoutSeconds: number): Promise<void> {
  const patience = 5;
  for (let left = timeoutSeconds; ; left -= patience) {
    try {
      const { match } = await serial.waitFor(/[#$] $|Login incorrect/, Math.min(left, patience));
      if (match[0] === "Login incorrect") throw new LoginRefused(`${user} cannot log in: Login incorrect`);
      return;
    } catch (error) {
      if (error instanceof LoginRefused || left <= patience) throw error;
      serial.send("\n");
    }
  }
}

class LoginRefused extends Error {}

/**
 * Runs one command in the loop that login started. Throws when it does not end in time, with the console's last lines.
 */
export async function runCommand(serial: Serial, command: string, options: CommandOptions): Promise<CommandResult> {
  const from = serial.cursor;
  const token = startCommand(serial, command, options);
  const seconds = options.timeoutSeconds ?? 60;
  try {
    const begin = await serial.search(`<${token}\n`, from, seconds);
    serial.consumeTo(begin.end);
    const end = await serial.search(new RegExp(`${token}:(\\d+)>`), begin.end, seconds);
    serial.consumeTo(end.end);
    const length = end.match[0].length;
    return { status: Number(end.match[1]), stdout: serial.text.slice(begin.end, end.end - length) };
  } catch (error) {
    throw new Error(`the command ${JSON.stringify(command)} did not end: ${String(error)}`, { cause: error });
  }
}

/** Types one command into the loop that login started; returns the token that its output is framed with. */
export function startCommand(serial: Serial, command: string, options: CommandOptions): string {
  const token = newToken();
  const encoded = Buffer.from(command).toString("base64");
  for (let at = 0; at < encoded.length; at += pieceLength) serial.send(`+${encoded.slice(at, at + pieceLength)}\n`);
  serial.send(`=${token} ${options.interactive === true ? "tty" : "none"}\n`);
  return token;
}

function newToken(): string {
  return `firn-${randomBytes(6).toString("hex")}`;
}
