/** firn as on a machine that booted from an image: its root is a generation, in a namespace of its own. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { behind, firnBinary, type Ran } from "./firn.ts";
import { rootOffset } from "./volume.ts";

/** After any commit: the machine booted a moment ago. */
const JUST_NOW = 4_000_000_000;

/**
 * Runs firn where a generation of the image is /. `since`: what was committed was so before this boot, or after it.
 */
export async function booted(
  image: string,
  id: string,
  since: "before" | "after",
  ...args: readonly string[]
): Promise<Ran> {
  const root = mkdtempSync(join(tmpdir(), "firn-root-"));
  const script = [
    `mount -t btrfs -o loop,offset=${rootOffset(image)},subvol=snapshots/${id}/@ ${image} ${root}`,
    `for folder in proc sys dev; do mount --rbind /$folder ${root}/$folder; done`,
    `for folder in run tmp; do mount -t tmpfs firn ${root}/$folder; done`,
    `sed "s/^btime .*/btime ${since === "before" ? JUST_NOW : 0}/" /proc/stat > ${root}/run/stat`,
    `mount --bind ${root}/run/stat ${root}/proc/stat`,
    `cp ${await firnBinary()} ${root}/run/firn-tested`,
  ].join("\n");
  const [program = "", ...rest] = [...behind(script), "chroot", root, "/run/firn-tested", ...args];
  const { status, stdout, stderr } = spawnSync(program, rest, { encoding: "utf8", input: "" });
  rmSync(root, { recursive: true });
  return { status: status ?? -1, stdout, stderr };
}
