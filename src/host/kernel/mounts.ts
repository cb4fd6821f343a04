import { isSysError } from "./failure.ts";
import { makeDirectories } from "./files.ts";
import { FirnError } from "../../model/problem.ts";
import { MNT_DETACH, MS, sys } from "./sys.ts";

/** Where firn mounts things: seen in its own namespace only, on a tmpfs, for root alone. */
export const RUN = "/run/firn";

export function runDirectory(name: string): string {
  const path = `${RUN}/${name}`;
  inRun(() => {
    makeDirectories(RUN, 0o700);
    makeDirectories(path, 0o700);
  });
  return path;
}

/** Writes below /run, which is another filesystem than the volume: throws E_RUN where it is full or read-only. */
export function inRun<T>(write: () => T): T {
  try {
    return write();
  } catch (error) {
    if (!isSysError(error, "ENOSPC", "EDQUOT", "EROFS")) throw error;
    throw new FirnError(
      "E_RUN",
      `Nothing can be written below ${RUN}: ${error.reason}.`,
      "/run must be a tmpfs with some room: look with `df /run`, `df -i /run` and `findmnt /run`.",
    );
  }
}

/** Something mounted, until its scope ends. */
export class Mount implements Disposable {
  private released = false;
  private constructor(readonly path: string) {}

  static make(source: string, path: string, type: string, flags = 0, data = ""): Mount {
    sys.mount(source, path, type, flags, data);
    return new Mount(path);
  }

  /**
   * A filesystem on a disk. It notes no times of access: looking would be writing. Its device nodes are none: what they
   * reach is the machine's.
   */
  static disk(device: string, path: string, type: string, access: "read" | "write", data: string): Mount {
    const flags = MS.NOATIME | MS.NODEV;
    return Mount.make(device, path, type, access === "read" ? flags | MS.RDONLY : flags, data);
  }

  static bind(source: string, path: string): Mount {
    return Mount.make(source, path, "", MS.BIND | MS.REC);
  }

  /** Unmounts. A filesystem whose last write failed says so here, so the result is checked by throwing. */
  release(): void {
    if (this.released) return;
    this.released = true;
    sys.umount(this.path, 0);
  }

  [Symbol.dispose](): void {
    if (this.released) return;
    this.released = true;
    sys.umount(this.path, MNT_DETACH);
  }
}

/** Lets nothing be written through one mount of something, and no device node in it be one. */
export function makeReadonly(path: string): void {
  sys.mount("none", path, "", MS.BIND | MS.REMOUNT | MS.RDONLY | MS.NODEV, "");
}

/** Changes options of a mounted filesystem: `compress=zstd`. */
export function remount(path: string, options: string): void {
  sys.mount("none", path, "", MS.REMOUNT | MS.NOATIME | MS.NODEV, options);
}

let scratchMount: string | undefined;

/** A folder in memory for temporary files, in firn's own namespace: nothing is left of it, however firn ends. */
export function scratch(): string {
  if (scratchMount === undefined) {
    const path = runDirectory("scratch");
    sys.mount("firn", path, "tmpfs", MS.NOSUID | MS.NODEV, "mode=0700");
    scratchMount = path;
  }
  return scratchMount;
}
