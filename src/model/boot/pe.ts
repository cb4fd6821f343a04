import { standsAt, u16, u32 } from "../text/bytes.ts";

/** Machines of PE headers (Microsoft's PE format): what firmware of that architecture can start. */
export const peMachines = { x86_64: 0x8664, aarch64: 0xaa64 } as const;

/**
 * The machine that an EFI program or kernel is for, from its first bytes (4 KiB are plenty); undefined for what is no
 * PE file.
 */
export function peMachine(bytes: Uint8Array): number | undefined {
  if (!standsAt(bytes, 0, "MZ")) return undefined;
  const at = u32(bytes, 0x3c);
  return standsAt(bytes, at, "PE\0\0") ? u16(bytes, at + 4) : undefined;
}

/** Bytes that a PE file has at least: where the last of its sections ends. Undefined for what is no PE file. */
export function peLength(bytes: Uint8Array): number | undefined {
  if (peMachine(bytes) === undefined) return undefined;
  const header = u32(bytes, 0x3c);
  const table = header + 24 + u16(bytes, header + 20);
  const ends = Array.from({ length: u16(bytes, header + 6) }, (_, index) => {
    const section = table + 40 * index;
    return u32(bytes, section + 16) + u32(bytes, section + 20);
  });
  return Math.max(table, ...ends);
}
