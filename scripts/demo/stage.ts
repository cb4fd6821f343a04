import { setInterval } from "node:timers";
import type { Machine } from "../../test/vm/harness/machine.ts";

const colours = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;

function styled(code: number, text: string): string {
  return colours ? `\u001b[${code}m${text}\u001b[0m` : text;
}

const begun = Date.now();

/** Starts a chapter of the demonstration, with the seconds since its beginning. */
export function heading(text: string): void {
  const seconds = Math.round((Date.now() - begun) / 1000);
  console.log(`\n${styled(1, `== ${text}`)} ${styled(2, `(${seconds} s)`)}\n`);
}

/** A sentence for the reader, between the commands. */
export function remark(text: string): void {
  console.log(styled(2, `# ${text}`));
}

/** A command as it was typed. */
export function prompt(where: string, command: string): void {
  console.log(`${styled(32, where)} ${styled(1, command)}`);
}

/** What a command printed. Package by package is too much to read: firn indents those lines, and they stay out. */
export function output(text: string): void {
  const lines = text.split("\n").filter((line) => !/^ {6}\S/.test(line));
  const shown = lines.join("\n").trimEnd();
  if (shown !== "") console.log(shown);
}

/** Who is typing, in the machine. */
const PROMPT = "snow:~#";

/**
 * Types a command into the machine, shows it and what it printed, and returns that. Throws when it ends otherwise than was
 * said: a demonstration that fails must not look like one that worked.
 */
export async function type(
  machine: Machine,
  command: string,
  expect: "success" | "failure" = "success",
): Promise<string> {
  prompt(PROMPT, command);
  const { status, stdout } = await machine.run(command, { timeoutSeconds: 180 });
  output(stdout);
  if ((status === 0) !== (expect === "success"))
    throw new Error(`${command}: exit status ${status}, against expectation`);
  return stdout;
}

/** Shows rEFInd's menu as it stands on the machine's screen, and lets its time run out. */
export async function menu(machine: Machine): Promise<void> {
  const entries = await machine.menu();
  for (const { text, selected } of entries) console.log(`   ${selected ? styled(7, `> ${text} `) : `  ${text}`}`);
  console.log("");
  if (process.env["DBG"]) console.log("MENU", Date.now() - begun);
}

/** Waits for the login prompt, showing the services as they start, and logs root in. */
export async function login(machine: Machine, password: string): Promise<void> {
  let shown = machine.text.length;
  const show = (): void => {
    const end = machine.text.lastIndexOf("\n") + 1;
    for (const line of machine.text.slice(shown, end).split("\n"))
      if (line.startsWith(" * ")) console.log(process.env["DBG"] ? Date.now() - begun : "", line.trimEnd());
    shown = Math.max(shown, end);
  };
  const timer = setInterval(show, 250);
  try {
    await machine.login("root", password);
  } finally {
    clearInterval(timer);
  }
  show();
  prompt("snow login:", "root");
  prompt("Password:", "*".repeat(password.length));
}

/** Types `reboot`, waits for the menu and for the login. */
export async function reboot(machine: Machine, password: string): Promise<void> {
  prompt(PROMPT, "reboot");
  machine.start("reboot");
  await machine.waitFor(/reboot: Restarting system/);
  await menu(machine);
  await login(machine, password);
}
