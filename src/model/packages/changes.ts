/** What changes among packages. Open to the other doors: a generation's record lists it. */
import type { InstalledPackage } from "./database.ts";
import { refuse, type Refusal } from "../problem.ts";
import { compareVersions } from "./version.ts";

/** `replaced`: the same version, built again or reinstalled. */
export const changeKinds = ["added", "removed", "upgraded", "downgraded", "replaced"] as const;
export type ChangeKind = (typeof changeKinds)[number];

/** What happened to one package. `from` is the version before, `to` the one after. */
export interface PackageChange {
  readonly name: string;
  readonly kind: ChangeKind;
  readonly from?: string;
  readonly to?: string;
}

type Known = Pick<InstalledPackage, "name" | "version" | "checksum">;

/** What leads from one set of packages to another, sorted by name. */
export function diffPackages(before: readonly Known[], after: readonly Known[]): PackageChange[] {
  const old = new Map(before.map((known) => [known.name, known]));
  const changes: PackageChange[] = [];
  for (const { name, version, checksum } of after) {
    const was = old.get(name);
    old.delete(name);
    if (was === undefined) changes.push({ name, kind: "added", to: version });
    else if (was.version !== version || was.checksum !== checksum)
      changes.push({ name, kind: kindOf(was.version, version), from: was.version, to: version });
  }
  for (const { name, version } of old.values()) changes.push({ name, kind: "removed", from: version });
  return changes.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function kindOf(from: string, to: string): ChangeKind {
  const order = compareVersions(from, to);
  if (order === 0) return "replaced";
  return order < 0 ? "upgraded" : "downgraded";
}

/** As many packages as a message names. */
const NAMED = 8;

/** The refusal of packages that would become older. */
export function refuseOlder(unasked: readonly PackageChange[]): Refusal {
  const named = unasked.slice(0, NAMED).map(({ name, from, to }) => `${name} ${from} -> ${to}`);
  const more = unasked.length > NAMED ? ` and ${unasked.length - NAMED} more` : "";
  const [{ name, to } = { name: "", to: "" }] = unasked;
  return refuse(
    "E_DOWNGRADE",
    `Packages would become older, which nobody asked for: ${named.join(", ")}${more}.`,
    `The mirror may be behind: try again later, or another one. If it is meant: --allow-downgrade, or by name: firn add ${name}=${to}.`,
  );
}
