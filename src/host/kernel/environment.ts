import { sys } from "./sys.ts";

/** A variable of firn's own environment. No program that firn runs has it: see run.ts. */
export function ownVariable(name: string): string | undefined {
  return sys.getenv(name) ?? undefined;
}

/** `uname -m` */
export function machineName(): string {
  return sys.uname().machine;
}
