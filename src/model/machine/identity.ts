import { isRefusal, type Refusal } from "../problem.ts";
import { bad, quoted } from "../text/complaint.ts";

/**
 * A host name as Alpine's setup-hostname takes it (lower-case letters, digits, `.` and `-`), with the label rules of
 * RFC 1123 and Linux's limit of 64 bytes for the whole (`HOST_NAME_MAX`).
 */
export function parseHostname(text: string): string | Refusal {
  if (text === "") return bad("is empty.", 'Write a name such as "alpine" or "web.example.org".');
  if (text !== text.toLowerCase()) {
    return bad(`${quoted(text)} has capital letters.`, `Write ${quoted(text.toLowerCase())}.`);
  }
  const stranger = /[^a-z0-9.-]/.exec(text);
  if (stranger !== null) {
    return bad(`${quoted(text)} contains ${quoted(stranger[0])}.`, 'Use the letters a-z, digits, "-" and ".".');
  }
  if (text.length > 64) {
    return bad(`${quoted(text)} has ${text.length} characters.`, "Linux takes at most 64.");
  }
  for (const label of text.split(".")) {
    if (label === "")
      return bad(`${quoted(text)} has an empty part.`, 'Put one "." between two names, none at an end.');
    if (label.length > 63) return bad(`${quoted(label)} has ${label.length} characters.`, "A part may have 63.");
    if (label.startsWith("-") || label.endsWith("-")) {
      return bad(`${quoted(text)} has a part that starts or ends with "-".`, "Start and end with a letter or a digit.");
    }
  }
  return text;
}

/** Accounts of Alpine's `alpine-baselayout-data` (3.19 to 3.22): they exist already and belong to the system. */
const SYSTEM_ACCOUNTS = new Set(
  (
    "root bin daemon adm lp sync shutdown halt mail news uucp operator man postmaster cron ftp sshd at squid xfs games " +
    "cyrus vpopmail ntp smmsp guest nobody"
  ).split(" "),
);

function parseAccountName(text: string, what: string): string | Refusal {
  if (text === "") return bad("is empty.", `Write a ${what} name such as "alex".`);
  // busybox adduser takes a little more (capitals, "$"); shadow's useradd does not. Both take this.
  if (!/^[a-z_][a-z0-9_.-]*$/.test(text)) {
    return bad(
      `${quoted(text)} is not a ${what} name.`,
      'Start with a-z or "_", go on with a-z, digits, "_", "." and "-".',
    );
  }
  // LOGIN_NAME_MAX of busybox's die_if_bad_username and of utmp: 32 bytes with the final NUL.
  if (text.length > 31) return bad(`${quoted(text)} has ${text.length} characters.`, "Use at most 31.");
  return text;
}

/** A login name that busybox's adduser and shadow's useradd both take and that no account of Alpine's base bears. */
export function parseUserName(text: string): string | Refusal {
  const name = parseAccountName(text, "user");
  if (isRefusal(name) || !SYSTEM_ACCOUNTS.has(name)) return name;
  if (text === "root") return bad('"root" exists already.', "Its password and keys are in [identity.root].");
  return bad(`${quoted(text)} is an account of Alpine's base system.`, "Choose another name.");
}

/** A group name, new or existing. */
export function parseGroupName(text: string): string | Refusal {
  return parseAccountName(text, "group");
}

/** The GECOS field of /etc/passwd, in which `:` and `,` separate fields. */
export function parseFullName(text: string): string | Refusal {
  if (/[:,\p{Cc}]/u.test(text))
    return bad(`${quoted(text)} contains ":", "," or a control character.`, "Leave it out.");
  return text;
}

/** A login shell: an absolute path. That it exists is checked in the root that is built. */
export function parseShell(text: string): string | Refusal {
  if (/^(?:\/[A-Za-z0-9._+-]+)+$/.test(text) && !/\/\.{1,2}(?:\/|$)/.test(text)) return text;
  return bad(`${quoted(text)} is not the path of a program.`, "Write for example /bin/ash.");
}

