import { createWriteStream, type WriteStream } from "node:fs";
import type { Socket } from "node:net";
import { pause, within } from "./clock.ts";
import { Screen } from "./screen.ts";

/** A match on the serial console, and everything printed from the last match up to the end of this one. */
export interface SerialMatch {
  readonly match: RegExpExecArray;
  readonly text: string;
}

/** The serial console of one machine: what it printed, as raw bytes and as text, and what is typed at it. */
export class Serial {
  readonly screen = new Screen();
  #text = "";
  /** Where the next waitFor begins: behind the last match. */
  #cursor = 0;
  #input: Socket | undefined;
  #output: Socket | undefined;
  #ended: string | undefined;
  #due: NodeJS.Timeout | undefined;
  readonly #log: WriteStream | undefined;
  readonly #decoder = new TextDecoder();
  readonly #listeners = new Set<() => void>();

  /** `logFile` receives the raw bytes, escape sequences and all. */
  constructor(logFile: string | undefined) {
    this.#log = logFile === undefined ? undefined : createWriteStream(logFile, { flags: "a", mode: 0o600 });
  }

  attach(output: Socket, input: Socket): void {
    this.#input = input;
    this.#output = output;
    output.on("data", (chunk: Buffer) => {
      this.#log?.write(chunk);
      this.#text += this.screen.feed(this.#decoder.decode(chunk, { stream: true }));
      // QEMU delivers a few bytes at a time: searching after each would make long outputs quadratic.
      this.#due ??= setTimeout(() => this.#notify(), 10);
    });
    // QEMU's sudden end is no error here: whoever waits is told by end().
    output.on("error", () => {});
    input.on("error", () => {});
  }

  /** All text so far, without escape sequences. */
  get text(): string {
    return this.#text;
  }

  /** The offset in `text` behind the last match. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Moves the cursor forward, never back. */
  consumeTo(offset: number): void {
    this.#cursor = Math.max(this.#cursor, offset);
  }

  /** Takes what is still on its way from a machine that has ended, then tells everyone who waits, and why. */
  async end(reason: string): Promise<void> {
    const output = this.#output;
    // The pipe ends when QEMU, its only writer, is gone; the limit is for a case that should not be.
    if (output !== undefined && !output.closed) {
      await Promise.race([new Promise((resolve) => output.once("close", resolve)), pause(2000)]);
    }
    this.#ended = reason;
    this.#input?.destroy();
    output?.destroy();
    this.#notify();
    this.#log?.end();
  }

  send(text: string): void {
    if (this.#input === undefined || this.#ended !== undefined)
      throw new Error(`the machine has ended: ${this.#ended}`);
    this.#input.write(text);
  }

  /**
   * Waits until `wanted` appears behind the last match and moves behind it.
   * Throws with the last 40 lines when it does not come in time (seconds, scaled), or when the machine ends before.
   */
  async waitFor(wanted: RegExp | string, timeoutSeconds: number): Promise<SerialMatch> {
    const begin = this.#cursor;
    const found = await this.search(wanted, begin, timeoutSeconds);
    this.consumeTo(found.end);
    return { match: found.match, text: this.#text.slice(begin, found.end) };
  }

  /** Like waitFor, from a given offset and without moving the cursor. `end` is the offset behind the match. */
  async search(
    wanted: RegExp | string,
    from: number,
    timeoutSeconds: number,
  ): Promise<{ match: RegExpExecArray; end: number }> {
    const pattern = typeof wanted === "string" ? new RegExp(quote(wanted)) : withoutState(wanted);
    let listener: (() => void) | undefined;
    const found = new Promise<{ match: RegExpExecArray; end: number }>((resolve, reject) => {
      listener = () => {
        const match = pattern.exec(this.#text.slice(from));
        if (match !== null) resolve({ match, end: from + match.index + match[0].length });
        else if (this.#ended !== undefined) reject(this.#failure(wanted, `the machine ended (${this.#ended})`));
      };
      this.#listeners.add(listener);
      listener();
    });
    try {
      return await within(found, timeoutSeconds, () =>
        this.#failure(wanted, `not within ${timeoutSeconds} s times FIRN_TEST_SLOWNESS`),
      );
    } finally {
      if (listener !== undefined) this.#listeners.delete(listener);
    }
  }

  /** Throws when the machine has ended, so that nobody waits for it in vain. */
  assertRunning(wanted: string): void {
    if (this.#ended !== undefined) throw this.#failure(wanted, `the machine ended (${this.#ended})`);
  }

  #failure(wanted: RegExp | string, reason: string): Error {
    const lines = this.#text.trimEnd().split("\n").slice(-40);
    return new Error(
      `waited for ${String(wanted)} on the serial console: ${reason}. Its last lines:\n${lines.join("\n")}`,
    );
  }

  #notify(): void {
    clearTimeout(this.#due);
    this.#due = undefined;
    for (const listener of this.#listeners) listener();
  }
}

function quote(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** A g or y flag would make exec() remember a position from an earlier, shorter text. */
function withoutState(pattern: RegExp): RegExp {
  return new RegExp(pattern.source, pattern.flags.replaceAll(/[gy]/g, ""));
}
