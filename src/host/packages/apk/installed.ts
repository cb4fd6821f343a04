import { databaseFiles } from "../../../model/packages/bookkeeping.ts";
import { changedFiles } from "../../../model/packages/impact.ts";
import { packageList, type InstalledPackage } from "../../../model/packages/database.ts";
import { isSysError } from "../../kernel/failure.ts";
import type { Within } from "../../kernel/within.ts";

/**
 * The text of apk's database in a root, wherever its release keeps it (/usr-merge moves it); undefined where there is
 * none.
 */
export function databaseText(root: Within): string | undefined {
  return databaseFiles.map((path) => root.text(path)).find((text) => text !== undefined);
}

/** What the root is to have, as constraints. */
export function world(root: Within): string[] {
  return (root.text("/etc/apk/world") ?? "").split(/\s+/).filter(Boolean);
}

/** The packages of a root; none where nothing was ever installed. */
export function installedPackages(root: Within): InstalledPackage[] {
  return packageList(databaseText(root) ?? "");
}

/**
 * Absolute paths of the files in these packages that the second root lacks or has with another content, as its database
 * says.
 */
export function filesBetween(before: Within, after: Within, names: ReadonlySet<string>): Set<string> {
  return changedFiles(databaseText(before) ?? "", databaseText(after) ?? "", names);
}

/** Alpine's release as the root itself says. */
export function alpineRelease(root: Within): string | undefined {
  try {
    return root.text("/etc/alpine-release")?.trim();
  } catch (error) {
    if (isSysError(error)) return undefined;
    throw error;
  }
}
