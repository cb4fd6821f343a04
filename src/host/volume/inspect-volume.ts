import { parseRecord } from "../../model/volume/generation.ts";
import {
  draftId,
  draftName,
  isMinted,
  parseGenerationId,
  parseLinkSetId,
  type GenerationId,
  type LinkSetId,
} from "../../model/volume/ids.ts";
import { METADATA, ROOT, generationOfSubvolume, layout, nameLedTo, targetName } from "../../model/volume/layout.ts";
import { parseMountinfo } from "../../model/kernel/mountinfo.ts";
import { readTemplate } from "../../model/volume/template.ts";
import {
  createdAt,
  type DeleterState,
  type Generation,
  type Interrupted,
  type VolumeState,
} from "../../model/volume/state.ts";
import { isSysError } from "../kernel/failure.ts";
import { names, readLink, readText } from "../kernel/files.ts";
import type { Within } from "../kernel/within.ts";
import { LARGEST_FSTAB, commonsMadeWith, generationRoot, templateFor, templateOf } from "./roots.ts";
import { spaceOf } from "./space.ts";
import { changedInodes, filesystemUuid } from "../kernel/subvolumes.ts";
import { isSubvolume, subvolumeInfo } from "./btrfs.ts";
import { superblockAt, type Volume } from "./open-volume.ts";

type Unread = NonNullable<VolumeState["unread"]>[number][];

/** What is optional to read; what cannot be read is noted, and stops nothing. */
function ifReadable<T>(unread: Unread, name: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!isSysError(error)) throw error;
    unread.push({ name, reason: error.reason });
    return undefined;
  }
}

function namesIn(top: Within, name: string, unread: Unread): string[] {
  return ifReadable(unread, name, () => top.names(name)) ?? [];
}

function readTarget(top: Within, name: string, unread: Unread): string | undefined {
  return ifReadable(unread, name, () => top.readLink(name));
}

/** Where a symlink leads, by the last part of what it says: for one that keeps something, and that nobody boots by. */
function linkTarget(top: Within, name: string, unread: Unread): string | undefined {
  const target = readTarget(top, name, unread);
  return target === undefined ? undefined : targetName(target);
}

/** The generation that runs now, from the subvolume that is mounted at /. */
function bootedGeneration(mountinfo: string): GenerationId | undefined {
  const root = parseMountinfo(mountinfo).findLast(({ path }) => path === "/");
  const name = root?.type === "btrfs" ? generationOfSubvolume(root.root) : undefined;
  return name === undefined ? undefined : parseGenerationId(name);
}

/** What a link of the menu is called; no menu has a hundred. */
const SLOT = /^(?:0|[1-9]\d?)$/;

function readSlots(
  top: Within,
  linkSet: LinkSetId | undefined,
  unread: Unread,
): Pick<VolumeState, "slots" | "slotCount" | "dangling"> {
  if (linkSet === undefined) return { slots: [], slotCount: 0 };
  const folder = layout.linkSet(linkSet);
  const numbers = namesIn(top, folder, unread).flatMap((name) => (SLOT.test(name) ? [Number(name)] : []));
  const menu = Array.from({ length: Math.max(-1, ...numbers) + 1 }, (_, slot) => {
    const target = numbers.includes(slot) ? readTarget(top, `${folder}/${slot}`, unread) : undefined;
    const id = parseGenerationId((target && nameLedTo(layout.snapshots, folder, target)) ?? "");
    return id !== undefined && top.exists(rootFolder(id)) ? id : undefined;
  });
  return {
    slots: menu.filter((id) => id !== undefined),
    slotCount: menu.length,
    dangling: menu.flatMap((id, slot) => (id === undefined ? [slot] : [])),
  };
}

/** Bytes. A record with the changes of a thousand packages has a tenth of this. */
const LARGEST_RECORD = 1 << 20;

/** What a record says. It is optional: one that cannot be read is a fault to tell of, and stops nothing. */
function readRecord(top: Within, file: string): Pick<Generation, "record" | "fault"> {
  try {
    return { record: parseRecord(top.text(file, LARGEST_RECORD)) };
  } catch (error) {
    if (isSysError(error)) return { record: {}, fault: error.reason };
    throw error;
  }
}

/** The root of a generation, as a name that only a directory answers to. */
const rootFolder = (id: GenerationId): string => `${layout.generation(id)}/${ROOT}/.`;

