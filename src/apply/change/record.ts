import { alpineRelease, checkBootFiles, kernelFlavors } from "../../host/boot/read-boot-files.ts";
import { installedDatabase } from "../../host/volume/roots.ts";
import { diffPackages } from "../../model/packages/changes.ts";
import { packageList, type InstalledPackage } from "../../model/packages/database.ts";
import type { GenerationRecord } from "../../model/volume/generation.ts";
import { baseRoot, opened, type ChangeContext } from "./change-context.ts";

function parentRecord({ state, base }: ChangeContext): GenerationRecord {
  return state.generations.find((generation) => generation.id === base)?.record ?? {};
}

/** Checks every kernel that the boot menu may name. Gives `uname -r` of the first. Throws E_BOOT_FILES. */
export function checkKernels(context: ChangeContext): string | undefined {
  const { flavor, kernel } = parentRecord(context);
  const flavors = flavor === undefined ? kernelFlavors(baseRoot(context)) : [flavor];
  // Only a base that firn sealed was checked before.
  const checked = kernel === undefined ? undefined : baseRoot(context);
  return flavors.map((name) => checkBootFiles(context.store.top, opened(context).root, name, checked))[0];
}

function touched({ files }: ChangeContext, ...folders: string[]): boolean {
  return files.some(({ path }) => folders.some((folder) => path === folder || path.startsWith(`${folder}/`)));
}

function installedPackages(root: string): InstalledPackage[] {
  return packageList(installedDatabase(root));
}

function packages(
  context: ChangeContext,
  before: number | undefined,
): Pick<GenerationRecord, "changes" | "installedBytes"> {
  if (before !== undefined && !touched(context, "lib/apk/db", "usr/lib/apk/db"))
    return { changes: [], installedBytes: before };
  const after = installedPackages(opened(context).root);
  return {
    changes: diffPackages(installedPackages(baseRoot(context)), after),
    installedBytes: after.reduce((sum, { installedBytes }) => sum + installedBytes, 0),
  };
}

/** The record of a draft that is about to be sealed. */
export function recordOf(context: ChangeContext, kernel: string | undefined): GenerationRecord {
  const { base, command, description, files } = context;
  const parent = parentRecord(context);
  const release = alpineRelease(opened(context).root);
  const conflicts = files
    .filter(({ path, kind }) => kind !== "removed" && path.endsWith(".apk-new"))
    .map(({ path }) => `/${path}`);
  return {
    ...(base === undefined ? {} : { parent: base }),
    created: new Date().toISOString(),
    ...(kernel === undefined ? {} : { kernel }),
    ...(parent.flavor === undefined ? {} : { flavor: parent.flavor }),
    ...(release === undefined ? {} : { release }),
    ...(description === undefined ? {} : { description }),
    command,
    ...packages(context, parent.installedBytes),
    ...(conflicts.length === 0 ? {} : { conflicts }),
  };
}
