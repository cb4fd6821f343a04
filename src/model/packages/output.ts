import type { ChangeKind, PackageChange } from "./changes.ts";

/** One `(n/m) …` line of apk's. `change` is missing where apk only moves a pin. */
export interface ProgressLine {
  readonly n: number;
  readonly of: number;
  readonly name: string;
  readonly change?: PackageChange;
}

const kinds: Record<string, ChangeKind> = {
  Installing: "added",
  Purging: "removed",
  Upgrading: "upgraded",
  Downgrading: "downgraded",
  Replacing: "replaced",
  Reinstalling: "replaced",
};

/** apk-tools, src/commit.c, print_change(). apk 3 pads the first number. */
const step =
  /^\(\s*(\d+)\/(\d+)\) (?:\[APK unavailable, skipped\] )?([A-Z]\w+(?: pinning)?) ([^\s@]+)(?:@\S+)? \((\S+?)(?: -> (\S+))?\)$/;

/** Reads one line of apk's stdout; undefined when it is not a step. */
export function parseStep(line: string): ProgressLine | undefined {
  const match = step.exec(line);
  if (match === null) return undefined;
  const [, n = "", of = "", verb = "", name = "", first = "", second] = match;
  const base = { n: Number(n), of: Number(of), name };
  const kind = kinds[verb];
  if (kind === undefined) return base;
  switch (kind) {
    case "added":
      return { ...base, change: { name, kind, to: first } };
    case "removed":
      return { ...base, change: { name, kind, from: first } };
    case "upgraded":
    case "downgraded":
    case "replaced":
      return { ...base, change: { name, kind, from: first, to: second ?? first } };
    default:
      return kind satisfies never;
  }
}

/**
 * The changes that apk's stdout tells of, sorted by name. A self-upgrade counts its steps from 1 twice; a package that
 * is touched twice is told once, from its first version to its last.
 */
export function parseChanges(stdout: string): PackageChange[] {
  const changes = new Map<string, PackageChange>();
  for (const line of stdout.split("\n")) {
    const change = line.startsWith("(") ? parseStep(line)?.change : undefined;
    if (change === undefined) continue;
    const from = changes.get(change.name)?.from;
    changes.set(change.name, from === undefined || change.kind === "removed" ? change : { ...change, from });
  }
  return [...changes.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
