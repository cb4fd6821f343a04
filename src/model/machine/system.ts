import { parsePackage } from "../packages/constraint.ts";
import { isRefusal, type Refusal } from "../problem.ts";
import { bad, quoted } from "../text/complaint.ts";

/** "none", one package, or several; "none" is the empty list. */
export function parseFirmware(input: string | readonly string[]): readonly string[] | Refusal {
  const words = typeof input === "string" ? [input] : input;
  if (words.includes("none")) {
    return words.length === 1 ? [] : bad('has "none" and packages beside it.', "Keep one or the other.");
  }
  for (const word of words) {
    const parsed = parsePackage(word);
    if (isRefusal(parsed)) return parsed;
  }
  return words;
}

export function parseArch(input: string): "x86_64" | "aarch64" | Refusal {
  if (input === "x86_64" || input === "aarch64") return input;
  return bad(`rEFInd does not exist for ${JSON.stringify(input)}.`, "Use x86_64 or aarch64.");
}

/** A kernel flavour: the F in `linux-F` and `vmlinuz-F`. That the package exists is for apk to say. */
export function parseFlavor(text: string): string | Refusal {
  if (/^linux-[a-z0-9]+/.test(text)) return bad(`${quoted(text)} is a package.`, `Write ${quoted(text.slice(6))}.`);
  if (/^[a-z0-9][a-z0-9.-]{0,31}$/.test(text)) return text;
  return bad(`${quoted(text)} is not a kernel flavour.`, "Write for example lts, virt or stable.");
}

