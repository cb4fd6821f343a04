import { FirnError } from "../../model/problem.ts";
import { parseFstab, subvolumeOf, type FstabEntry } from "../../model/volume/fstab.ts";
import { layout } from "../../model/volume/layout.ts";
import type { VolumeState } from "../../model/volume/state.ts";
import type { CommonsUse } from "../../model/volume/commons.ts";
import { infoOf } from "../kernel/subvolumes.ts";
import { Within } from "../kernel/within.ts";
import { isSubvolume, nestedSubvolumes } from "./btrfs.ts";
import { mountedSubvolumes } from "./inspect-volume.ts";
import type { Volume } from "./open-volume.ts";
import { fstabIn, generationRoot } from "./roots.ts";

/** A subvolume's number as the kernel reads it: decimal, 0x103, or octal after a 0. */
function numberOf(text: string): number {
  return /^0[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number(text);
}

/**
 * Who would miss a commons. What fstab calls it decides nothing: the subvolume that a line mounts is the kernel's to
 * say. Throws E_COMMONS for what is none.
 */
export function useOfCommons({ top, path }: Volume, state: VolumeState, name: string): CommonsUse {
  if (!isSubvolume(top, layout.common(name)))
    throw new FirnError("E_COMMONS", `commons/${name} is no subvolume, so it is none that firn made.`);
  // As mount(2) finds a subvolume by its path: through symlinks, as far as the top level.
  using whole = Within.root(path);
  using commons = top.folder(layout.common(name));
  const { dev } = commons.directory.stat();
  const { id } = infoOf(commons.directory);
  const mountsIt = ({ type, options }: FstabEntry): boolean => {
    const number = options.findLast((option) => option.startsWith("subvolid="));
    const subvolume = subvolumeOf(options);
    return (
      (type === "btrfs" || type === "auto") &&
      ((number !== undefined && numberOf(number.slice("subvolid=".length)) === id) ||
        (subvolume !== undefined && whole.stat(subvolume)?.dev === dev))
    );
  };
  const [slot0] = state.slots;
  const own = slot0 === undefined ? undefined : fstabIn(generationRoot(top, slot0));
  const lines = [own, state.template, state.templateEdit?.edited].flatMap((text) => parseFstab(text ?? ""));
  const at = `/${layout.common(name)}`;
  return {
    path: lines.find(mountsIt)?.path,
    mounted: mountedSubvolumes(path).some((one) => one === at || one.startsWith(`${at}/`)),
    nested: nestedSubvolumes(commons),
  };
}
