import { refuse, type Refusal } from "../problem.ts";

/**
 * Why a parser does not take a value, without the value's name ("is empty."): whoever knows where it stands adds that.
 */
export function bad(message: string, hint?: string): Refusal {
  return refuse("E_CONFIG_VALUE", message, hint);
}

/** A value as a complaint quotes it: no control characters, and not pages of it. */
export function quoted(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return JSON.stringify(short);
}
