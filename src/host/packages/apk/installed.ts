import { changedFiles } from "../../../model/packages/impact.ts";
import { packageList, type InstalledPackage } from "../../../model/packages/database.ts";
import { isSysError } from "../../kernel/failure.ts";
import { insideRoot, readTextIfAny } from "../../kernel/files.ts";

/**
 * The text of apk's database in a root, wherever its release keeps it (/usr-merge moves it); undefined where there is
 * none.
 */
export function databaseText(root: string): string | undefined {
  return (
    readTextIfAny(insideRoot(root, "/lib/apk/db/installed")) ??
    readTextIfAny(insideRoot(root, "/usr/lib/apk/db/installed"))
  );
}

/** What the root is to have, as constraints. */
export function world(root: string): string[] {
  return (readTextIfAny(insideRoot(root, "/etc/apk/world")) ?? "").split(/\s+/).filter(Boolean);
}

/** The packages of a root; none where nothing was ever installed. */
export function installedPackages(root: string): InstalledPackage[] {
  return packageList(databaseText(root) ?? "");
}

/**
 * Absolute paths of the files in these packages that the second root lacks or has with another content, as its database
 * says.
 */
export function filesBetween(before: string, after: string, names: ReadonlySet<string>): Set<string> {
  return changedFiles(databaseText(before) ?? "", databaseText(after) ?? "", names);
}

/** Alpine's release as the root itself says. */
export function alpineRelease(root: string): string | undefined {
  try {
    return readTextIfAny(insideRoot(root, "/etc/alpine-release"))?.trim();
  } catch (error) {
    if (isSysError(error)) return undefined;
    throw error;
  }
}
