import service from "../../../system/firn.initd";
import { bootFiles } from "../../host/boot/read-boot-files.ts";
import { copyFile, exists, insideRoot, makeDirectories, names, writeText } from "../../host/kernel/files.ts";
import { apk, signingKeys, type ApkTarget } from "../../host/packages/apk/apk.ts";
import { exampleFirnToml } from "../../model/config/example.ts";
import { renderMkinitfsConf } from "../../model/machine/machine-files.ts";
import { FirnError } from "../../model/problem.ts";
import type { Installation } from "./installation.ts";

function add({ report }: Installation, target: ApkTarget, words: readonly string[]): void {
  const { notes } = apk(target, words, { onProgress: (n, of, text) => report.detail(`(${n}/${of}) ${text}`) });
  for (const note of notes) report.detail(note);
}

/** Fills an empty root from outside, with the host's or the fetched apk. */
export function installBase(context: Installation, packages: readonly string[]): void {
  const { prepared, opened, config } = context;
  const { root } = opened;
  add(context, { ...prepared.target, root }, ["--initdb", "add", ...packages]);
  writeText(insideRoot(root, "/etc/apk/repositories"), prepared.repositories.map((line) => `${line}\n`).join(""));
  const keys = insideRoot(root, "/etc/apk/keys");
  makeDirectories(keys);
  // Beside Alpine's own (alpine-keys): those that the user gave, and those that its repositories are signed with. What
  // else the installing host trusts is no business of this system.
  const { keysDir } = config.system;
  const wanted = new Set([...(keysDir === undefined ? [] : names(keysDir)), ...signingKeys(prepared.target)]);
  for (const name of names(prepared.target.keysDir).filter((key) => wanted.has(key))) {
    if (!exists(`${keys}/${name}`)) copyFile(`${prepared.target.keysDir}/${name}`, `${keys}/${name}`, 0o644);
  }
}

/** Installs the rest with the system's own apk, and firn itself, as a copy of this program where no package has it. */
export function installPackages(context: Installation, packages: readonly string[]): void {
  context.inside((target, root) => {
    add(context, target, ["add", ...packages]);
    if (context.prepared.packaged) return;
    makeDirectories(insideRoot(root, "/usr/sbin"));
    copyFile("/proc/self/exe", `${insideRoot(root, "/usr/sbin")}/firn`, 0o755);
    makeDirectories(insideRoot(root, "/etc/firn"));
    writeText(`${insideRoot(root, "/etc/firn")}/firn.toml`, exampleFirnToml());
    writeText(`${insideRoot(root, "/etc/init.d")}/firn`, service, 0o755);
  });
}

/** Throws E_BOOT_FILES when the kernel's package left no kernel or no initramfs. */
export function installKernel(context: Installation, packages: readonly string[]): void {
  const { config, opened } = context;
  context.inside((target, root) => {
    // Before the kernel: its trigger makes the initramfs from this.
    makeDirectories(insideRoot(root, "/etc/mkinitfs"));
    const conf = renderMkinitfsConf(config.identity.keymap !== undefined);
    writeText(`${insideRoot(root, "/etc/mkinitfs")}/mkinitfs.conf`, conf);
    add(context, target, ["add", ...packages]);
  });
  const { flavor } = config.system;
  for (const path of Object.values(bootFiles(opened.root, flavor))) {
    if (exists(path)) continue;
    throw new FirnError(
      "E_BOOT_FILES",
      `linux-${flavor} was installed, but there is no ${path.slice(opened.root.length)}: this system would not boot.`,
      "Choose another kernel: --flavor lts or virt.",
    );
  }
}
