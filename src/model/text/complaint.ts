import { refuse, type Refusal } from "../problem.ts";

/**
 * Why a parser does not take a value, without the value's name ("is empty."): whoever knows where it stands adds that.
 */
export function bad(message: string, hint?: string): Refusal {
  return refuse("E_CONFIG_VALUE", message, hint);
}

/** At most 60 characters of a text: a complaint does not repeat pages. */
export function clipped(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** A value as a complaint quotes it: no control characters, and not pages of it. */
export function quoted(text: string): string {
  return JSON.stringify(clipped(text));
}
