import { hex } from "../../model/text/hex.ts";
import { sys } from "./sys.ts";

/** Sets owner and mode. */
export function own(path: string, { uid, gid }: { uid: number; gid: number }, mode: number): void {
  sys.lchown(path, uid, gid);
  sys.chmod(path, mode);
}

/** Random bytes as hexadecimal digits. */
export function randomHex(bytes: number): string {
  return hex(new Uint8Array(sys.random(bytes)));
}
