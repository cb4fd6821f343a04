import { FirnError } from "../../model/problem.ts";
import {
  copyFile,
  entries,
  makeDirectory,
  readLink,
  symlink,
  copyTimes,
  lstat,
  own,
  typeOf,
  type FileStat,
} from "../kernel/files.ts";

function copyOwner(from: string, to: string): void {
  const stat = lstat(from);
  if (stat !== undefined) own(to, stat, typeOf(stat) === "symlink" ? undefined : stat.mode & 0o7777);
}

/** Never leaves something out in silence: what stays behind is covered by the commons, and missed later. */
function statOf(folder: string, name: string, called: string): FileStat {
  const stat = lstat(`${folder}/${name}`);
  if (stat !== undefined) return stat;
  throw new FirnError(
    "E_COMMONS",
    `${called} holds a file whose name is not UTF-8 (or that vanished): it cannot be copied.`,
    "Rename it, or move it away.",
  );
}

/**
 * Fills a new commons from the folder that it will cover, with owners, modes and times: a fresh subvolume is 0755 and
 * root's, which breaks /var/tmp (1777), /root (0700) and /var/log/chrony. Sockets are left out: their programs make
 * them. `called` is the folder's name in messages. Throws E_COMMONS for a name that is not UTF-8, a device or a named
 * pipe.
 */
export function seedCommons(from: string, to: string, called: string = from): void {
  if (lstat(from) === undefined) return;
  copyOwner(from, to);
  for (const name of entries(from)) {
    const [source, target] = [`${from}/${name}`, `${to}/${name}`];
    const type = typeOf(statOf(from, name, called));
    if (type === "socket") continue;
    if (type === "directory") {
      makeDirectory(target, 0o700);
      seedCommons(source, target, `${called}/${name}`);
      continue;
    }
    if (type === "symlink") symlink(readLink(source), target);
    else if (type === "file") copyFile(source, target);
    else {
      throw new FirnError(
        "E_COMMONS",
        `${called}/${name} is a device or a named pipe, which is not copied.`,
        "Move it away; whatever needs it makes it again.",
      );
    }
    copyOwner(source, target);
    copyTimes(source, target);
  }
  copyTimes(from, to);
}
