interface Cell {
  char: string;
  /** The SGR code of its background, 40 (black) to 47. */
  background: number;
}

/** A row of the screen, trimmed at the right; `background` is that of its first visible character. */
export interface ScreenRow {
  readonly text: string;
  readonly background: number;
}

const black = 40;

/** Rows and columns the firmware's widest serial mode uses (EDK II TerminalDxe: 100 × 31), with room to spare. */
const rows = 60;
const columns = 200;

const escape = "\u001b";

/**
 * One escape sequence (ECMA-48, 5.4). CSI: parameters 0x30–0x3f, intermediates 0x20–0x2f, one final byte. OSC: to BEL
 * or ST. Others: one or two bytes after ESC.
 */
const escapeSequence =
  // oxlint-disable-next-line no-control-regex -- control characters are what it is about
  /^\u001b(?:\[([0-?]*)[ -/]*([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[()][0-9A-Za-z]|[^[\]()])/;

/**
 * A terminal just good enough to read what firmware and boot loaders draw on a serial line: plain characters, line
 * ends, cursor addressing, clearing and colours. It yields the same bytes as text without escape sequences.
 */
export class Screen {
  #cells: Cell[][] = Array.from({ length: rows }, blankRow);
  #row = 0;
  #column = 0;
  #background = black;
  #pending = "";

  /** Draws the text; returns it without escape sequences. A jump to another row becomes a line end. */
  feed(text: string): string {
    let input = this.#pending + text;
    this.#pending = "";
    let plain = "";
    while (input !== "") {
      const at = input.indexOf(escape);
      const run = at < 0 ? input : input.slice(0, at);
      plain += this.#print(run);
      if (at < 0) break;
      input = input.slice(at);
      const sequence = escapeSequence.exec(input);
      if (sequence === null) {
        this.#pending = input;
        break;
      }
      input = input.slice(sequence[0].length);
      if (sequence[2] !== undefined) plain += this.#control(sequence[1] ?? "", sequence[2]);
    }
    return plain;
  }

  rows(): ScreenRow[] {
    return this.#cells.map((row) => ({
      text: row
        .map((cell) => cell.char)
        .join("")
        .trimEnd(),
      background: row.find((cell) => cell.char !== " ")?.background ?? black,
    }));
  }

  #print(text: string): string {
    let plain = "";
    for (const char of text) {
      if (char === "\r") this.#column = 0;
      else if (char === "\n") this.#newline();
      else if (char === "\b") this.#column = Math.max(0, this.#column - 1);
      else if (char >= " ") this.#put(char);
      if (char !== "\r" && char !== "\u0000" && char !== "\u0007") plain += char;
    }
    return plain;
  }

  #put(char: string): void {
    const cell = this.#cells[this.#row]?.[this.#column];
    if (cell !== undefined) {
      cell.char = char;
      cell.background = this.#background;
    }
    this.#column = Math.min(columns - 1, this.#column + 1);
  }

  #newline(): void {
    if (this.#row < rows - 1) {
      this.#row++;
      return;
    }
    this.#cells.shift();
    this.#cells.push(blankRow());
  }

  #control(parameters: string, final: string): string {
    const numbers = parameters.split(";").map((text) => (text === "" ? undefined : Number.parseInt(text, 10)));
    const first = numbers[0];
    switch (final) {
      case "H":
      case "f": {
        const row = clamp((first ?? 1) - 1, rows);
        const jumped = row !== this.#row;
        this.#row = row;
        this.#column = clamp((numbers[1] ?? 1) - 1, columns);
        return jumped ? "\n" : "";
      }
      case "A":
        this.#row = clamp(this.#row - (first ?? 1), rows);
        return "";
      case "B":
        this.#row = clamp(this.#row + (first ?? 1), rows);
        return "";
      case "C":
        this.#column = clamp(this.#column + (first ?? 1), columns);
        return "";
      case "D":
        this.#column = clamp(this.#column - (first ?? 1), columns);
        return "";
      case "J":
        if (first === 2) this.clear();
        return "";
      case "K":
        this.#cells[this.#row] = blankRow().map((blank, at) =>
          at < this.#column ? (this.#cells[this.#row]?.[at] ?? blank) : blank,
        );
        return "";
      case "m":
        for (const number of numbers) {
          if (number === undefined || number === 0) this.#background = black;
          else if (number >= black && number < black + 8) this.#background = number;
        }
        return "";
      default:
        return "";
    }
  }

  /** Blanks everything, as a machine does when it starts anew. */
  clear(): void {
    this.#cells = Array.from({ length: rows }, blankRow);
  }
}

function blankRow(): Cell[] {
  return Array.from({ length: columns }, () => ({ char: " ", background: black }));
}

function clamp(value: number, limit: number): number {
  return Math.min(limit - 1, Math.max(0, value));
}
