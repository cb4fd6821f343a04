/** The port to boot loaders. Outside host/boot nobody knows which one it is. */
import type { Within } from "../kernel/within.ts";
import { renderRefindConf, type Arch, type BootMenu } from "../../model/boot/menu.ts";
import type { Refusal } from "../../model/problem.ts";
import { enableRemovablePath, writeBootLoader, type LoaderFiles } from "./esp.ts";
import { makeBootFilesReadable } from "./read-boot-files.ts";
import { findRefind, hostRefindFolders } from "./refind.ts";
import { given } from "../../model/given.ts";

export type { LoaderFiles } from "./esp.ts";

export interface LoaderWish {
  arch: Arch;
  /** The folder that a person named (--refind): looked into alone. */
  dir?: string | undefined;
  /** Where its package was unpacked, in place of the host's own. */
  unpacked?: string | undefined;
}

export interface BootLoader {
  /** The package that brings it, where a repository has it. */
  readonly package: string;
  /** Its parts on this machine, or E_BOOT_LOADER. Writes nothing. */
  readonly find: (wish: LoaderWish) => LoaderFiles | Refusal;
  /** The text of its menu, which no upgrade touches. */
  readonly menu: (menu: BootMenu) => string;
  /** Puts it on an EFI partition, where nothing starts it yet. Gives its path as firmware spells it: `\EFI\firn\…`. */
  readonly install: (device: string, files: LoaderFiles, menu: string) => string;
  /** Makes the disk start it: the last step of an installation. */
  readonly enable: (device: string, files: LoaderFiles, menu: string) => void;
  /**
   * Writes anew those boot files of a draft that it could not read; gives their paths inside the root. Where there are
   * any, the caller flushes.
   */
  readonly makeReadable: (root: Within, flavors: readonly string[]) => readonly string[];
}

export const bootLoader: BootLoader = {
  package: "refind",
  find: ({ arch, dir, unpacked }) =>
    findRefind({
      arch,
      ...given({ dir }),
      packageDirs: unpacked === undefined ? hostRefindFolders : [unpacked],
    }),
  menu: renderRefindConf,
  install: writeBootLoader,
  enable: enableRemovablePath,
  makeReadable: makeBootFilesReadable,
};