function readGeneration(top: Within, id: GenerationId): Generation {
  const record = readRecord(top, `${layout.generation(id)}/${METADATA}`);
  return { id, ...record, complete: top.exists(rootFolder(id)) };
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
export function volumeUuid({ top }: Volume): string {
  return filesystemUuid(top.directory);
}

/** Seconds since the epoch at which the machine booted, by the clock as it is now. */
function bootTime(): number {
  return Number(/^btime (\d+)$/m.exec(readText("/proc/stat"))?.[1] ?? 0);
}

/** The step at which an installation stopped. Before its first note a volume holds nothing at all. */
function installationStep(
  top: Within,
  drafts: readonly string[],
  generations: readonly Generation[],
): string | undefined {
  if (drafts.length === 0 && generations.length === 0) return "volume";
  const noted = drafts.map((name) => readRecord(top, `${layout.snapshots}/${name}/${METADATA}`).record);
  const steps = [...noted, ...generations.map(({ record }) => record)].map(({ installing }) => installing);
  return steps.find((step) => step !== undefined);
}

/**
 * What a commit left that was cut short between giving its draft its own name and making it boot: `next` still names
 * it. Whatever has booted is older than the link set in force, which was made for it or after it; only what is younger
 * never was in one.
 */
function interruptedCommit(
  top: Within,
  { linkSet, slots, booted }: Pick<VolumeState, "linkSet" | "slots" | "booted">,
  unread: Unread,
): Interrupted | undefined {
  const id = parseGenerationId(linkTarget(top, layout.nextDraft, unread) ?? "");
  if (id === undefined || !isMinted(id) || slots.includes(id) || id === booted) return undefined;
  const inForce = linkSet === undefined ? undefined : top.lstat(layout.linkSet(linkSet));
  if (inForce === undefined || !isSubvolume(top, `${layout.generation(id)}/${ROOT}`)) return undefined;
  const writtenSince = changedInodes(top.directory, subvolumeInfo(generationRoot(top, id).path).created - 1);
  if (writtenSince.some(([inode]) => inode === inForce.ino)) return undefined;
  const { commons } = readRecord(top, `${layout.generation(id)}/${METADATA}`).record;
  return { id, commons: commonsMadeWith(top, id, commons) };
}

/** Names of drafts: of generations, and of the commons that are made with them. */
function draftNames(
  top: Within,
  generations: readonly string[],
  commons: readonly string[],
  interrupted: Interrupted | undefined,
): string[] {
  const own = commons.filter((name) => draftId(name) !== undefined && isSubvolume(top, layout.common(name)));
  const cut = interrupted === undefined ? [] : [draftName(interrupted.id)];
  return [...new Set([...generations, ...own, ...cut])].sort();
}

/** The template, as it goes with the fstab of the default: see docs/decisions/0011-fstab.md. */
function readFstabs(
  top: Within,
  ids: readonly GenerationId[],
  [slot0]: readonly GenerationId[],
  unread: Unread,
): Pick<VolumeState, "template" | "templateEdit"> {
  function* behind(): Generator<string> {
    for (const id of ids) {
      const template = templateOf(top, id);
      // A thousand of them are more than may be open.
      top.letGo(`${layout.generation(id)}/${ROOT}`);
      if (template !== undefined) yield template;
    }
  }
  const file = ifReadable(unread, layout.fstab, () => top.text(layout.fstab, LARGEST_FSTAB));
  const templateEdit = file === undefined || file.trim() === "" ? undefined : readTemplate(file, behind());
  const template = templateFor(slot0 && templateOf(top, slot0), templateEdit);
  return { template, templateEdit };
}

/** Reads a volume into one plain value. Starts no program, writes nothing. */
export function inspect(volume: Volume): VolumeState {
  const { top } = volume;
  const unread: Unread = [];
  const current = readTarget(top, layout.current, unread);
  const linkSet = parseLinkSetId((current && nameLedTo(layout.links, "", current)) ?? "");
  const entries = top.names(layout.snapshots);
  const drafts = entries.filter((name) => draftId(name) !== undefined);
  const commons = namesIn(top, layout.commons, unread);
  const booted = volume.running ? bootedGeneration(readText("/proc/self/mountinfo")) : undefined;
  const menu = readSlots(top, linkSet, unread);
  const interrupted = interruptedCommit(top, { linkSet, booted, slots: menu.slots }, unread);
  const generations = entries.flatMap((name) => {
    const id = parseGenerationId(name);
    return id === undefined || id === interrupted?.id ? [] : [readGeneration(top, id)];
  });
  // Names made within one second, and names made by hand, do not sort by age; on most volumes they do.
  const made = new Map(generations.map((generation) => [generation, createdAt(generation)]));
  const order = (a: Generation, b: Generation): number =>
    (made.get(a) ?? 0) - (made.get(b) ?? 0) || (a.id < b.id ? -1 : 1);
  if (generations.some((generation, at) => at > 0 && order(generations[at - 1] ?? generation, generation) > 0))
    generations.sort(order);
  const trial = linkTarget(top, layout.trial, unread);
  const unfinished = volume.running ? undefined : installationStep(top, drafts, generations);
  return {
    // The kernel gives a mounted copy of a mounted filesystem another UUID, for as long as it is mounted.
    uuid: superblockAt(volume.device, 0)?.fsid ?? filesystemUuid(top.directory),
    linkSet,
    ...menu,
    generations,
    drafts: draftNames(top, drafts, commons, interrupted),
    interrupted,
    oldLinkSets: namesIn(top, layout.links, unread)
      .flatMap((name) => parseLinkSetId(name) ?? [])
      .filter((id) => id !== linkSet),
    booted,
    // The rename that put it in force set the time of its symlink.
    chosenAtBoot:
      booted !== undefined && booted !== menu.slots[0] && (top.lstat(layout.current)?.ctime ?? 0) < bootTime(),
    trial: trial === undefined ? undefined : parseGenerationId(trial),
    commons: commons.filter((name) => draftId(name) === undefined && name !== interrupted?.commons),
    ...readFstabs(top, [...menu.slots, ...generations.map(({ id }) => id).reverse()], menu.slots, unread),
    unread,
    space: spaceOf(volume.path, top.directory, volume.access),
    reserve: top.exists(layout.reserve),
    unfinished,
  };
}
