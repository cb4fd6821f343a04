import { parseRecord } from "../../model/volume/generation.ts";
import {
  DRAFT,
  draftId,
  parseGenerationId,
  parseLinkSetId,
  type GenerationId,
  type LinkSetId,
} from "../../model/volume/ids.ts";
import { METADATA, ROOT, generationOfSubvolume, layout, targetName } from "../../model/volume/layout.ts";
import { parseMountinfo } from "../../model/kernel/mountinfo.ts";
import { readTemplate } from "../../model/volume/template.ts";
import { createdAt, type DeleterState, type Generation, type VolumeState } from "../../model/volume/state.ts";
import { FirnError } from "../../model/problem.ts";
import { isSysError } from "../kernel/failure.ts";
import { Fd, exists, names, readLink, readLinkIfAny, readSmallText, readText } from "../kernel/files.ts";
import { generationRoot, templateFor, templateIn } from "./roots.ts";
import { lstat } from "../kernel/stat.ts";
import { spaceOf } from "./space.ts";
import { filesystemUuid } from "../kernel/subvolumes.ts";
import { superblockAt, type Volume } from "./open-volume.ts";

function linkTarget(path: string): string | undefined {
  const target = readLinkIfAny(path);
  return target === undefined ? undefined : targetName(target);
}

/** The generation that runs now, from the subvolume that is mounted at /. */
function bootedGeneration(mountinfo: string): GenerationId | undefined {
  const root = parseMountinfo(mountinfo).findLast(({ path }) => path === "/");
  const name = root?.type === "btrfs" ? generationOfSubvolume(root.root) : undefined;
  return name === undefined ? undefined : parseGenerationId(name);
}

function readSlots(top: string, linkSet: LinkSetId | undefined): { slots: GenerationId[]; slotCount: number } {
  if (linkSet === undefined) return { slots: [], slotCount: 0 };
  const entries = names(`${top}/${layout.linkSet(linkSet)}`).filter((name) => /^\d+$/.test(name));
  const slots = entries
    .sort((a, b) => Number(a) - Number(b))
    .flatMap((slot) => {
      const target = linkTarget(`${top}/${layout.linkSet(linkSet)}/${slot}`);
      const id = target === undefined ? undefined : parseGenerationId(target);
      return id !== undefined && exists(`${top}/${layout.generation(id)}/${ROOT}`) ? [id] : [];
    });
  return { slots, slotCount: entries.length };
}

/** Bytes. A record with the changes of a thousand packages has a tenth of this. */
const LARGEST_RECORD = 1 << 20;

/** What a record says. It is optional: one that cannot be read is a fault to tell of, and stops nothing. */
function readRecord(file: string): Pick<Generation, "record" | "fault"> {
  try {
    return { record: parseRecord(readSmallText(file, LARGEST_RECORD)) };
  } catch (error) {
    if (isSysError(error)) return { record: {}, fault: error.reason };
    throw error;
  }
}

/** Undefined for what cannot be read: it is optional too. */
function ifReadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isSysError(error) || error instanceof FirnError) return undefined;
    throw error;
  }
}

function readGeneration(top: string, id: GenerationId): Generation {
  const folder = `${top}/${layout.generation(id)}`;
  return { id, ...readRecord(`${folder}/${METADATA}`), complete: exists(`${folder}/${ROOT}`) };
}

/**
 * What of the filesystem at `top` is mounted anywhere, by path from its top level: `/snapshots/X/@`. btrfs lets a
 * mounted subvolume be deleted and blanks it at once, so every mount namespace counts: those of containers, and of
 * other runs of firn.
 */
export function mountedSubvolumes(top: string): string[] {
  const own = readText("/proc/self/mountinfo");
  const device = parseMountinfo(own).findLast(({ path }) => path === top)?.device;
  const seen = new Set<string>();
  const found = new Set<string>();
  for (const process of names("/proc")) {
    if (!/^\d+$/.test(process)) continue;
    for (const mount of parseMountinfo(mountinfoOf(process, seen))) if (mount.device === device) found.add(mount.root);
  }
  return [...found];
}

/** The state of a volume for somebody who deletes generations. */
export function withMounted({ path: top }: Volume, state: VolumeState): DeleterState {
  const ids = mountedSubvolumes(top).flatMap((path) => parseGenerationId(generationOfSubvolume(path) ?? "") ?? []);
  return { ...state, mounted: [...new Set(ids)] };
}

