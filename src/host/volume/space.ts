import type { Problem } from "../../model/problem.ts";
import { approximateSize } from "../../model/text/size.ts";
import type { VolumeState } from "../../model/volume/state.ts";
import { cleanUp } from "../kernel/failure.ts";
import { Fd, filesystemSpace } from "../kernel/files.ts";
import { pause } from "../kernel/run.ts";
import { blockGroups, isThere, startCleaner, syncFilesystem } from "../kernel/subvolumes.ts";

/** Block group types and profiles, linux/btrfs_tree.h. */
const DATA = 1;
const METADATA = 4;
const METADATA_AND_SYSTEM = 2 + METADATA;
const TWO_COPIES = 16 + 32 + 64;
const THREE_COPIES = 512;
const FOUR_COPIES = 1024;

/** Milliseconds between two looks, without growth until nothing more is expected, and at most. */
const LOOK = 50;
const QUIET = 1000;
const PATIENCE = 60_000;

const copiesIn = (flags: number): number =>
  flags & FOUR_COPIES ? 4 : flags & THREE_COPIES ? 3 : flags & TWO_COPIES ? 2 : 1;

/** Bytes free in data block groups and where no block group is yet. */
function unused(fd: Fd, total: number): number {
  let free = total;
  for (const [flags, size, used] of blockGroups(fd)) {
    const kind = flags & (DATA | METADATA_AND_SYSTEM);
    if (kind !== 0) free -= (kind & DATA ? used : size) * copiesIn(flags);
  }
  return Math.max(0, free);
}

/** What the kernel keeps of the metadata for itself is an entry without a kind: BTRFS_SPACE_INFO_GLOBAL_RSV. */
const KEPT = 2 ** 49;
/** Bytes of metadata below which changes fail, and of data above which that is worth a word. */
const SCARCE = 8 << 20;
const AMPLE = 16 << 20;

/**
 * Bytes free for data, in its block groups, and for metadata, in its own and where no block group is yet, taken twice;
 * and how much of that the kernel keeps for itself.
 */
function roomAt(path: string): { data: number; metadata: number; kept: number } {
  using fd = Fd.directory(path);
  let [data, metadata, kept, nowhere] = [0, 0, 0, filesystemSpace(path).total];
  for (const [flags, size, used] of blockGroups(fd)) {
    if (flags === KEPT) kept += size;
    const kind = flags & (DATA | METADATA_AND_SYSTEM);
    if (kind !== 0) nowhere -= size * copiesIn(flags);
    if (kind & DATA) data += size - used;
    else if (kind & METADATA) metadata += size - used;
  }
  return { data, metadata: metadata + Math.max(0, nowhere) / 2, kept };
}

/** Bytes free for metadata. */
export function metadataFree(path: string): number {
  return roomAt(path).metadata;
}

/** Bytes free for data on a filesystem whose metadata has no room left; undefined while it has some. */
function freeForDataOnly(path: string): number | undefined {
  const { data, metadata, kept } = roomAt(path);
  return metadata - kept < SCARCE && data >= AMPLE ? data : undefined;
}

/**
 * What to do about a full filesystem, where it is the one at `path`; something in memory may be full as well. Says so
 * when it is only for metadata that there is no room.
 */
export function explainFull(path: string, problem: Problem): Problem {
  if (problem.code !== "E_NO_SPACE") return problem;
  let free: number | undefined;
  let full = false;
  cleanUp(() => {
    free = freeForDataOnly(path);
    full = filesystemSpace(path).free < AMPLE;
  });
  if (free === undefined) return full ? { hint: "`firn gc` frees space.", ...problem } : problem;
  return {
    ...problem,
    message: `There is no room for btrfs's metadata, though ${approximateSize(free)} are free for data. ${problem.message}`,
    hint: "Fewer generations (`firn gc`) and fewer files need less of it. A larger volume gives it room, and so does btrfs balance start -dusage=50 MOUNTPOINT where much is free for data.",
  };
}

/**
 * The space of the filesystem at `path`, bytes. Where it is mounted for reading, the kernel counts no block group as
 * writable and leaves what is free in them out of statfs (fs/btrfs/super.c, btrfs_account_ro_block_groups_free_space):
 * then the block groups are asked.
 */
export function spaceOf(path: string, fd: Fd, access: "read" | "write"): VolumeState["space"] {
  const { total, free: counted } = filesystemSpace(path);
  const free = access === "read" ? Math.max(counted, unused(fd, total)) : counted;
  return { total, used: total - free, free };
}

/** Waits until the kernel has given back a deleted subvolume, whose id is told. Gives the bytes that are free then. */
export function awaitDropped(path: string, id: number): number {
  using fd = Fd.directory(path);
  for (const limit = Date.now() + PATIENCE; isThere(fd, id) && Date.now() < limit; pause(LOOK)) startCleaner(fd);
  // What it took is free once the transaction that dropped it is on disk.
  syncFilesystem(fd);
  return filesystemSpace(path).free;
}

/**
 * Waits until deleted subvolumes have given back their space, which the kernel does in the background, or `enough`
 * bytes are free. Gives the bytes that are free.
 */
export function awaitFreed(path: string, enough: number): number {
  using fd = Fd.directory(path);
  startCleaner(fd);
  let best = filesystemSpace(path).free;
  const limit = Date.now() + PATIENCE;
  for (let quiet = 0; best < enough && quiet < QUIET && Date.now() < limit; quiet += LOOK) {
    pause(LOOK);
    const now = filesystemSpace(path).free;
    if (now <= best) continue;
    best = now;
    quiet = 0;
  }
  return best;
}
