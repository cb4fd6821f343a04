import { generationOfSubvolume, layout } from "./layout.ts";
import { appendLine } from "../text/lines.ts";
import { unescape } from "../kernel/mountinfo.ts";

/** The word in the template that stands for `/snapshots/<id>`. */
export const PLACEHOLDER = "CURRENT_SNAPSHOTS_PATH";
/** As people write it: the slash before it is one too many. */
const PLACEHOLDERS = new RegExp(`/?${PLACEHOLDER}`, "g");

export interface FstabEntry {
  device: string;
  path: string;
  type: string;
  options: string[];
}

export interface TemplateWish {
  /** UUID of the btrfs filesystem. */
  rootUuid: string;
  swapUuid?: string;
  /** btrfs's mount option without `compress=`; "none" leaves it out. */
  compression: string;
  /** Name of the commons (`@var@log`) and path (`/var/log`), parents first. */
  commons: readonly { name: string; path: string }[];
}

/** The fstab template. Pass numbers are 0: btrfs has no fsck at boot. */
export function renderTemplate(wish: TemplateWish): string {
  const device = `UUID=${wish.rootUuid}`;
  const compress = wish.compression === "none" ? "" : `,compress=${wish.compression}`;
  const rows = [
    [device, "/", "btrfs", `subvol=${PLACEHOLDER}/@,ro,noatime${compress}`],
    ...wish.commons.map(({ name, path }) => [device, path, "btrfs", commonsOptions(name, compress)]),
    ["tmpfs", "/tmp", "tmpfs", "mode=1777,nosuid,nodev"],
    ...(wish.swapUuid === undefined ? [] : [[`UUID=${wish.swapUuid}`, "none", "swap", "sw"]]),
  ];
  return `# Each generation's own, made by firn from the template at the volume's top level.\n${rows
    .map((row) => `${row.join("\t")}\t0 0\n`)
    .join("")}`;
}

function commonsOptions(name: string, compress: string): string {
  return `subvol=/${layout.common(name)},rw,noatime${compress}`;
}

/** The generation's own fstab. */
export function renderFstab(template: string, id: string): string {
  return template.replace(PLACEHOLDERS, `/snapshots/${id}`);
}

/**
 * The template behind a generation's fstab: for volumes whose template was lost or never made, and for what an edit
 * made of it. Only the subvolumes of the generation that is mounted at / are meant; other generations, and paths that
 * look alike, stay.
 */
export function templateFromFstab(fstab: string): string {
  const own = rootGeneration(fstab);
  return fstab.replace(
    /(?<=[\s,]subvol=)(?:\.?\/)*snapshots\/(?:\.?\/)*([^/\s]+)(?=\/(?:\.?\/)*@)/g,
    (path, id: string) => (id === own ? PLACEHOLDER : path),
  );
}

/** The entries, escapes in paths undone; comments and empty lines left out. */
export function parseFstab(text: string): FstabEntry[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [device = "", path = "", type = "", options = ""] = line.split(/\s+/);
      return { device, path: unescape(path), type, options: options.split(",") };
    });
}

/** The path of the subvolume that options name, of several the last one, as mount takes it; undefined for none. */
export function subvolumeOf(options: readonly string[]): string | undefined {
  const option = options.findLast((one) => one.startsWith("subvol="));
  return option === undefined ? undefined : unescape(option.slice("subvol=".length));
}

/** The parts of a path that says something: those of `/./commons//@srv/` are `commons` and `@srv`. */
function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

/** The commons that options mount, however it is spelled; undefined for what is none, or lies inside one. */
export function commonsIn(options: readonly string[]): string | undefined {
  const [folder, name, ...inside] = partsOf(subvolumeOf(options) ?? "");
  return folder === layout.commons && name !== ".." && inside.length === 0 ? name : undefined;
}

/** The commons that an fstab or its template mounts, parents first. */
export function commonsOf(text: string): { name: string; path: string }[] {
  return parseFstab(text)
    .flatMap(({ path, options }) => {
      const name = commonsIn(options);
      return name === undefined ? [] : [{ name, path }];
    })
    .sort((a, b) => a.path.split("/").length - b.path.split("/").length);
}

/** The template with one more commons, spelled like those it has. */
export function addCommons(template: string, name: string, path: string, rootUuid: string): string {
  const like = parseFstab(template).find(({ options }) => commonsIn(options) !== undefined);
  const device = like?.device ?? `UUID=${rootUuid}`;
  // genfstab writes the subvolume's number too, which is another one's.
  const options = like?.options
    .filter((option) => !option.startsWith("subvolid="))
    .map((option) => (option.startsWith("subvol=") ? `subvol=/${layout.common(name)}` : option));
  const row = [device, path, "btrfs", options?.join(",") ?? commonsOptions(name, "")];
  const line = `${row.join("\t")}\t0 0`;
  const lines = appendLine(template, line).split("\n");
  // Mounted in this order: after what lies in it, it would hide that.
  const inside = lines.findIndex((one) => parseFstab(one).some((entry) => entry.path.startsWith(`${path}/`)));
  return (inside < 0 ? lines : lines.toSpliced(-2, 1).toSpliced(inside, 0, line)).join("\n");
}

/** The template without the commons on this path; every other line stays as it is. */
export function removeCommons(template: string, path: string): string {
  return template
    .split("\n")
    .filter((line) => commonsOf(line).every((one) => one.path !== path))
    .join("\n");
}

/** The generation that an fstab mounts as its root. */
export function rootGeneration(fstab: string): string | undefined {
  const root = parseFstab(fstab).find(({ path }) => path === "/");
  return generationOfSubvolume(partsOf(subvolumeOf(root?.options ?? []) ?? "").join("/"));
}

/** Filled by the kernel or in memory before an fstab is read: nobody can make a folder in them beforehand. */
const EPHEMERAL = /^\/(?:dev|proc|run|sys)(?:\/|$)/;

/** A folder over which something is mounted, and where it has to be: its path in the root, or in a commons. */
interface MountPoint {
  path: string;
  commons: string | undefined;
  inside: string;
}

/**
 * The mount points of an fstab. What lies within another mount is not firn's to make. `real`: where a path leads in the
 * root.
 */
export function mountPoints(fstab: string, real: (path: string) => string): MountPoint[] {
  const points = parseFstab(fstab).flatMap(({ path }) =>
    path.startsWith("/") && path !== "/" ? [{ path, at: real(path) }] : [],
  );
  const shared = commonsOf(fstab);
  return points.flatMap(({ path, at }): MountPoint[] => {
    if (EPHEMERAL.test(at)) return [];
    const above = points.filter((other) => at.startsWith(`${other.at}/`));
    if (above.length === 0) return [{ path, commons: undefined, inside: at }];
    const nearest = above.reduce((one, other) => (other.at.length > one.at.length ? other : one));
    const common = shared.find((one) => one.path === nearest.path);
    return common === undefined ? [] : [{ path, commons: common.name, inside: at.slice(nearest.at.length) }];
  });
}
