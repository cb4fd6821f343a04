import type { Socket } from "node:net";

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

interface Message {
  readonly QMP?: unknown;
  readonly id?: number;
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
  readonly event?: string;
}

/** QEMU's control socket. One JSON object a line, both ways (QEMU's docs/interop/qmp-spec). */
export class Qmp {
  #socket: Socket | undefined;
  #buffer = "";
  #next = 1;
  readonly #waiting = new Map<number, Waiting>();
  readonly #greeted: Promise<void>;
  #greet: () => void = () => {};
  #fail: (error: Error) => void = () => {};

  constructor() {
    this.#greeted = new Promise((resolve, reject) => {
      this.#greet = resolve;
      this.#fail = reject;
    });
    // A machine that dies before its greeting is reported by whoever awaits `ready`.
    this.#greeted.catch(() => {});
  }

  attach(socket: Socket): void {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => this.#receive(chunk));
    socket.on("error", () => {});
    socket.on("close", () => this.end("the control socket closed"));
  }

  /** Resolves when commands are accepted. */
  async ready(): Promise<void> {
    await this.#greeted;
    await this.execute("qmp_capabilities");
  }

  /** Runs one command; returns its `return` value. Throws with QEMU's description when QEMU refuses. */
  execute(command: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed) return Promise.reject(new Error(`${command}: the machine has ended`));
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject: (error) => reject(new Error(`${command}: ${error.message}`)) });
      socket.write(`${JSON.stringify({ execute: command, arguments: parameters, id })}\n`);
    });
  }

  /** Rejects everything that still waits for an answer. */
  end(reason: string): void {
    this.#fail(new Error(reason));
    for (const waiting of this.#waiting.values()) waiting.reject(new Error(reason));
    this.#waiting.clear();
  }

  #receive(chunk: string): void {
    const lines = (this.#buffer + chunk).split("\n");
    this.#buffer = lines.pop() ?? "";
    for (const line of lines) {
      if (line.trim() === "") continue;
      const message = JSON.parse(line) as Message;
      if (message.QMP !== undefined) this.#greet();
      if (message.id === undefined) continue;
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error !== undefined) waiting?.reject(new Error(message.error.desc));
      else waiting?.resolve(message.return);
    }
  }
}
