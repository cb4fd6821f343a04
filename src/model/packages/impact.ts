import { filesOf } from "./database.ts";

/** A running process and the files it has mapped, its program included. */
export interface RunningProcess {
  pid: number;
  parent: number;
  name: string;
  files: readonly string[];
}

export type Action = "nothing" | "restart-services" | "reboot";

export interface Impact {
  action: Action;
  /** Services, or programs outside any, that run files which the next generation changes. */
  services: readonly { name: string; files: readonly string[] }[];
  reasons: readonly string[];
}

/** linux-lts, linux-virt …; not their -dev and -doc, nor what is only named alike. */
const KERNEL = /^linux-(?!(?:headers|pam|firmware|tools)$)[^-]+$/;

/** Packages whose change reaches every process or the kernel itself. */
function needsReboot(changedPackages: readonly string[]): string[] {
  return changedPackages.filter((name) => KERNEL.test(name) || name === "musl" || name === "openrc");
}

/** The service that a process belongs to: its own, or that of the nearest ancestor that has one. */
export function serviceOf(
  pid: number,
  parents: ReadonlyMap<number, number>,
  services: ReadonlyMap<number, string>,
): string | undefined {
  for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at)) {
    const service = services.get(at);
    if (service !== undefined) return service;
  }
  return undefined;
}

/** What the next generation changes: packages by name, the rest as absolute paths. */
export interface Pending {
  packages: readonly string[];
  /** Files of packages that it changes or removes. */
  files: ReadonlySet<string>;
  /** Configuration, which no process keeps mapped. */
  config: readonly string[];
}

/** `a, b, c, and 4 more`. */
function some(names: readonly string[]): string {
  return `${names.slice(0, 3).join(", ")}${names.length > 3 ? `, and ${names.length - 3} more` : ""}`;
}

/**
 * What the next generation's changes ask of the running system. `services`: the service by the pid that its supervisor
 * wrote down.
 */
export function impactOf(
  { packages, files: changedFiles, config }: Pending,
  processes: readonly RunningProcess[],
  services: ReadonlyMap<number, string>,
): Impact {
  const parents = new Map(processes.map(({ pid, parent }) => [pid, parent]));
  const using = new Map<string, Set<string>>();
  for (const { pid, name, files } of processes) {
    const changed = files.filter((file) => changedFiles.has(file));
    if (changed.length === 0) continue;
    const service = pid === 1 ? "init" : (serviceOf(pid, parents, services) ?? name);
    using.set(service, new Set([...(using.get(service) ?? []), ...changed]));
  }
  const reboot = needsReboot(packages);
  const init = processes.some(({ pid, files }) => pid === 1 && files.some((file) => changedFiles.has(file)));
  const reasons = [
    ...(reboot.length === 0 ? [] : [`${reboot.join(", ")} changed`]),
    ...(init ? ["init uses changed files"] : []),
    ...(config.length === 0 ? [] : [`${some(config)} changed`]),
  ];
  const list = [...using]
    .map(([name, files]) => ({ name, files: [...files].sort() }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const action = reasons.length > 0 ? "reboot" : list.length > 0 ? "restart-services" : "nothing";
  return { action, services: list, reasons };
}

/** The regular files in /proc/PID/maps, without repeats. */
export function mappedFiles(maps: string): string[] {
  const files = new Set<string>();
  for (const line of maps.split("\n")) {
    const at = line.indexOf("/");
    if (at >= 0) files.add(line.slice(at).replace(/ \(deleted\)$/, ""));
  }
  return [...files];
}

/** Absolute paths of the files in these packages that the second database lacks or has with another content. */
export function changedFiles(before: string, after: string, names: ReadonlySet<string>): Set<string> {
  const kept = new Map([...filesOf(after, names).values()].flat().map(({ path, hash }) => [path, hash]));
  const gone = [...filesOf(before, names).values()].flat().filter(({ path, hash }) => kept.get(path) !== hash);
  return new Set(gone.map(({ path }) => `/${path.replace(/^\//, "")}`));
}
