import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { join, resolve } from "node:path";

/** Where build products are kept between runs; git ignores it. */
export const cacheFolder = resolve(import.meta.dirname, "../../../.cache/vm");

/** The SHA-256 of the parts, as the key of a product that depends on nothing else. */
export function cacheKey(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(createHash("sha256").update(part).digest());
  return hash.digest("hex").slice(0, 20);
}

/** The SHA-256 over the names and contents of all files under a folder, sorted, so that its copy has the same one. */
export async function treeKey(folder: string): Promise<string> {
  const hash = createHash("sha256");
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const file of files.toSorted()) {
    hash.update(`${file.slice(folder.length)}\n`);
    hash.update(
      createHash("sha256")
        .update(await readFile(file))
        .digest(),
    );
  }
  return hash.digest("hex").slice(0, 20);
}

/**
 * The folder `<name>-<key>` of the cache, made by `build` in a temporary folder and renamed into place, so that it is
 * there whole or not at all and two runs at the same time do no harm.
 */
export async function cached(name: string, key: string, build: (folder: string) => Promise<void>): Promise<string> {
  const target = join(cacheFolder, `${name}-${key}`);
  if (existsSync(target)) {
    await utimes(target, new Date(), new Date());
    return target;
  }
  await mkdir(cacheFolder, { recursive: true });
  const work = await mkdtemp(join(cacheFolder, "work-"));
  try {
    await build(work);
    await rename(work, target).catch((error: NodeJS.ErrnoException) => {
      // Somebody else was faster with the same content.
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  await forget(name);
  return target;
}

/** Products nobody has used for a day go: each build of firn would leave another live system behind. */
async function forget(name: string): Promise<void> {
  for (const entry of await readdir(cacheFolder)) {
    if (!entry.startsWith(`${name}-`) || !/^[0-9a-f]{20}$/.test(entry.slice(name.length + 1))) continue;
    const { mtimeMs } = await stat(join(cacheFolder, entry));
    if (Date.now() - mtimeMs > 86_400_000) await rm(join(cacheFolder, entry), { recursive: true, force: true });
  }
}