/** The mounts of a process, or "" when another one of its namespace was asked before, or it is gone. */
function mountinfoOf(process: string, seen: Set<string>): string {
  try {
    const namespace = readLink(`/proc/${process}/ns/mnt`);
    if (seen.has(namespace)) return "";
    seen.add(namespace);
    return readText(`/proc/${process}/mountinfo`);
  } catch (error) {
    if (isSysError(error)) return "";
    throw error;
  }
}

/** The UUID by which sysfs knows the mounted filesystem. */
export function volumeUuid({ path }: Volume): string {
  using fd = Fd.directory(path);
  return filesystemUuid(fd);
}

/** Seconds since the epoch at which the machine booted, by the clock as it is now. */
function bootTime(): number {
  return Number(/^btime (\d+)$/m.exec(readText("/proc/stat"))?.[1] ?? 0);
}

/** The step at which an installation stopped. Before its first note a volume holds nothing at all. */
function installationStep(
  top: string,
  drafts: readonly string[],
  generations: readonly Generation[],
): string | undefined {
  if (drafts.length === 0 && generations.length === 0) return "volume";
  const noted = drafts.map((name) => readRecord(`${top}/${layout.snapshots}/${name}/${METADATA}`).record);
  const steps = [...noted, ...generations.map(({ record }) => record)].map(({ installing }) => installing);
  return steps.find((step) => step !== undefined);
}

/** The template, as it goes with the fstab of the default: see docs/decisions/0011-fstab.md. */
function readFstabs(
  top: string,
  ids: readonly GenerationId[],
  [slot0]: readonly GenerationId[],
): Pick<VolumeState, "template" | "templateEdit"> {
  function* behind(): Generator<string> {
    for (const id of ids) {
      const template = ifReadable(() => templateIn(generationRoot(top, id)));
      if (template !== undefined) yield template;
    }
  }
  const file = ifReadable(() => readSmallText(`${top}/${layout.fstab}`, LARGEST_RECORD));
  const templateEdit = file === undefined || file.trim() === "" ? undefined : readTemplate(file, behind());
  const template =
    slot0 === undefined
      ? templateEdit?.edited
      : ifReadable(() => templateFor(generationRoot(top, slot0), templateEdit));
  return { template, templateEdit };
}

/** Reads a volume into one plain value. Starts no program, writes nothing. */
export function inspect(volume: Volume): VolumeState {
  const top = volume.path;
  const current = linkTarget(`${top}/${layout.current}`);
  const linkSet = current === undefined ? undefined : parseLinkSetId(current);
  const entries = names(`${top}/${layout.snapshots}`);
  const drafts = entries.filter((name) => draftId(name) !== undefined);
  const generations = entries.flatMap((name) => {
    const id = parseGenerationId(name);
    return id === undefined ? [] : [readGeneration(top, id)];
  });
  // Names made within one second, and names made by hand, do not sort by age; on most volumes they do.
  const made = new Map(generations.map((generation) => [generation, createdAt(generation)]));
  const order = (a: Generation, b: Generation): number =>
    (made.get(a) ?? 0) - (made.get(b) ?? 0) || (a.id < b.id ? -1 : 1);
  if (generations.some((generation, at) => at > 0 && order(generations[at - 1] ?? generation, generation) > 0))
    generations.sort(order);
  const trial = linkTarget(`${top}/${layout.trial}`);
  const { slots, slotCount } = readSlots(top, linkSet);
  const unfinished = volume.running ? undefined : installationStep(top, drafts, generations);
  const booted = volume.running ? bootedGeneration(readText("/proc/self/mountinfo")) : undefined;
  using fd = Fd.directory(top);
  return {
    // The kernel gives a mounted copy of a mounted filesystem another UUID, for as long as it is mounted.
    uuid: superblockAt(volume.device, 0)?.fsid ?? filesystemUuid(fd),
    linkSet,
    slots,
    slotCount,
    generations,
    drafts,
    oldLinkSets: names(`${top}/${layout.links}`)
      .flatMap((name) => parseLinkSetId(name) ?? [])
      .filter((id) => id !== linkSet),
    booted,
    // The rename that put it in force set the time of its symlink.
    chosenAtBoot:
      booted !== undefined && booted !== slots[0] && (lstat(`${top}/${layout.current}`)?.ctime ?? 0) < bootTime(),
    trial: trial === undefined ? undefined : parseGenerationId(trial),
    commons: names(`${top}/${layout.commons}`).filter((name) => !name.endsWith(DRAFT)),
    ...readFstabs(top, [...slots, ...generations.map(({ id }) => id).reverse()], slots),
    space: spaceOf(top, fd, volume.access),
    reserve: exists(`${top}/${layout.reserve}`),
    unfinished,
  };
}
