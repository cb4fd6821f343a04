/** What the generations share. Open to the other doors: machine.toml names commons. */
import { isRefusal, type Refusal } from "../problem.ts";
import { bad, quoted } from "../text/complaint.ts";

/** An absolute, normalised path that may be shared by all generations. Minted by `parseCommonsPath` alone. */
export type CommonsPath = string & { readonly __brand: "CommonsPath" };

/**
 * What every installation shares: the four of the Alpine wiki's page, then what a read-only Alpine writes beside them
 * (daemons' state, spools, root's home, served data).
 */
export const DEFAULT_COMMONS: readonly string[] = [
  "/var/tmp",
  "/var/cache",
  "/var/log",
  "/home",
  "/var/lib",
  "/var/spool",
  "/root",
  "/srv",
];

/**
 * Defaults below which a commons of its own may lie. /var/lib only: Docker and Flatpak want their store as a subvolume
 * that can be snapshotted, limited and deleted by itself, while the rest of /var/lib stays shared.
 */
const PARENTS = ["/var/lib"];

/**
 * The root's own: sealed with each generation, or filled by the kernel. Neither they nor anything below can be shared.
 */
const SEALED = [
  "/bin",
  "/boot",
  "/dev",
  "/etc",
  "/lib",
  "/lib32",
  "/lib64",
  "/proc",
  "/run",
  "/sbin",
  "/sys",
  "/tmp",
  "/usr",
];

/** Below /usr, but the administrator's and not the packages'. */
const EXEMPT = ["/usr/local", "/usr/src"];

/** Symlinks of Alpine's base into /run, and sshd's root-owned empty folder. */
const FIXED = ["/var/run", "/var/lock", "/var/empty"];

/** Whether `path` is `above` or lies below it. */
function within(path: string, above: string): boolean {
  return path === above || path.startsWith(`${above}/`);
}

/** Who would miss a commons, beside those who name it in the template. */
export interface CommonsUse {
  /** Whether it, or something in it, is mounted anywhere. */
  readonly mounted: boolean;
  /** The subvolumes in it, which would go with it. */
  readonly nested: readonly string[];
  /** Where a line of the default's fstab, or of the template, mounts it, whatever that calls it. */
  readonly path: string | undefined;
}

/** The path as a commons path, or why it cannot be one. Says nothing about its relation to other commons. */
export function parseCommonsPath(text: string): CommonsPath | Refusal {
  if (text === "") return bad("is empty.", "Write an absolute path such as /var/lib/docker.");
  if (!text.startsWith("/")) {
    return bad(`${quoted(text)} is relative.`, "Write an absolute path such as /var/lib/docker.");
  }
  if (text === "/") return bad('"/" is the root, which every generation has for itself.', "Name a folder below it.");
  const parts = text.slice(1).split("/");
  if (parts.includes("..")) return bad(`${quoted(text)} contains "..".`, "Write the path that is meant.");
  if (parts.includes("") || parts.includes(".")) {
    const straight = `/${parts.filter((part) => part !== "" && part !== ".").join("/")}`;
    return bad(`${quoted(text)} is not written straight.`, `Write ${quoted(straight)}.`);
  }
  const odd = parts.find((part) => !/^[A-Za-z0-9._-]+$/.test(part));
  if (odd !== undefined) {
    const why = odd.includes("@")
      ? 'contains "@", which stands for "/" in the name of a commons'
      : `contains ${quoted(odd)}`;
    return bad(`${quoted(text)} ${why}.`, 'Use letters, digits, ".", "_" and "-".');
  }
  // BTRFS_NAME_LEN is 255; the name of the subvolume has as many bytes as the path.
  if (text.length > 255) return bad(`${quoted(text)} has ${text.length} characters.`, "btrfs takes 255.");
  const sealed = SEALED.find((path) => within(text, path));
  if (sealed !== undefined && !EXEMPT.some((path) => within(text, path))) {
    return bad(
      `${quoted(text)} belongs to the root: the system cannot boot when generations share it.`,
      "Choose another path.",
    );
  }
  const fixed = FIXED.find((path) => within(text, path));
  if (fixed !== undefined) return bad(`${quoted(fixed)} is laid down by Alpine's base system.`, "Choose another path.");
  if (text === "/var")
    return bad('"/var" holds folders that are shared by themselves.', "Name the folder below it that is meant.");
  return text as CommonsPath;
}

/** The subvolume's name below /commons: /var/log → @var@log. */
export function commonsName(path: CommonsPath): string {
  return path.replaceAll("/", "@");
}

/** The reverse: @var@log → /var/log; undefined for a name that no commons path has. */
export function commonsPath(name: string): CommonsPath | undefined {
  if (!name.startsWith("@") || name.includes("/")) return undefined;
  const parsed = parseCommonsPath(name.replaceAll("@", "/"));
  return isRefusal(parsed) ? undefined : parsed;
}

/** What every installation shares, in the order in which it is mounted. */
export function defaultCommons(): CommonsPath[] {
  return mountOrder(DEFAULT_COMMONS as CommonsPath[]);
}

/** Parents before children, by depth and then by name; /fstab lists the commons so. */
export function mountOrder(paths: readonly CommonsPath[]): CommonsPath[] {
  const depth = (path: string) => path.split("/").length;
  return paths.toSorted((a, b) => depth(a) - depth(b) || (a < b ? -1 : a > b ? 1 : 0));
}

/**
 * The commons of an installation: the defaults and `wanted`, in mount order. A default that is named again is no error.
 * `existing` stands in for the defaults when commons are added to a system that has some.
 *
 * Nesting: a path below another commons is shared already and is refused, unless that commons is /var/lib (see
 * PARENTS); a path above another would hide it and is refused.
 */
export function validateCommons(
  wanted: readonly string[],
  existing: readonly CommonsPath[] = defaultCommons(),
): CommonsPath[] | Refusal {
  const all: CommonsPath[] = [...existing];
  for (const text of wanted) {
    const path = parseCommonsPath(text);
    if (isRefusal(path)) return path;
    if (all.includes(path)) continue;
    const above = all.find((other) => within(path, other) && !PARENTS.includes(other));
    if (above !== undefined) {
      return bad(`${quoted(path)} is shared already, because ${above} is a commons.`, "Leave it out.");
    }
    const below = all.find((other) => within(other, path) && !PARENTS.includes(path));
    if (below !== undefined) {
      return bad(`${quoted(path)} holds ${below}, which is a commons of its own.`, `Keep one of ${path} and ${below}.`);
    }
    all.push(path);
  }
  return mountOrder(all);
}
