import type { MachineConfig } from "./machine.ts";
import { isOnLink } from "./network.ts";
import type { Runlevel } from "./services.ts";
import { appendLine } from "../text/lines.ts";

/** `gateway` alone, or for one in none of the networks the route to it and the route by it, as ifup runs them. */
function gatewayLines(name: string, gateway: string, addresses: readonly string[]): string {
  if (isOnLink(gateway, addresses)) return `\tgateway ${gateway}\n`;
  const [ip, host] = gateway.includes(":") ? ["ip -6", `${gateway}/128`] : ["ip", `${gateway}/32`];
  const routes = [`${host} dev ${name}`, `default via ${gateway} dev ${name}`];
  return routes.map((route) => `\tpost-up ${ip} route add ${route}\n`).join("");
}

/** /etc/network/interfaces, as setup-interfaces writes it: loopback, then each interface. */
export function renderInterfaces({ interfaces }: MachineConfig["network"]): string {
  const blocks = interfaces.map(({ name, method, addresses, gateways }) => {
    if (method === "dhcp") return `auto ${name}\niface ${name} inet dhcp\n`;
    const families = [
      ["inet", (text: string) => !text.includes(":")],
      ["inet6", (text: string) => text.includes(":")],
    ] as const;
    const stanzas = families.flatMap(([family, ours]) => {
      const own = addresses.filter(ours);
      if (own.length === 0) return [];
      const gateway = gateways.filter(ours).map((address) => gatewayLines(name, address, own));
      return [
        `iface ${name} ${family} static\n${own.map((address) => `\taddress ${address}\n`).join("")}${gateway.join("")}`,
      ];
    });
    return `auto ${name}\n${stanzas.join("")}`;
  });
  return ["auto lo\niface lo inet loopback\n", ...blocks].join("\n");
}

export function renderResolver({ dns, search }: MachineConfig["network"]): string {
  return [...(search.length > 0 ? [`search ${search.join(" ")}`] : []), ...dns.map((server) => `nameserver ${server}`)]
    .map((line) => `${line}\n`)
    .join("");
}

export function renderHosts(hostname: string): string {
  const [short = hostname] = hostname.split(".");
  const names = short === hostname ? hostname : `${hostname} ${short}`;
  return `127.0.0.1\t${names} localhost.localdomain localhost\n::1\t\tlocalhost localhost.localdomain\n`;
}

/** setup-disk's features for a btrfs root, and what a disk may sit behind. */
const FEATURES = "ata base ide scsi usb virtio btrfs nvme mmc";

export function renderMkinitfsConf(keymap: boolean): string {
  return `features="${FEATURES}${keymap ? " keymap" : ""}"\n`;
}

/**
 * inittab with a login on the serial console, like setup-alpine's, in the place of an entry that is there, commented or
 * not.
 */
export function withSerialLogin(inittab: string, { port, speed }: { port: string; speed: number }): string {
  const entry = `${port}::respawn:/sbin/getty -L ${speed} ${port} vt100`;
  const old = new RegExp(`^#?\\s*${port}:`);
  const others = inittab.split("\n").filter((line) => !old.test(line));
  return appendLine(others.join("\n"), entry);
}

/**
 * The services of a server set up by setup-alpine, less those that cannot do their work on a read-only root:
 * `savecache` (writes /lib/rc/cache), `firstboot`, `modloop`. Only those whose init script is there are enabled.
 */
const services: Readonly<Record<Runlevel, readonly string[]>> = {
  sysinit: ["devfs", "dmesg", "mdev", "hwdrivers"],
  boot: ["modules", "hwclock", "swap", "hostname", "sysctl", "bootmisc", "syslog", "seedrng", "networking", "loadkmap"],
  default: ["crond", "acpid", "sshd", "chronyd", "openntpd", "firn"],
  shutdown: ["killprocs", "mount-ro"],
};

/** Services that need to be asked for, because their script being there does not mean that they are wanted. */
const onlyWith: Readonly<Record<string, (config: MachineConfig) => boolean>> = {
  loadkmap: ({ identity }) => identity.keymap !== undefined,
};

/** The services to enable in each runlevel: Alpine's usual ones and those of the configuration. */
export function wantedServices(config: MachineConfig): Record<Runlevel, string[]> {
  const level = (name: Runlevel): string[] => {
    const usual = services[name].filter((service) => onlyWith[service]?.(config) ?? true);
    const { add, remove } = config.services[name];
    return [...new Set([...usual, ...add])].filter((service) => !remove.includes(service));
  };
  return { sysinit: level("sysinit"), boot: level("boot"), default: level("default"), shutdown: level("shutdown") };
}

/** Replaces the password field of an account in /etc/shadow. */
export function withPassword(shadow: string, user: string, field: string): string {
  return shadow
    .split("\n")
    .map((line) => {
      const fields = line.split(":");
      if (fields[0] !== user) return line;
      return [fields[0], field, ...fields.slice(2)].join(":");
    })
    .join("\n");
}

/** A line of /etc/passwd. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
}

/** The accounts of /etc/passwd; lines without a name and a number are left out. */
export function parsePasswd(passwd: string): Account[] {
  return passwd.split("\n").flatMap((line) => {
    const [name = "", , uid = "", gid = "", , home = "/", shell = ""] = line.split(":");
    // An empty field is /bin/sh (passwd(5)).
    return name === "" || uid === ""
      ? []
      : [{ name, uid: Number(uid), gid: Number(gid), home, shell: shell || "/bin/sh" }];
  });
}

/** A user's ids and home from /etc/passwd. */
export function accountOf(passwd: string, user: string): Pick<Account, "uid" | "gid" | "home"> | undefined {
  const found = parsePasswd(passwd).find(({ name }) => name === user);
  return found && { uid: found.uid, gid: found.gid, home: found.home };
}

/**
 * A setting of a shell-style file (`KEY="value"`): replaced wherever it is set, since the last one counts; else
 * uncommented at its first mention; else added.
 */
export function withSetting(text: string, key: string, value: string): string {
  const line = `${key}="${value}"`;
  const active = new RegExp(`^[ \\t]*${key}=.*$`, "gm");
  const commented = new RegExp(`^#[ \\t]*${key}=.*$`, "m");
  const pattern = [active, commented].find((each) => text.search(each) >= 0);
  return pattern === undefined ? appendLine(text, line) : text.replace(pattern, () => line);
}
