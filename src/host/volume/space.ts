import type { VolumeState } from "../../model/volume/state.ts";
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

function copiesOf(flags: number): number {
  return flags & FOUR_COPIES ? 4 : flags & THREE_COPIES ? 3 : flags & TWO_COPIES ? 2 : 1;
}

/** Bytes free in data block groups and where no block group is yet. */
function unused(fd: Fd, total: number): number {
  let free = total;
  for (const [flags, size, used] of blockGroups(fd)) {
    const kind = flags & (DATA | METADATA_AND_SYSTEM);
    if (kind !== 0) free -= (kind & DATA ? used : size) * copiesOf(flags);
  }
  return Math.max(0, free);
}

/** Bytes free for metadata: in its block groups, and where no block group is yet, taken twice. */
export function metadataFree(path: string): number {
  using fd = Fd.directory(path);
  let free = 0;
  let unallocated = filesystemSpace(path).total;
  for (const [flags, size, used] of blockGroups(fd)) {
    if ((flags & (DATA | METADATA_AND_SYSTEM)) !== 0) unallocated -= size * copiesOf(flags);
    if (flags & METADATA) free += size - used;
  }
  return free + Math.max(0, unallocated) / 2;
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
