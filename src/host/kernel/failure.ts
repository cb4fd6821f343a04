import type { Problem } from "../../model/problem.ts";
import { SysError } from "./sys.ts";

/** What a failed system call means to a user; undefined when it was none. */
export function systemFailure(error: unknown): Problem | undefined {
  if (!(error instanceof SysError)) return undefined;
  const untouched = "What boots was not touched.";
  switch (error.code) {
    case "ENOSPC":
    case "EDQUOT":
      return {
        code: "E_NO_SPACE",
        message: `The filesystem is full (${error.message}). ${untouched}`,
        hint: "`firn gc` frees space.",
      };
    case "EROFS":
      return { code: "E_VOLUME_READONLY", message: `${error.message}. ${untouched}` };
    case "EPERM":
    case "EACCES":
      return {
        code: "E_NOT_ROOT",
        message: `${error.message}. ${untouched}`,
        hint: "Run it as root. A container must also be given the device.",
      };
    default:
      return { code: "E_FILE", message: `${error.message}. ${untouched}` };
  }
}
