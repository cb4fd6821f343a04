import { layout } from "../../model/volume/layout.ts";
import { exists, insideRoot, isDirectory, isFile, makeDirectories, readTextIfAny, writeText } from "./files.ts";
import { Mount, MountStack, runDirectory } from "./mounts.ts";
import { MS, S, sys } from "./sys.ts";

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
  /** The host's own /dev, for who means it. Otherwise there are the nodes only that every program may expect. */
  hostDevices?: boolean;
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

/** Major and minor numbers: Documentation/admin-guide/devices.txt of Linux. */
const NODES: readonly (readonly [name: string, mode: number, major: number, minor: number])[] = [
  ["null", 0o666, 1, 3],
  ["zero", 0o666, 1, 5],
  ["full", 0o666, 1, 7],
  ["random", 0o666, 1, 8],
  ["urandom", 0o666, 1, 9],
  ["tty", 0o666, 5, 0],
  ["console", 0o600, 5, 1],
];

const DEVICE_LINKS: readonly (readonly [name: string, target: string])[] = [
  ["ptmx", "pts/ptmx"],
  ["fd", "/proc/self/fd"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
  ["stderr", "/proc/self/fd/2"],
];

/** The usual nodes in a fresh tmpfs, with terminals of its own. */
function makeDevices(dev: string): Mount {
  for (const [name, mode, major, minor] of NODES) {
    sys.mknod(`${dev}/${name}`, S.IFCHR | mode, (major << 8) | minor);
    // mknod() heeds the umask.
    sys.chmod(`${dev}/${name}`, mode);
  }
  for (const [name, target] of DEVICE_LINKS) sys.symlink(target, `${dev}/${name}`);
  sys.mkdir(`${dev}/shm`, 0o777);
  sys.chmod(`${dev}/shm`, 0o1777);
  sys.mkdir(`${dev}/pts`, 0o755);
  // 5 is the group tty of Alpine.
  return Mount.make("firn", `${dev}/pts`, "devpts", MS.NOSUID | MS.NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
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
    // Read-only: what is set there is the running machine's.
    for (const inside of ["/proc/sys", "/proc/sysrq-trigger"]) {
      const point = insideRoot(path, inside);
      if (exists(point)) stack.add(Mount.bind(point, point, true));
    }
    if (wish.hostDevices) add("/dev", "/dev", "", MS.BIND | MS.REC);
    else {
      add("firn", "/dev", "tmpfs", MS.NOSUID | MS.NOEXEC, "mode=0755");
      const dev = at("/dev");
      if (dev !== undefined) stack.add(makeDevices(dev));
    }
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
