import type { Key, Plain } from "./declare.ts";

/** Words without the backticks that mark what is typed. */
export function plainWords(words: string): string {
  return words.replaceAll("`", "");
}

/** A default as a sentence names it; undefined where there is nothing to say. */
export function defaultWords({ default: value, otherwise }: Key): string | undefined {
  if (otherwise !== undefined) return otherwise;
  if (value === undefined) return undefined;
  const words = Array.isArray(value) ? value.join(", ") : String(value);
  return words === "" ? "none" : words;
}

/** A key's sentences, without its default. */
export function sentences({ brief, more }: Pick<Key, "brief" | "more">): string {
  return more === undefined ? `${brief}.` : `${brief}. ${more}`;
}

/** The one line of a JSON schema. */
export function description(key: Key): string {
  const without = defaultWords(key);
  return plainWords(without === undefined ? sentences(key) : `${sentences(key)} Default: ${without}.`);
}

/** A value as TOML spells it. */
export function toml(value: Plain): string {
  return Array.isArray(value) ? `[${value.map((one) => JSON.stringify(one)).join(", ")}]` : JSON.stringify(value);
}
