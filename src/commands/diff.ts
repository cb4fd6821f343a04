import { comparePaths, isOwnFstab } from "../host/volume/compare-trees.ts";
import type { PathChange } from "../model/volume/path-change.ts";
import { textDiff } from "../host/volume/text-diff.ts";
import { packageManager } from "../host/packages/package-manager.ts";
import { generationRoot, templateIn } from "../host/volume/roots.ts";
import { diffPackages } from "../model/packages/changes.ts";
import { orThrow } from "../model/problem.ts";
import { select } from "../model/volume/selector.ts";
import { changeText } from "../report/format.ts";
import type { Result } from "../report/result.ts";
import { reading, type ReadFlags } from "./session/session.ts";

const signs = { added: "+", removed: "-", changed: "~" } as const;

type Told = Pick<PathChange, "path" | "kind"> & { what: readonly string[] };

function fileText({ path, kind, what }: Told): string {
  return `${signs[kind]} ${path}${what.length === 0 ? "" : ` (${what.join(", ")})`}`;
}

/** Files for a person: an upgrade gives thousands that it wrote anew with the same content a new time. */
function fileLines(files: readonly Told[]): string[] {
  if (files.length === 0) return ["No file differs."];
  const shown = files.filter(({ kind, what }) => kind !== "changed" || what.some((one) => one !== "time"));
  const others = files.length - shown.length;
  return [
    ...shown.map(fileText),
    ...(others === 0 ? [] : [`${others} differ in nothing but their time of change: --json names them.`]),
  ];
}

/**
 * `firn diff [A] [B]`: how B differs from A. Without A, what the default changes of what is booted (of the previous one
 * on a volume that is not booted); without B, the default.
 */
export function diff(flags: ReadFlags, [first, second]: readonly string[]): Result {
  return reading(flags, ({ volume, state }) => {
    const from = orThrow(
      select(state, first ?? (state.booted === undefined || state.booted === state.slots[0] ? "previous" : "booted")),
    );
    const to = orThrow(select(state, second ?? "current"));
    const [before, after] = [generationRoot(volume.top, from), generationRoot(volume.top, to)];
    const packages = diffPackages(packageManager.installed(before), packageManager.installed(after));
    const sameTemplate = templateIn(before) === templateIn(after);
    const files = comparePaths(before.locate("/"), after.locate("/"))
      .filter((change) => !(sameTemplate && isOwnFstab(change)))
      .map(({ path, kind, what }) => ({ path: `/${path}`, kind, what: what() }))
      .filter(({ kind, what }) => kind !== "changed" || what.length > 0);
    const differences = files
      .filter(({ path }) => path.startsWith("/etc/"))
      .flatMap(({ path }) => textDiff(before, after, path.slice(1)) ?? []);
    const texts = differences.flatMap(({ path, text }) => (text === undefined ? [] : [{ path, text }]));
    const hidden = differences.flatMap(({ path, text }) => (text === undefined ? [path] : []));
    return {
      data: { from, to, packages, files, texts, hidden },
      lines: [
        `${from} -> ${to}`,
        ...packages.map(changeText),
        ...fileLines(files),
        ...texts.flatMap(({ text }) => text.trimEnd().split("\n")),
        ...(hidden.length === 0 ? [] : [`Not shown, since it may be secret: the text of ${hidden.join(", ")}.`]),
      ],
    };
  });
}
