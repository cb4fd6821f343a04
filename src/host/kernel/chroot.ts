import { layout } from "../../model/volume/layout.ts";
import { FirnError } from "../../model/problem.ts";
import { isSysError } from "./failure.ts";
import { readTextIfAny } from "./files.ts";
import { endOthers } from "./process.ts";
import { Mount, makeReadonly, runDirectory } from "./mounts.ts";
import { MS, S, sys } from "./sys.ts";
import { Within, split } from "./within.ts";

export interface ChrootWish {
  /** The volume's top level. */
  top: Within;
  /** The root subvolume of the draft, or of a sealed generation to look into. */
  root: Within;
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
  /** The same, for firn's own reading and writing. */
  root: Within;
}

/** Folder for firn's own files inside: on the tmpfs of /run, so that nothing of it stays in the generation. */
export const INSIDE = "/run/firn";

/** Shows a file or folder of the host, for reading, in place of what lies at a name. */
function bindReadonly(root: Within, source: string, inside: string): void {
  using point = root.point(inside);
  if (point === undefined) return;
  Mount.bind(source, point.path);
  // Looked up anew: what was opened before lies under the mount.
  using bound = root.point(inside);
  if (bound !== undefined) makeReadonly(bound.path);
}

/** What is called like a place in a root and leads nowhere that could be one: a loop, a file in place of a folder. */
function ifLeads<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (isSysError(error, "ELOOP", "ENOTDIR") || error instanceof FirnError) return undefined;
    throw error;
  }
}

/** The host's name servers, where a symlink to /run/resolv.conf and a plain file both find them. */
function provideResolver(root: Within, own: boolean): void {
  const hosts = readTextIfAny("/etc/resolv.conf");
  if (hosts === undefined) return;
  const write = (name: string): void => {
    root.makeDirectories(split(name)[0]);
    using file = root.makeFile(name);
    file.write(hosts);
  };
  const file = "/etc/resolv.conf";
  const kept = "/run/resolv.conf";
  write(kept);
  const led = ifLeads(() => root.locate(file));
  if (led === undefined || led === root.locate(kept)) return;
  // A volume made by hand has the symlink lead to /tmp, which is in memory here as /run is.
  if (["/run", "/tmp"].some((folder) => led.startsWith(`${root.locate(folder)}/`))) write(root.leads(file));
  else if (own && root.isFile(file)) bindReadonly(root, root.locate(kept), file);
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
function makeDevices(dev: string): void {
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
  Mount.make("firn", `${dev}/pts`, "devpts", MS.NOSUID | MS.NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
}

/** Mounts a root with /dev /proc /sys /run /tmp, the commons and the host's name servers, until its scope ends. */
export function enterRoot(wish: ChrootWish): Chroot {
  const path = runDirectory("root");
  const mount = Mount.bind(wish.root.path, path);
  let root: Within | undefined;
  const leave = (): void => {
    endOthers();
    root?.[Symbol.dispose]();
    // All the other mounts lie below it: they are let go with it, at once.
    mount[Symbol.dispose]();
  };
  try {
    if (wish.readonly) makeReadonly(path);
    root = Within.root(path);
    fill(root, wish);
    return { path, root, [Symbol.dispose]: leave };
  } catch (error) {
    leave();
    throw error;
  }
}

function fill(root: Within, wish: ChrootWish): void {
  const isThere = (inside: string): boolean => ifLeads(() => root.isDirectory(inside)) === true;
  const mountable = (inside: string): boolean => {
    if (isThere(inside)) return true;
    if (wish.readonly) return false;
    ifLeads(() => root.makeDirectories(inside));
    return isThere(inside);
  };
  const mount = (source: string, inside: string, type: string, flags: number, data = ""): void => {
    using point = root.point(inside);
    if (point !== undefined) Mount.make(source, point.path, type, flags, data);
  };
  const add: typeof mount = (source, inside, ...how) => {
    if (mountable(inside)) return mount(source, inside, ...how);
    if (!wish.readonly)
      throw new FirnError("E_FILE", `${inside} of the generation is no directory.`, "Start from another one: --base.");
  };
  add("proc", "/proc", "proc", MS.NOSUID | MS.NODEV | MS.NOEXEC);
  add("sysfs", "/sys", "sysfs", MS.NOSUID | MS.NODEV | MS.NOEXEC | MS.RDONLY);
  // Read-only: what is set there is the running machine's.
  for (const inside of ["/proc/sys", "/proc/sysrq-trigger"]) {
    using own = root.point(inside);
    if (own !== undefined) bindReadonly(root, own.path, inside);
  }
  if (wish.hostDevices) add("/dev", "/dev", "", MS.BIND | MS.REC);
  else {
    add("firn", "/dev", "tmpfs", MS.NOSUID | MS.NOEXEC, "mode=0755");
    using dev = root.point("/dev");
    if (dev !== undefined) makeDevices(dev.path);
  }
  add("firn", "/run", "tmpfs", MS.NOSUID | MS.NODEV, "mode=0755");
  add("firn", "/tmp", "tmpfs", MS.NOSUID | MS.NODEV, "mode=1777");
  for (const common of wish.commons) {
    using source = wish.top.point(layout.common(common.name));
    if (source !== undefined && mountable(common.path)) mount(source.path, common.path, "", MS.BIND);
  }
  provideResolver(root, wish.hostResolver === true);
  for (const { from, to } of wish.binds ?? []) {
    root.makeDirectories(to);
    bindReadonly(root, from, to);
  }
}
