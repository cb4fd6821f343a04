/** Bytes as hexadecimal digits, two a byte, lower case. */
export function hex(bytes: Iterable<number>): string {
  let digits = "";
  for (const byte of bytes) digits += (byte < 16 ? "0" : "") + byte.toString(16);
  return digits;
}

/** 16 bytes in reading order as a UUID: RFC 9562, 4. */
export function uuidText(bytes: Iterable<number>): string {
  return hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
