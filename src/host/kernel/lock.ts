import { FirnError } from "../../model/problem.ts";
import { isSysError } from "./failure.ts";
import { exists, Fd, readTextIfAny, typeOf } from "./files.ts";
import { RUN, inRun, runDirectory } from "./mounts.ts";
import { checkInterrupt, pause } from "./run.ts";
import { LOCK_EX, LOCK_NB, O, sys } from "./sys.ts";

/** Milliseconds between two looks at a lock that somebody else holds. */
const POLL = 200;

/**
 * The one writer of these media (see host/disk/medium.ts), until its scope ends or its process does. The locks are in
 * /run, so none survives a reboot. Throws E_LOCKED, naming who holds one, unless told to
 * `wait`: undefined where nobody can say so.
 */
export function lockMedia(
  media: readonly string[],
  command: string,
  wait: boolean | undefined,
  say: (text: string) => void,
): Disposable {
  const held: Disposable[] = [];
  const release = (): void => {
    for (const lock of held.splice(0).toReversed()) lock[Symbol.dispose]();
  };
  try {
    for (const medium of media) held.push(lockOne(medium, command, wait, say));
  } catch (error) {
    release();
    throw error;
  }
  return { [Symbol.dispose]: release };
}

function lockOne(medium: string, command: string, wait: boolean | undefined, say: (text: string) => void): Disposable {
  runDirectory("");
  const path = `${RUN}/lock.${medium}`;
  const fd = inRun(() => Fd.open(path, O.RDWR | O.CREAT, 0o600));
  let told = false;
  while (!sys.flock(fd.number, LOCK_EX | LOCK_NB)) {
    if (!wait) {
      const holder = holderOf(path);
      fd[Symbol.dispose]();
      throw new FirnError(
        "E_LOCKED",
        `${holder} is changing this volume; reading it still works.`,
        wait === undefined ? "Wait for it." : "Wait for it, or add --wait.",
      );
    }
    if (!told) say(`Waiting for ${holderOf(path)}.`);
    told = true;
    pause(POLL);
    checkInterrupt();
  }
  sys.truncate(fd.number, 0);
  try {
    inRun(() => fd.write(`${command} (process ${startedAs})\n`, 0));
  } catch (error) {
    fd[Symbol.dispose]();
    throw error;
  }
  return {
    [Symbol.dispose]: () => {
      sys.truncate(fd.number, 0);
      fd[Symbol.dispose]();
    },
  };
}

/**
 * Who wrote its name into a lock. It does so right after it took it, and a killed one's name may still stand there
 * until then.
 */
function holderOf(path: string): string {
  for (let waited = 0; waited < POLL; waited += ATTACH_POLL) {
    const text = readTextIfAny(path)?.trim() ?? "";
    const pid = /\(process (\d+)\)$/.exec(text)?.[1];
    if (pid !== undefined && sys.stat(`/proc/${pid}`, true) !== null) return text;
    pause(ATTACH_POLL);
  }
  return "another firn";
}

/**
 * Keeps out those who lock a file or device with fcntl(2), as QEMU does an image; a file is locked against them in
 * turn. Throws E_DISK_BUSY when one of them is there.
 */
export function keepOthersOut(path: string): Disposable | undefined {
  const found = sys.stat(path, true);
  if (found === null) return undefined;
  // A device that is closed after it was open for writing is looked at anew by udev.
  const isFile = typeOf(found) === "file";
  let fd: Fd;
  try {
    fd = isFile ? Fd.changing(path) : Fd.reading(path);
  } catch (error) {
    // What cannot be written is said by who writes, with more to say.
    if (isSysError(error, "EACCES", "EPERM", "EROFS", "ETXTBSY")) return undefined;
    throw error;
  }
  if (isFree(fd, isFile)) return fd;
  fd[Symbol.dispose]();
  throw new FirnError(
    "E_DISK_BUSY",
    `${path} is locked by another program, a virtual machine perhaps.`,
    "End that program first.",
  );
}

function isFree(fd: Fd, take: boolean): boolean {
  try {
    return sys.lockRange(fd.number, take);
  } catch (error) {
    // A filesystem without locks.
    if (isSysError(error, "ENOLCK", "EOPNOTSUPP", "EINVAL")) return true;
    throw error;
  }
}

/** True while another program holds a lock of fcntl(2) on a file or device. */
export function isLocked(path: string): boolean {
  if (!exists(path)) return false;
  try {
    using fd = Fd.reading(path);
    return !isFree(fd, false);
  } catch (error) {
    // What cannot be read (a disk that a container may not touch) is said by who reads it, with more to say.
    if (isSysError(error, "EACCES", "EPERM")) return false;
    throw error;
  }
}

/**
 * Held while a disk or image is attached and mounted, by readers too, for the milliseconds that this takes: two loop
 * devices over one image would be two caches of one filesystem, and whoever comes second must find the first one's.
 * The lock is on the disk or image itself: looking at one leaves no file behind.
 */
export function lockAttaching(target: string): Disposable | undefined {
  if (!exists(target)) return undefined;
  const fd = Fd.reading(target);
  while (!sys.flock(fd.number, LOCK_EX | LOCK_NB)) {
    pause(ATTACH_POLL);
    checkInterrupt();
  }
  return fd;
}

/** Milliseconds. */
const ATTACH_POLL = 5;

/** The process id as the user sees it: the worker's own is 1 inside its namespace. */
let startedAs = 0;

export function rememberProcess(): void {
  startedAs = sys.getpid();
}
