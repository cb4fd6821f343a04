import { existsSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { cached, cacheKey } from "../cache.ts";
import { runProgram } from "../program.ts";

/** The only architecture that is tested. */
const arch = "x86_64";

/** apk 2.14 and what it is linked against. */
const apkAndLibraries = ["apk-tools", "musl", "libcrypto3", "libssl3", "zlib"];

/**
 * The file of a package in the first of the repositories that has it. Repositories are folders as apk's -X takes them,
 * without the architecture. Throws when none has it.
 */
export async function packageFile(repositories: readonly string[], name: string): Promise<string> {
  for (const repository of repositories) {
    const folder = join(repository, arch);
    if (!existsSync(folder)) continue;
    // NAME-VERSION-rN.apk; a version begins with a digit, so that apk-tools does not find apk-tools-doc.
    const found = (await readdir(folder)).find(
      (file) => file.startsWith(`${name}-`) && /^\d[^-]*-r\d+\.apk$/.test(file.slice(name.length + 1)),
    );
    if (found !== undefined) return join(folder, found);
  }
  throw new Error(`no package ${name} in ${repositories.join(", ")}`);
}

/** Unpacks some paths of a package's files (all without any), without apk: no script runs, nothing is verified. */
export async function unpackPackage(file: string, target: string, paths: readonly string[] = []): Promise<void> {
  await mkdir(target, { recursive: true });
  // GNU tar does not know the checksums that apk keeps in PAX headers, and says so for every file.
  const options = ["--warning=no-unknown-keyword", "--exclude=.[A-Z]*"];
  await runProgram(["tar", ...options, "-xzf", file, "-C", target, ...paths]);
}

/**
 * The beginning of an argv that runs Alpine's own apk on this host, whatever its libc: `[...await hostApk(R), "--root",
 * …]`.
 */
export async function hostApk(repositories: readonly string[]): Promise<string[]> {
  const files = await Promise.all(apkAndLibraries.map((name) => packageFile(repositories, name)));
  const root = await cached("apk", cacheKey(...files), async (folder) => {
    for (const file of files) await unpackPackage(file, folder);
  });
  const libraries = [join(root, "lib"), join(root, "usr/lib")].join(":");
  return [join(root, "lib/ld-musl-x86_64.so.1"), "--library-path", libraries, join(root, "sbin/apk"), "--arch", arch];
}
