import { refuse, type Refusal } from "../../model/problem.ts";
import { roundedUpSize } from "../../model/text/size.ts";
import { isSysError } from "../kernel/failure.ts";
import { Fd, exists, isDirectory, removeFile, filesystemSpace, stat, typeOf } from "../kernel/files.ts";

/**
 * Makes a sparse image file of `bytes`, readable by its owner alone, since it will hold password hashes. `neededBytes`
 * is what will be written into it. Refuses with E_IMAGE_EXISTS, E_FILE (no such folder, or not writable),
 * E_IMAGE_SPACE.
 */
export function createImage(path: string, bytes: number, neededBytes: number): Refusal | undefined {
  const folder = folderOf(path);
  if (!isDirectory(folder)) {
    return refuse("E_FILE", `${folder}: no such directory.`, `Make it first: mkdir -p ${folder}.`);
  }
  if (exists(path)) return imageExists(path);
  const { free } = filesystemSpace(folder);
  if (free < neededBytes) {
    return refuse(
      "E_IMAGE_SPACE",
      `${folder} has ${roundedUpSize(free)} free; the image will take ${roundedUpSize(neededBytes)}.`,
      "Free some space, or write the image elsewhere.",
    );
  }
  try {
    using fd = Fd.making(path, 0o600);
    try {
      fd.truncate(bytes);
    } catch (error) {
      removeFile(path);
      throw error;
    }
  } catch (error) {
    if (isSysError(error, "EEXIST")) return imageExists(path);
    if (isSysError(error, "EFBIG", "EINVAL")) {
      return refuse("E_IMAGE_SPACE", `The filesystem of ${folder} takes no file of ${roundedUpSize(bytes)}.`);
    }
    if (isSysError(error)) return refuse("E_FILE", `${path} cannot be made: ${error.reason}.`);
    throw error;
  }
  return undefined;
}

/** Bytes that a small change writes, several times over. */
const ROOM = 64 << 20;

/**
 * Refuses with E_IMAGE_SPACE to change a sparse image under which there is no room: btrfs takes a write that finds none
 * for a broken disk, and what it had flushed to an image in memory is lost.
 */
export function requireRoom(path: string): Refusal | undefined {
  const found = stat(path);
  if (found === undefined || typeOf(found) !== "file") return undefined;
  const { free } = filesystemSpace(folderOf(path));
  const holes = found.size - found.blocks * 512;
  if (free >= Math.min(holes, ROOM)) return undefined;
  return refuse(
    "E_IMAGE_SPACE",
    `${path} is sparse, and its filesystem has ${roundedUpSize(free)} free: what is written into it may find no room there, which can destroy it.`,
    "Free some space there first, or copy the image elsewhere.",
  );
}

/** Whether the filesystem that holds the image has no room left: then whatever failed in the image failed for that. */
export function filledUp(path: string): Refusal | undefined {
  const found = stat(path);
  if (found === undefined || typeOf(found) !== "file") return undefined;
  const folder = folderOf(path);
  if (filesystemSpace(folder).free >= 2 ** 20) return undefined;
  return refuse(
    "E_IMAGE_SPACE",
    `The filesystem of ${folder} filled up while the image was written.`,
    "Free some space, or write the image elsewhere.",
  );
}

function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "." : slash === 0 ? "/" : path.slice(0, slash);
}

/** What is said where a file of that name is there already. */
export function imageExists(path: string): Refusal {
  return refuse("E_IMAGE_EXISTS", `${path} exists.`, "Name another file, or remove this one.");
}

/** Removes an image that did not become one. */
export function removeImage(path: string): void {
  if (exists(path)) removeFile(path);
}
