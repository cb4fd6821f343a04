export interface MountEntry {
  /** major:minor of the filesystem. */
  device: string;
  /** Path inside the filesystem that is mounted: `/snapshots/ID/@`. */
  root: string;
  path: string;
  type: string;
  source: string;
  options: string[];
}

/** Parses /proc/self/mountinfo, see proc(5). Octal escapes (`\040`) are undone. */
export function parseMountinfo(text: string): MountEntry[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const fields = line.split(" ");
      const dash = fields.indexOf("-");
      const [, , device = "", root = "", path = "", options = ""] = fields;
      return {
        device,
        root: unescape(root),
        path: unescape(path),
        type: fields[dash + 1] ?? "",
        source: unescape(fields[dash + 2] ?? ""),
        options: options.split(","),
      };
    });
}

/** Undoes the octal escapes of mountinfo and fstab. */
export function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
