import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { alpineMirror, fixtures } from "../fixtures/fixtures.ts";
import { firn, firnBinary, lendRepositories } from "./firn.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The password of root in test images, and its hash (openssl passwd -6 -salt firn test). */
export const PASSWORD = "test";
export const PASSWORD_HASH =
  "$6$firn$usFpHs1YxeqchMPqD4N8GVhBQ3QZ7ic47wJfMvNyXBJ/KFomwDp0ZCTftSPAX1Ued.P./06rPWHHEEXqhX77A0";

/** Flags that every installation in the tests shares: real Alpine 3.19.1, the stand-in kernel 6.1, a serial console. */
export async function machineFlags(): Promise<string[]> {
  const { v1, keysDir } = await fixtures();
  const from = [join(alpineMirror, "v3.19.1"), join(alpineMirror, "extras"), v1].flatMap((one) => ["-X", one]);
  lendRepositories(from);
  return [
    ...[...from, "--keys-dir", keysDir],
    ...["--flavor", "virt", "--serial", "ttyS0", "--hostname", "snow", "--root-password-hash", PASSWORD_HASH],
  ];
}

/** `imageWith` these flags and those that every installation in the tests shares. */
export async function baseImage(size = "2G", extra: readonly string[] = []): Promise<string> {
  return imageWith(size, [...(await machineFlags()), ...extra]);
}

/**
 * An image made by the real `firn image`, kept in the cache by the content of the binary and the flags. It is shared
 * and must not be changed: copy it (`cp --sparse=always`) or lay an overlay over it.
 */
export async function imageWith(size: string, flags: readonly string[]): Promise<string> {
  const hash = createHash("sha256")
    .update(readFileSync(await firnBinary()))
    .update(JSON.stringify([size, flags]));
  const folder = join(process.env["FIRN_CACHE"] ?? join(root, ".cache"), "images");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${hash.digest("hex").slice(0, 24)}.img`);
  if (existsSync(file)) return file;
  const work = mkdtempSync(join(folder, "new-"));
  try {
    const made = await firn(["image", join(work, "image"), "--size", size, ...flags]);
    if (made.status !== 0) throw new Error(`firn image failed (${made.status}):\n${made.stderr}`);
    renameSync(join(work, "image"), file);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return file;
}
