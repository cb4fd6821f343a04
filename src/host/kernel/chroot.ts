import { layout } from "../../model/volume/layout.ts";
import { exists, insideRoot, isDirectory, isFile, makeDirectories, readTextIfAny, writeText } from "./files.ts";
import { Mount, MountStack, runDirectory } from "./mounts.ts";
import { MS } from "./sys.ts";

export interface ChrootWish {
  /** The volume's top level. */
  top: string;
  /** The root subvolume of the draft, or of a sealed generation to look into. */
  root: string;
  commons: readonly { name: string; path: string }[];
  /** A sealed generation and its commons are only looked at: no mount point is made in it. */
  readonly?: boolean;
  /** Show the host's name servers even where the root has a resolv.conf of its own. */
  hostResolver?: boolean;
  /** Folders of the host that the programs inside must see, by their path inside. */
  binds?: readonly { from: string; to: string }[];
}

/** Where a generation's own programs run. */
export interface Chroot extends Disposable {
  path: string;
}

/** Folder for firn's own files inside: on the tmpfs of /run, so that nothing of it stays in the generation. */
export const INSIDE = "/run/firn";

/** The host's name servers, where a symlink to /run/resolv.conf and a plain file both find them. */
function provideResolver(root: string, own: boolean, stack: MountStack): void {
  const hosts = readTextIfAny("/etc/resolv.conf");
  if (hosts === undefined) return;
  const kept = `${insideRoot(root, "/run")}/resolv.conf`;
  writeText(kept, hosts);
  const file = insideRoot(root, "/etc/resolv.conf");
  if (file === kept) return;
  // A volume made by hand has the symlink lead to /tmp, which is in memory here as /run is.
  const inMemory = ["/run", "/tmp"].some((folder) => file.startsWith(`${insideRoot(root, folder)}/`));
  if (inMemory && isDirectory(file.slice(0, file.lastIndexOf("/")))) writeText(file, hosts);
  else if (own && isFile(file)) stack.add(Mount.bind(kept, file, true));
}

/** Mounts a root with /dev /proc /sys /run /tmp, the commons and the host's name servers, until its scope ends. */
export function enterRoot(wish: ChrootWish): Chroot {
  const stack = new MountStack();
  const path = runDirectory("root");
  const at = (inside: string): string | undefined => {
    const point = insideRoot(path, inside);
    if (!isDirectory(point)) {
      if (wish.readonly) return undefined;
      makeDirectories(point);
    }
    return point;
  };
  const add = (source: string, inside: string, type: string, flags: number, data = ""): void => {
    const point = at(inside);
    if (point !== undefined) stack.add(Mount.make(source, point, type, flags, data));
  };
  try {
    stack.add(Mount.bind(wish.root, path, wish.readonly));
    add("proc", "/proc", "proc", MS.NOSUID | MS.NODEV | MS.NOEXEC);
    add("sysfs", "/sys", "sysfs", MS.NOSUID | MS.NODEV | MS.NOEXEC | MS.RDONLY);
    add("/dev", "/dev", "", MS.BIND | MS.REC);
    add("firn", "/run", "tmpfs", MS.NOSUID | MS.NODEV, "mode=0755");
    add("firn", "/tmp", "tmpfs", MS.NOSUID | MS.NODEV, "mode=1777");
    for (const common of wish.commons) {
      const source = `${wish.top}/${layout.common(common.name)}`;
      if (exists(source)) add(source, common.path, "", MS.BIND);
    }
    provideResolver(path, wish.hostResolver === true, stack);
    for (const { from, to } of wish.binds ?? []) {
      const point = insideRoot(path, to);
      makeDirectories(point);
      stack.add(Mount.bind(from, point, true));
    }
    return { path, [Symbol.dispose]: () => stack[Symbol.dispose]() };
  } catch (error) {
    stack[Symbol.dispose]();
    throw error;
  }
}
