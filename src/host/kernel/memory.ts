import { readText } from "./files.ts";

/** The machine's RAM in bytes, from /proc/meminfo. */
export function memoryBytes(): number {
  return Number(/^MemTotal:\s+(\d+) kB/m.exec(readText("/proc/meminfo"))?.[1] ?? 0) * 1024;
}
