/**
 * Not a test: what the native layer does with calls that fail, called by port.test.ts in firn's own engine. Prints
 * JSON.
 */
import { isSysError } from "../../../src/host/kernel/failure.ts";
import { SIGTERM, sys } from "../../../src/host/kernel/sys.ts";

/** The errno's name of a call that fails. */
function failure(call: () => unknown): string {
  try {
    call();
    return "none";
  } catch (error) {
    return isSysError(error) ? `${error.call} ${error.code}` : String(error);
  }
}

const descriptors = (): number => sys.readdir("/proc/self/fd").length;
const spawn = (argv: string[], fds: number[], folder: string | null = null): number =>
  sys.spawn(argv, [], fds, null, folder);

/** What becomes of names that lead out of /etc, and of what is no file, by a volume's rule and by a root's. */
function within(): string[] {
  const etc = sys.open("/etc", sys.O.RDONLY | sys.O.DIRECTORY, 0);
  const top = sys.open("/", sys.O.RDONLY | sys.O.DIRECTORY, 0);
  const { BENEATH, IN_ROOT, NO_SYMLINKS, NO_XDEV } = sys.RESOLVE;
  const strict = BENEATH | NO_SYMLINKS | NO_XDEV;
  const found = [
    failure(() => sys.openAt(etc, "../etc/passwd", sys.O.RDONLY, 0, strict)),
    failure(() => sys.openAt(etc, "/etc/passwd", sys.O.RDONLY, 0, strict)),
    failure(() => sys.openAt(top, "proc/self/fd", sys.O.RDONLY, 0, strict)),
    failure(() => sys.openAt(top, "proc/self/cwd/x", sys.O.RDONLY, 0, IN_ROOT)),
    failure(() => sys.openAt(etc, "../../etc/passwd", sys.O.RDONLY, 0, IN_ROOT)),
    failure(() => sys.textAt(top, "etc", 9, IN_ROOT)),
    failure(() => sys.textAt(top, "etc/passwd", 9, IN_ROOT)),
    failure(() => sys.textAt(top, "dev/null", 9, IN_ROOT)),
    failure(() => sys.mkdirAt(etc, "..", 0o755, IN_ROOT)),
    failure(() => sys.unlinkAt(top, "etc/..", strict)),
    failure(() => sys.renameAt(etc, "passwd", "../passwd", 0, strict)),
    String(sys.textAt(etc, "nowhere/passwd", 9, strict)),
    String(sys.existsAt(etc, "../etc/passwd", strict)),
  ];
  sys.close(etc);
  sys.close(top);
  return found;
}

const before = descriptors();
const names = within();
const spawned = new Set<string>();
for (let tries = 0; tries < 100; tries++) {
  spawned.add(failure(() => spawn(["/nowhere"], [0, 1, 2])));
  spawned.add(failure(() => spawn(["/bin/true"], [0, 1, 999])));
  spawned.add(failure(() => spawn(["/bin/true"], [0, 1, 2], "/nowhere")));
}
/** A folder whose files have bytes for names; what is in `bytes` is written anew as text beside it. */
const folder = sys.args[1] ?? "";
const inFolder = sys.readdir(folder).sort();
for (const name of inFolder) sys.symlink(name, `${folder}/link to ${name}`);
const again = sys.open(`${folder}/again`, sys.O.WRONLY | sys.O.CREAT, 0o600);
sys.write(again, sys.text(`${folder}/bytes`) ?? "");
sys.close(again);
const holed = sys.open(`${folder}/holed`, sys.O.RDONLY, 0);
const cloned = sys.open(`${folder}/cloned`, sys.O.WRONLY | sys.O.CREAT, 0o600);
sys.clone(holed, cloned);
for (const fd of [holed, cloned]) sys.close(fd);

const answer = {
  found: inFolder.filter((name) => sys.stat(`${folder}/${name}`, true) !== null).length,
  links: inFolder.filter((name) => sys.readlink(`${folder}/link to ${name}`) === name).length,
  cutShort: failure(() => sys.unlink(`${folder}/bytes\0more`)),
  spawned: [...spawned],
  within: names,
  leaked: descriptors() - before,
  children: failure(() => sys.wait(-1, true)),
  poll: failure(() => sys.poll(Array<number>(9).fill(0), 0)),
  names: [
    failure(() => sys.close(999)),
    failure(() => sys.kill(2 ** 30, 0)),
    failure(() => sys.sectorSize(0)),
    failure(() => sys.unlink("/proc/self")),
    failure(() => sys.open("/dev/loop-control/x", sys.O.RDONLY, 0)),
    failure(() => sys.open("/", sys.O.WRONLY | sys.O.DIRECTORY, 0)),
    failure(() => sys.open("/proc/self", sys.O.RDONLY | sys.O.NOFOLLOW, 0)),
  ],
};
// Last, since what was caught stays pending.
sys.catchSignal(SIGTERM);
const stuck = sys.pipe();
spawn(["/bin/sh", "-c", "sleep 0.3; kill -TERM $PPID"], [0, 1, 2]);
const told = failure(() => sys.tell(stuck[1], "x".repeat(1 << 20)));
sys.write(1, `${JSON.stringify({ ...answer, told })}\n`);
sys.exit(0);
