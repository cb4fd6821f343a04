/** A generation's name: UTC time and eight random letters, `20210411212549sdBXyLxg`. Only parsers mint it. */
export type GenerationId = string & { readonly brand: "GenerationId" };
/** A link set's name, of the same shape. */
export type LinkSetId = string & { readonly brand: "LinkSetId" };

/** What rEFInd's btrfs driver can look up: ASCII, no spaces. Names made by hand need not carry a time. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;
/** What the name of something that is not complete yet ends in. */
const DRAFT = ".draft";
/** What mintId gives, and what firn may therefore delete when it is half there. */
const MINTED = /^\d{14}[A-Za-z]{8}$/;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** The id in a directory name, or undefined when it is none (a draft, a hidden file, a name that cannot boot). */
export function parseGenerationId(name: string): GenerationId | undefined {
  return NAME.test(name) && !name.endsWith(DRAFT) && name.length <= 200 ? (name as GenerationId) : undefined;
}

export function parseLinkSetId(name: string): LinkSetId | undefined {
  return NAME.test(name) ? (name as LinkSetId) : undefined;
}

export function draftName(id: GenerationId): string {
  return id + DRAFT;
}

/** True for a name of the shape that firn gives; other tools and hands give others. */
export function isMinted(name: string): boolean {
  return MINTED.test(name);
}

/**
 * The id of the draft with this directory name, or undefined when it is no draft of firn's: `notes.draft` is somebody's
 * notes.
 */
export function draftId(name: string): GenerationId | undefined {
  if (!name.endsWith(DRAFT)) return undefined;
  const id = name.slice(0, -DRAFT.length);
  return isMinted(id) ? parseGenerationId(id) : undefined;
}

/** A new name. `now` in milliseconds since the epoch; `random` holds at least 8 bytes. */
export function mintId(now: number, random: Uint8Array): string {
  const time = new Date(now)
    .toISOString()
    .slice(0, 19)
    .replace(/[^0-9]/g, "");
  // 256 is no multiple of 52, so the first letters are a little likelier: harmless in a name.
  const letters = [...random.subarray(0, 8)].map((byte) => LETTERS[byte % LETTERS.length]);
  return time + letters.join("");
}

/** Milliseconds since the epoch from the id's first 14 digits, or undefined for a name made by hand. */
export function timeOfId(id: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(id);
  if (!match) return undefined;
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const time = Date.UTC(year, month - 1, day, hour, minute, second);
  // Date.UTC carries a thirteenth month into the next year, 60 seconds into the next minute: such digits are no time.
  const straight = new Date(time);
  const parts = [straight.getUTCMonth() + 1, straight.getUTCDate(), straight.getUTCHours(), straight.getUTCMinutes()];
  const same = [month, day, hour, minute].every((part, index) => part === parts[index]);
  return same ? time : undefined;
}

/**
 * The time to mint the next id with: now, or a second after the newest of `existing` when the clock is behind it (a
 * machine without a clock of its own starts in 1970), because ids sort by time. Milliseconds since the epoch.
 */
export function laterThanAll(now: number, existing: readonly string[]): number {
  return existing.reduce((latest, id) => Math.max(latest, (timeOfId(id) ?? -Infinity) + 1000), now);
}
