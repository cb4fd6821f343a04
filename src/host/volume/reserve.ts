/** Metadata held back, so that there is room for a rollback on a full volume. */
import { isSysError } from "../kernel/failure.ts";
import type { Fd } from "../kernel/files.ts";
import { metadataFree } from "./space.ts";

/**
 * Bytes of metadata. btrfs begins a rename only where it could write 13 items anew, each through 8 levels of 16 KiB
 * blocks, twice, and as much again two times for what follows from them: 10 MiB (fs/btrfs/inode.c and transaction.c of
 * Linux 6.18). Seen there: 10.0 MiB were too few, 11.0 enough.
 */
const RESERVE = 12 * 2 ** 20;
/** Bytes of an attribute's value: with its name it fits into a block of 4 KiB, and four of them into one of 16 KiB. */
const PIECE = 3900;

/**
 * Fills a new file with extended attributes, which are all metadata. False where there is no room to hold some back, or
 * the filesystem takes none.
 */
export function fillReserve(top: string, file: Fd): boolean {
  if (metadataFree(top) < 3 * RESERVE) return false;
  const value = "-".repeat(PIECE);
  try {
    for (let piece = 0; piece * PIECE < RESERVE; piece += 1) file.attribute(`user.${piece}`, value);
    return true;
  } catch (error) {
    if (isSysError(error, "ENOSPC", "EDQUOT", "EOPNOTSUPP")) return false;
    throw error;
  }
}
