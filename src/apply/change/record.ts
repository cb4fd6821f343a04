import { checkBootFiles, kernelFlavors } from "../../host/boot/read-boot-files.ts";
import { packageManager } from "../../host/packages/package-manager.ts";
import { given } from "../../model/given.ts";
import { diffPackages } from "../../model/packages/changes.ts";
import { installedBytesOf } from "../../model/packages/database.ts";
import { indexTimes } from "../../model/packages/index.ts";
import type { GenerationRecord } from "../../model/volume/generation.ts";
import { generationOf, lastIndexes } from "../../model/volume/state.ts";
import { baseRoot, opened, type ChangeContext } from "./change-context.ts";

function parentRecord({ state, base }: ChangeContext): GenerationRecord {
  return generationOf(state, base)?.record ?? {};
}

/** The flavours of every kernel that the boot menu may name. */
export function flavorsOf(context: ChangeContext): string[] {
  const { flavor } = parentRecord(context);
  return flavor === undefined ? kernelFlavors(baseRoot(context)) : [flavor];
}

/** Checks every kernel that the boot menu may name. Gives `uname -r` of the first. Throws E_BOOT_FILES. */
export function checkKernels(context: ChangeContext): string | undefined {
  // Only a base that firn sealed was checked before.
  const checked = parentRecord(context).kernel === undefined ? undefined : baseRoot(context);
  return flavorsOf(context).map((name) => checkBootFiles(context.store.top, opened(context).root, name, checked))[0];
}

function packages(
  context: ChangeContext,
  before: number | undefined,
): Pick<GenerationRecord, "changes" | "installedBytes"> {
  if (before !== undefined && !context.files.some(({ path }) => packageManager.isDatabase(path)))
    return { changes: [], installedBytes: before };
  const after = packageManager.installed(opened(context).root);
  return {
    changes: diffPackages(packageManager.installed(baseRoot(context)), after),
    installedBytes: installedBytesOf(after),
  };
}

/** The record of a draft that is about to be sealed. */
export function recordOf(context: ChangeContext, kernel: string | undefined): GenerationRecord {
  const { base, command, description, files, indexes, state } = context;
  const parent = parentRecord(context);
  const written = files.flatMap(({ path, kind }) => (kind === "removed" ? [] : [path]));
  const conflicts = packageManager.conflicts(written).map((path) => `/${path}`);
  return given({
    parent: base,
    created: new Date().toISOString(),
    kernel,
    flavor: parent.flavor,
    release: packageManager.release(opened(context).root),
    description,
    command,
    indexes: { ...lastIndexes(state), ...indexTimes(indexes) },
    ...packages(context, parent.installedBytes),
    commons: opened(context).commons,
    conflicts: conflicts.length === 0 ? undefined : conflicts,
  });
}
