import { makeDirectories } from "./files.ts";
import { MNT_DETACH, MS, sys } from "./sys.ts";

/** Where firn mounts things: seen in its own namespace only, on a tmpfs, for root alone. */
export const RUN = "/run/firn";

export function runDirectory(name: string): string {
  makeDirectories(RUN, 0o700);
  const path = `${RUN}/${name}`;
  makeDirectories(path, 0o700);
  return path;
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
