import service from "../../../system/firn.initd";
import { bootFiles } from "../../host/boot/read-boot-files.ts";
import type { Chroot } from "../../host/kernel/chroot.ts";
import { Fd } from "../../host/kernel/files.ts";
import { packageManager } from "../../host/packages/package-manager.ts";
import { exampleOf } from "../../model/config/example.ts";
import { firnToml } from "../../model/machine/firn-toml.ts";
import { renderMkinitfsConf } from "../../model/machine/machine-files.ts";
import { judgeIndexes } from "../../model/packages/index.ts";
import type { Changed, OnProgress, PackageSources } from "../../model/packages/wish.ts";
import { FirnError, orThrow } from "../../model/problem.ts";
import type { Installation } from "./installation.ts";

const progress =
  ({ report }: Installation): OnProgress =>
  (number, of, text) =>
    report.detail(`(${number}/${of}) ${text}`);

function tell({ report }: Installation, { notes, indexes }: Changed): void {
  orThrow(judgeIndexes(indexes, {}, false));
  for (const note of notes) report.detail(note);
}

/** Adds packages with the system's own package manager, as what runs in its chroot. */
function add(context: Installation, chroot: Chroot, sources: PackageSources, packages: readonly string[]): void {
  tell(context, packageManager.change(chroot, sources, { verb: "add", packages }, progress(context)));
}

/** Fills an empty root from outside. */
export function installBase(context: Installation, packages: readonly string[]): void {
  const { prepared, opened } = context;
  tell(context, prepared.supply.fill(opened.root, packages, progress(context)));
}

/** Installs the rest with the system's own apk, and firn itself, as a copy of this program where no package has it. */
export function installPackages(context: Installation, packages: readonly string[]): void {
  context.inside((chroot, sources) => {
    add(context, chroot, sources, packages);
    if (context.prepared.packaged) return;
    const { root } = chroot;
    using program = Fd.reading("/proc/self/exe");
    root.makeDirectories("/usr/sbin");
    root.copy(program, "/usr/sbin/firn", 0o755);
    root.write("/etc/firn/firn.toml", exampleOf(firnToml));
    root.write("/etc/init.d/firn", service, 0o755);
  });
}

/** Throws E_BOOT_FILES when the kernel's package left no kernel or no initramfs. */
export function installKernel(context: Installation, packages: readonly string[]): void {
  const { config, opened } = context;
  context.inside((chroot, sources) => {
    // Before the kernel: its trigger makes the initramfs from this.
    const conf = renderMkinitfsConf(config.identity.keymap !== undefined);
    chroot.root.write("/etc/mkinitfs/mkinitfs.conf", conf);
    add(context, chroot, sources, packages);
  });
  const { flavor } = config.system;
  for (const path of Object.values(bootFiles(flavor))) {
    if (opened.root.exists(path)) continue;
    throw new FirnError(
      "E_BOOT_FILES",
      `linux-${flavor} was installed, but there is no ${path}: this system would not boot.`,
      "Choose another kernel: --flavor lts or virt.",
    );
  }
}