/**
 * A time zone as setup-timezone spells it, below /usr/share/zoneinfo: "UTC", "Europe/Berlin", "Etc/GMT+1". Only the
 * spelling is checked here; whether the zone exists is asked of the root's own tzdata.
 */
export function parseTimezone(text: string): string | Refusal {
  const hint = "Write for example UTC or Europe/Berlin.";
  if (text === "") return bad("is empty.", hint);
  const inside = /^\/?(?:usr\/share\/)?zoneinfo\/(.+)$/.exec(text);
  if (inside !== null) return bad(`${quoted(text)} is a path.`, `Write ${quoted(inside[1]!)}.`);
  if (text.startsWith("/")) return bad(`${quoted(text)} is a path.`, hint);
  const parts = text.split("/");
  if (parts.length > 4 || parts.some((part) => !/^[A-Za-z0-9][A-Za-z0-9_+-]{0,31}$/.test(part))) {
    return bad(`${quoted(text)} is not a time zone.`, hint);
  }
  return text;
}

/** A console keymap: /usr/share/bkeymaps/LAYOUT/VARIANT.bmap.gz of Alpine's kbd-bkeymaps. */
export interface Keymap {
  readonly layout: string;
  readonly variant: string;
}

/**
 * A keymap as setup-keymap is given it: "us us", "de de-nodeadkeys". A layout alone means the variant of the same name;
 * "none" leaves the kernel's own (US) in place.
 */
export function parseKeymap(text: string): Keymap | "none" | Refusal {
  const words = text.trim().split(/\s+/);
  const [layout = "", variant = layout] = words;
  if (text.trim() === "none") return "none";
  const part = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/;
  if (words.length > 2 || !part.test(layout) || !part.test(variant)) {
    return bad(
      `${quoted(text)} is not a keymap.`,
      'Write layout and variant, for example "us us" or "de de-nodeadkeys", or "none".',
    );
  }
  return { layout, variant };
}

/** The forms that musl's crypt(3) computes and that are not broken; nothing else can log in on Alpine. */
function isPasswordHash(text: string): boolean {
  const b64 = "[./A-Za-z0-9]";
  const rounds = "(?:rounds=[1-9]\\d{0,8}\\$)?";
  const forms = [
    `^\\$6\\$${rounds}${b64}{1,16}\\$${b64}{86}$`, // SHA-512
    `^\\$5\\$${rounds}${b64}{1,16}\\$${b64}{43}$`, // SHA-256
    `^\\$2[aby]\\$(?:0[4-9]|[12]\\d|3[01])\\$${b64}{53}$`, // bcrypt
  ];
  return forms.some((form) => new RegExp(form).test(text));
}

/**
 * A password hash for /etc/shadow: SHA-512, SHA-256 or bcrypt. A clear password is refused, and so is what musl's
 * crypt(3) does not know (tried with Alpine 3.20's: it takes `$y$` and `$7$` for DES), because nobody could log in with
 * it. The text itself never appears in a complaint.
 */
export function parsePasswordHash(text: string): string | Refusal {
  const advice = "Make a hash with `openssl passwd -6` or `mkpasswd -m sha512crypt`.";
  if (isPasswordHash(text)) return text;
  if (text === "") return bad("is empty: anyone could log in.", advice);
  if (text === "*" || text.startsWith("!"))
    return bad("locks the account.", "Leave the key out: no hash means locked.");
  if (/^\$(?:y|gy|7)\$/.test(text))
    return bad("is a yescrypt or scrypt hash, which Alpine's musl cannot check.", advice);
  if (text.startsWith("$1$")) return bad("is an MD5 hash, which is broken.", advice);
  if (/^\$(?:[56]|2[aby])\$/.test(text)) return bad("is a damaged hash: its length or an ingredient is wrong.", advice);
  return bad("is not a hash. A clear password does not belong in a file or on a command line.", advice);
}

/**
 * The password field of /etc/shadow for an account. Without a hash it is `*`: no password fits, but unlike with `!`
 * sshd, which on Alpine has no PAM, lets a key in.
 */
export function shadowPassword(account: { readonly passwordHash?: string }): string {
  return account.passwordHash ?? "*";
}
