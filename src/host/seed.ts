import { copyFile, isDirectoryMode, isSymlinkMode } from "./files.ts";
import { S, sys } from "./sys.ts";

function copyOwner(from: string, to: string): void {
  const stat = sys.stat(from, false);
  if (stat === null) return;
  sys.lchown(to, stat.uid, stat.gid);
  if (!isSymlinkMode(stat)) sys.chmod(to, stat.mode & 0o7777);
}

/**
 * Fills a new commons from the folder that it will cover, with owners and modes: a fresh subvolume is 0755 and root's, which breaks
 * /var/tmp (1777), /root (0700) and /var/log/chrony. `only` "directories" adds directories that are missing, and nothing else.
 */
export function seedCommons(from: string, to: string, only: "everything" | "directories" = "everything"): void {
  if (sys.stat(from, false) === null) return;
  if (only === "everything") copyOwner(from, to);
  for (const name of sys.readdir(from)) {
    const [source, target] = [`${from}/${name}`, `${to}/${name}`];
    const stat = sys.stat(source, false);
    if (stat === null) continue;
    const there = sys.stat(target, false) !== null;
    if (isDirectoryMode(stat)) {
      if (!there) {
        sys.mkdir(target, 0o700);
        copyOwner(source, target);
      }
      seedCommons(source, target, only);
    } else if (!there && only === "everything") {
      if (isSymlinkMode(stat)) sys.symlink(sys.readlink(source), target);
      else if ((stat.mode & S.IFMT) === S.IFREG) copyFile(source, target);
      else continue;
      copyOwner(source, target);
    }
  }
}
