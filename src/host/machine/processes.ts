import { mappedFiles, type RunningProcess } from "../../model/packages/impact.ts";
import { names, readTextIfAny, stat } from "../kernel/files.ts";
import { isSysError } from "../kernel/failure.ts";

/** A file of /proc, or "" when its process has ended meanwhile or hides it. */
function procText(path: string): string {
  try {
    return readTextIfAny(path) ?? "";
  } catch (error) {
    if (isSysError(error)) return "";
    throw error;
  }
}

/** What a process has as its root; undefined when it has ended meanwhile, or is not for this user's eyes. */
function rootOf(entry: string): string | undefined {
  try {
    const found = stat(`/proc/${entry}/root`);
    return found && `${found.dev} ${found.ino}`;
  } catch (error) {
    if (isSysError(error)) return undefined;
    throw error;
  }
}

/**
 * Every process that runs a program of the machine's own root, with the files it has mapped. What runs in a container
 * or a chroot has other files under the same names.
 */
export function runningProcesses(): RunningProcess[] {
  const own = rootOf("self");
  return names("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry) || rootOf(entry) !== own) return [];
    const files = mappedFiles(procText(`/proc/${entry}/maps`));
    if (files.length === 0) return [];
    const stat = procText(`/proc/${entry}/stat`);
    const close = stat.lastIndexOf(")");
    const parent = Number(stat.slice(close + 2).split(" ")[1]);
    return [{ pid: Number(entry), parent, name: stat.slice(stat.indexOf("(") + 1, close), files }];
  });
}

/** OpenRC's services by process: from the pid files that it notes in /run/openrc/daemons, and from its cgroups. */
export function openrcServices(): Map<number, string> {
  const services = new Map<number, string>();
  for (const service of names("/run/openrc/daemons")) {
    for (const index of names(`/run/openrc/daemons/${service}`)) {
      const pidfile = /^pidfile=(.+)$/m.exec(procText(`/run/openrc/daemons/${service}/${index}`))?.[1];
      const pid = pidfile === undefined ? Number.NaN : Number.parseInt(procText(pidfile), 10);
      if (pid > 1) services.set(pid, service);
    }
  }
  for (const group of names("/sys/fs/cgroup")) {
    if (!group.startsWith("openrc.")) continue;
    for (const pid of procText(`/sys/fs/cgroup/${group}/cgroup.procs`).split("\n")) {
      if (pid !== "") services.set(Number(pid), group.slice("openrc.".length));
    }
  }
  return services;
}