/** The folder above the releases on an http(s) mirror, without the final slash. */
export function parseMirror(text: string): string | Refusal {
  const match = /^(https?:\/\/[^\s\p{Cc}"'#?]+?)\/*$/u.exec(text);
  if (match !== null && /^https?:\/\/[A-Za-z0-9[]/.test(text)) return match[1]!;
  return bad(`${quoted(text)} is not a mirror.`, "Write for example https://dl-cdn.alpinelinux.org/alpine.");
}

/**
 * A line of /etc/apk/repositories, or what `apk -X` takes: an http(s) address or a folder, the parent of `x86_64/`; a
 * tag may stand before it. A folder stays as it was written: whoever reads the file or the flags knows what it is
 * relative to.
 */
export function parseRepository(text: string): string | Refusal {
  const hint = "Write for example https://dl-cdn.alpinelinux.org/alpine/v3.20/main or /srv/packages.";
  if (text.trim() === "") return bad("is empty.", hint);
  const match = /^(?:(@[A-Za-z0-9._-]+)[ \t]+)?(\S+)$/.exec(text.trim());
  if (match === null || /[\p{Cc}#"]/u.test(match[2]!)) return bad(`${quoted(text)} is not a repository.`, hint);
  const place = match[2]!;
  if (/\/?APKINDEX\.tar\.gz$/.test(place)) {
    return bad(`${quoted(text)} is an index.`, "Name the folder above the architecture.");
  }
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(place)?.[1];
  if (scheme !== undefined && !/^https?$/.test(scheme)) {
    return bad(`${quoted(text)} is reached by ${quoted(scheme)}, which firn does not speak.`, hint);
  }
  const bare = place.length > 1 ? place.replace(/\/+$/, "") || "/" : place;
  if (/\/(?:x86_64|aarch64|noarch)$/.test(bare)) {
    return bad(
      `${quoted(text)} names the architecture, which apk adds.`,
      `Write ${quoted(bare.replace(/\/[^/]+$/, ""))}.`,
    );
  }
  return match[1] === undefined ? bare : `${match[1]} ${bare}`;
}

/** Parameters that firn puts on the kernel's command line, or that would undo what it puts there. */
const OWN_PARAMETERS: Readonly<Record<string, string>> = {
  root: "firn names the root by its UUID.",
  rootflags: "firn names the slot there.",
  rootfstype: "firn sets it to btrfs.",
  initrd: "rEFInd adds it.",
  rw: "The root is always read-only.",
  ro: "The root is always read-only.",
  subvol: "firn names the slot in rootflags.",
  overlaytmpfs: "It hides the generation that boots.",
};

/**
 * Further kernel parameters. No quotes, because rEFInd's `options` is one quoted token and mkinitfs's init evaluates
 * the line in a shell; ASCII only; at most 1,536 bytes, since x86 takes 2,048 (COMMAND_LINE_SIZE) with what firn and
 * rEFInd add.
 */
export function parseCmdline(text: string): string | Refusal {
  const line = text.trim();
  const stranger = /[^\x20-\x7e]/.exec(line);
  if (stranger !== null) return bad(`contains ${quoted(stranger[0])}.`, "Write the parameters on one line, in ASCII.");
  const quote = /["'`\\$]/.exec(line);
  if (quote !== null) {
    return bad(`contains ${quote[0]} and would break the boot menu or the initramfs's reading of it.`, "Leave it out.");
  }
  if (line.length > 1536)
    return bad(`has ${line.length} characters.`, "Use at most 1536: the kernel cuts the rest off.");
  const words = line === "" ? [] : line.split(/ +/);
  for (const word of words) {
    const name = word.split("=")[0]!;
    const why = Object.hasOwn(OWN_PARAMETERS, name) ? OWN_PARAMETERS[name] : undefined;
    if (why !== undefined) return bad(`sets ${name}. ${why}`, `Leave ${name} out.`);
  }
  return words.join(" ");
}

/** A serial console: kernel messages and a login. */
export interface Serial {
  /** Below /dev: ttyS0, ttyAMA0, hvc0. */
  readonly port: string;
  /** Baud. */
  readonly speed: number;
}

/** Baud rates of Linux's termios that getty and the kernel's `console=` both take. */
const SPEEDS = [1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1500000];

/**
 * "ttyS0" or "ttyS0,57600", also as the kernel spells it ("ttyS0,115200n8"); 115200 baud unless told otherwise; or
 * "none".
 */
export function parseSerial(text: string): Serial | "none" | Refusal {
  if (text === "none") return "none";
  const hint = "Write for example ttyS0 or ttyS0,115200.";
  const match = /^((?:tty(?:S|AMA|USB|MSM|LP|UL|PS|SC|mxc)|hvc|hvsi)\d{1,2})(?:,(\d+)(?:n8)?)?$/.exec(text);
  if (text.startsWith("/dev/")) return bad(`${quoted(text)} is a path.`, `Write ${quoted(text.slice(5))}.`);
  if (match === null) return bad(`${quoted(text)} is not a serial console.`, hint);
  const speed = match[2] === undefined ? 115200 : Number(match[2]);
  if (!SPEEDS.includes(speed)) return bad(`${quoted(text)} asks for a speed that Linux does not have.`, hint);
  return { port: match[1]!, speed };
}

/**
 * What the `compress=` mount option takes: zstd (levels 1 to 15), zlib (1 to 9), none. LZO is refused: rEFInd's btrfs
 * driver cannot read all of what btrfs writes with it, and the kernel lies on this filesystem.
 */
export function parseCompression(text: string): string | Refusal {
  const hint = "Write zstd, zstd:1 to zstd:15, zlib, zlib:1 to zlib:9, or none.";
  if (text.startsWith("lzo")) return bad("lzo may leave a kernel that the boot loader cannot read.", hint);
  if (text === "none" || /^zstd(?::(?:[1-9]|1[0-5]))?$/.test(text) || /^zlib(?::[1-9])?$/.test(text)) return text;
  return bad(`${quoted(text)} is not a compression that firn uses.`, hint);
}

/** A path on the machine that runs firn; only what no path can be is refused. */
export function parsePath(text: string): string | Refusal {
  if (text === "") return bad("is empty.", "Write a path.");
  if (/\p{Cc}/u.test(text)) return bad(`${quoted(text)} contains a control character.`, "Write a path.");
  return text;
}
