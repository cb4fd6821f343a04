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
 * Types a command into the machine, shows it and what it printed, and returns that. Throws when it ends otherwise than
 * was said: a demonstration that fails must not look like one that worked.
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
async function menu(machine: Machine): Promise<void> {
  const entries = await machine.menu();
  for (const { text, selected } of entries) console.log(`   ${selected ? styled(7, `> ${text} `) : `  ${text}`}`);
  console.log("");
  if (process.env["DBG"]) console.log("MENU", Date.now() - begun);
}

/**
 * From power-on to a shell: the menu, the services as they start (when `services` are to be shown), the login of root.
 */
export async function boot(machine: Machine, password: string, services: boolean): Promise<void> {
  await menu(machine);
  await login(machine, password, services);
}

/** What OpenRC says of its services, and the verdict of one that printed something in between. */
const SERVICE = /^ \*|^ ?\[ (?:ok|!!) \]/;

/** Waits for the login prompt and logs root in. */
async function login(machine: Machine, password: string, services: boolean): Promise<void> {
  let shown = machine.text.length;
  let failed = false;
  const show = (): void => {
    const end = machine.text.lastIndexOf("\n") + 1;
    for (const line of machine.text
      .slice(shown, end)
      .split("\n")
      .filter((text) => SERVICE.test(text))) {
      console.log(line.trimEnd());
      failed ||= line.includes("[ !! ]");
    }
    shown = Math.max(shown, end);
  };
  const timer = services ? setInterval(show, 250) : undefined;
  try {
    await machine.login("root", password);
  } finally {
    clearInterval(timer);
  }
  if (services) show();
  if (failed && machine.text.includes("/proc/sys/kernel/hotplug"))
    remark("mdev's [ !! ] is the stand-in kernel's: Debian builds it without UEVENT_HELPER, which Alpine's has.");
  prompt("snow login:", "root");
  prompt("Password:", "*".repeat(password.length));
}

/** Types the command that ends the machine, `reboot` or `poweroff`, and waits until it has. */
export async function leave(machine: Machine, command: "reboot" | "poweroff"): Promise<void> {
  prompt(PROMPT, command);
  machine.start(command);
  await machine.waitForPowerOff();
}
