import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cached, cacheKey, treeKey } from "../cache.ts";
import { blankImage } from "./disk.ts";
import { runProgram } from "../program.ts";

/**
 * Packs folders of the host into an ext4 image for a guest to mount (`mount -t ext4 -o ro /dev/vdb /media/mirror`):
 * name at the top of the image → folder. Returns a cached raw image: give it to machines with `readonly: true`.
 */
export async function mirrorDisk(folders: Readonly<Record<string, string>>): Promise<string> {
  const entries = Object.entries(folders);
  const contents = await Promise.all(entries.map(([, folder]) => treeKey(folder)));
  const key = cacheKey(...entries.map(([name]) => name), ...contents);
  const product = await cached("mirror", key, async (target) => {
    const stage = await mkdtemp(join(tmpdir(), "firn-mirror-"));
    try {
      for (const [name, folder] of entries) await runProgram(["cp", "-rL", folder, join(stage, name)]);
      const { stdout } = await runProgram(["du", "-sk", stage]);
      const image = join(target, "mirror.ext4");
      // A third more, and 8 MiB, for inodes and maps.
      await blankImage(image, Math.ceil((Number(stdout.split("\t")[0]) / 1024) * 1.33) + 8);
      await runProgram(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-m", "0", "-L", "MIRROR", "-d", stage, image]);
    } finally {
      await rm(stage, { recursive: true, force: true });
    }
  });
  return join(product, "mirror.ext4");
}
