import { comparePaths } from "../host/volume/compare-trees.ts";
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
    // Two fstabs may differ in nothing but the generation that they mount.
    const files = comparePaths(before.locate("/"), after.locate("/")).filter(
      ({ path }) => path !== "etc/fstab" || templateIn(before) !== templateIn(after),
    );
    const texts = files
      .filter(({ path }) => path.startsWith("etc/"))
      .flatMap(({ path }) => textDiff(before, after, path) ?? []);
    return {
      data: { from, to, packages, files: files.map(({ path, kind }) => ({ path: `/${path}`, kind })), texts },
      lines: [
        `${from} -> ${to}`,
        ...packages.map(changeText),
        ...(files.length === 0 ? ["No file differs."] : files.map(({ path, kind }) => `${signs[kind]} /${path}`)),
        ...texts.flatMap(({ text }) => text.trimEnd().split("\n")),
      ],
    };
  });
}
