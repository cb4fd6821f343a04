import { pause, slowness } from "./clock.ts";
import type { Serial } from "./serial.ts";

/** One line of rEFInd's text menu, as it stands there: `Boot Alpine 0 from ROOT`, `Shut Down Computer`. */
export interface MenuEntry {
  readonly text: string;
  readonly selected: boolean;
}

/** What the terminal of the firmware takes as arrow keys (EDK II TerminalDxe, PC-ANSI and VT100 alike). */
const keys = { up: "\u001b[A", down: "\u001b[B", enter: "\r" };

/** Waits until rEFInd's text menu stands on the serial console; returns its entries from the first to the last. */
export async function readMenu(serial: Serial, timeoutSeconds: number): Promise<MenuEntry[]> {
  const deadline = Date.now() + timeoutSeconds * slowness * 1000;
  for (;;) {
    const entries = menuOnScreen(serial);
    if (entries !== undefined) {
      serial.consumeTo(serial.text.length);
      return entries;
    }
    // The menu is looked for on the screen; this says how things stand when it never comes.
    const left = (deadline - Date.now()) / 1000 / slowness;
    if (left <= 0) await serial.search("rEFInd's menu", serial.text.length, 0);
    serial.assertRunning("rEFInd's menu");
    await pause(50);
  }
}

/** Moves rEFInd's selection to entry n (from 0), waits until it is there, and presses Enter. */
export async function chooseMenuEntry(serial: Serial, n: number, timeoutSeconds: number): Promise<void> {
  const entries = await readMenu(serial, timeoutSeconds);
  if (entries[n] === undefined)
    throw new Error(`the menu has no entry ${n}:\n${entries.map((entry) => entry.text).join("\n")}`);
  let selected = entries.findIndex((entry) => entry.selected);
  while (selected !== n) {
    const next = selected + Math.sign(n - selected);
    serial.send(next > selected ? keys.down : keys.up);
    await waitForSelection(serial, next);
    selected = next;
  }
  serial.send(keys.enter);
}

/** A key moves the selection by one; rEFInd redraws both lines. */
async function waitForSelection(serial: Serial, n: number): Promise<void> {
  const deadline = Date.now() + 10 * slowness * 1000;
  while (menuOnScreen(serial)?.[n]?.selected !== true) {
    if (Date.now() > deadline) await serial.search(`entry ${n} of rEFInd's menu to be selected`, serial.text.length, 0);
    await pause(20);
  }
}

/**
 * rEFInd 0.13 and 0.14: three rows of title bar, an empty one, the entries, an empty one, the hints, which come last.
 * The selected entry stands on a colour, the others on black.
 */
function menuOnScreen(serial: Serial): MenuEntry[] | undefined {
  const rows = serial.screen.rows();
  const title = rows.findIndex((row) => row.text.includes("rEFInd - Main Menu"));
  if (title < 0 || !rows.some((row) => /Use arrow keys|Automatic boot/.test(row.text))) return undefined;
  const first = title + 3;
  const length = rows.slice(first).findIndex((row) => row.text === "");
  const entries = rows
    .slice(first, first + length)
    .map((row) => ({ text: row.text.trim(), selected: row.background !== 40 }));
  return entries.some((entry) => entry.selected) ? entries : undefined;
}
