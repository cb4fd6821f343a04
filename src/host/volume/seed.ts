import { FirnError } from "../../model/problem.ts";
import { copyFile, isDirectoryMode, isSymlinkMode } from "../kernel/files.ts";
import { S, sys, type FileStat } from "../kernel/sys.ts";

function copyOwner(from: string, to: string): void {
  const stat = sys.stat(from, false);
  if (stat === null) return;
  sys.lchown(to, stat.uid, stat.gid);
  if (!isSymlinkMode(stat)) sys.chmod(to, stat.mode & 0o7777);
}

/** Never leaves something out in silence: what stays behind is covered by the commons, and missed later. */
function statOf(folder: string, name: string, called: string): FileStat {
  const stat = sys.stat(`${folder}/${name}`, false);
  if (stat !== null) return stat;
  throw new FirnError(
    "E_COMMONS",
    `${called} holds a file whose name is not UTF-8 (or that vanished): it cannot be copied. Nothing was changed.`,
    "Rename it, or move it away.",
  );
}

/**
 * Fills a new commons from the folder that it will cover, with owners, modes and times: a fresh subvolume is 0755 and root's, which
 * breaks /var/tmp (1777), /root (0700) and /var/log/chrony. Sockets are left out: their programs make them. `called` is the folder's
 * name in messages. Throws E_COMMONS for a name that is not UTF-8, a device or a named pipe.
 */
export function seedCommons(from: string, to: string, called: string = from): void {
  if (sys.stat(from, false) === null) return;
  copyOwner(from, to);
  for (const name of sys.readdir(from)) {
    const [source, target] = [`${from}/${name}`, `${to}/${name}`];
    const stat = statOf(from, name, called);
    const type = stat.mode & S.IFMT;
    if (type === S.IFSOCK) continue;
    if (isDirectoryMode(stat)) {
      sys.mkdir(target, 0o700);
      seedCommons(source, target, `${called}/${name}`);
      continue;
    }
    if (isSymlinkMode(stat)) sys.symlink(sys.readlink(source), target);
    else if (type === S.IFREG) copyFile(source, target);
    else {
      throw new FirnError(
        "E_COMMONS",
        `${called}/${name} is a device or a named pipe, which is not copied. Nothing was changed.`,
        "Move it away; whatever needs it makes it again.",
      );
    }
    copyOwner(source, target);
    sys.copyTimes(source, target);
  }
  sys.copyTimes(from, to);
}
