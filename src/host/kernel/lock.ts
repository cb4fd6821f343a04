import { FirnError } from "../../model/problem.ts";
import { exists, Fd, readTextIfAny } from "./files.ts";
import { RUN, runDirectory } from "./mounts.ts";
import { checkInterrupt, pause } from "./run.ts";
import { typeOf } from "./stat.ts";
import { LOCK_EX, LOCK_NB, O, sys } from "./sys.ts";

/** Milliseconds between two looks at a lock that somebody else holds. */
const POLL = 200;

/**
 * The one writer of a volume, until its scope ends or its process does. The lock is in /run, so none survives a reboot.
 * Throws E_LOCKED, naming who holds it, unless told to wait.
 */
export function lockVolume(volume: string, command: string, wait: boolean, say: (text: string) => void): Disposable {
  runDirectory("");
  const path = `${RUN}/lock.${volume}`;
  const fd = Fd.open(path, O.RDWR | O.CREAT, 0o600);
  let told = false;
  while (!sys.flock(fd.number, LOCK_EX | LOCK_NB)) {
    if (!wait) {
      const holder = holderOf(path);
      fd[Symbol.dispose]();
      throw new FirnError(
        "E_LOCKED",
        `${holder} is changing this volume; reading it still works.`,
        "Wait for it, or add --wait.",
      );
    }
    if (!told) say(`Waiting for ${holderOf(path)}.`);
    told = true;
    pause(POLL);
    checkInterrupt();
  }
  sys.truncate(fd.number, 0);
  sys.write(fd.number, `${command} (process ${startedAs})\n`, 0);
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

/** A name for an image file that is the same for all its names; undefined for what is no regular file. */
export function imageIdentity(path: string): string | undefined {
  const stat = sys.stat(path, true);
  return stat !== null && typeOf(stat) === "file" ? `${stat.dev}-${stat.ino}` : undefined;
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
