import type { Chroot } from "../../host/kernel/chroot.ts";
import { randomHex } from "../../host/kernel/process.ts";
import { run } from "../../host/kernel/run.ts";
import type { Within } from "../../host/kernel/within.ts";
import { shadowPassword } from "../../model/machine/identity.ts";
import type { MachineConfig } from "../../model/machine/machine.ts";
import { RUNLEVELS, type Runlevel } from "../../model/machine/services.ts";
import {
  accountOf,
  renderHosts,
  renderInterfaces,
  renderResolver,
  wantedServices,
  withPassword,
  withSerialLogin,
  withSetting,
} from "../../model/machine/machine-files.ts";
import { FirnError } from "../../model/problem.ts";

/** A root under construction: its files are edited from outside its chroot, its programs run inside. */
class Root {
  readonly files: Within;

  constructor(private readonly chroot: Chroot) {
    this.files = chroot.root;
  }

  read(path: string): string {
    return this.files.text(path) ?? "";
  }

  edit(path: string, edit: (text: string) => string): void {
    this.files.write(path, edit(this.read(path)));
  }

  run(...argv: string[]): void {
    run(argv, { chroot: this.chroot.path });
  }
}

function authorizeKeys(root: Root, user: string, keys: readonly string[]): void {
  if (keys.length === 0) return;
  const account = accountOf(root.read("/etc/passwd"), user);
  if (account === undefined) throw new Error(`${user} was not made`);
  const folder = `${account.home}/.ssh`;
  root.files.write(`${folder}/authorized_keys`, keys.map((key) => `${key}\n`).join(""), 0o600);
  root.files.own(folder, account, 0o700);
  root.files.own(`${folder}/authorized_keys`, account, 0o600);
}

function setPassword(root: Root, user: string, field: string): void {
  root.files.write("/etc/shadow", withPassword(root.read("/etc/shadow"), user, field), 0o640);
}

function makeUsers(root: Root, { users, root: superuser }: MachineConfig["identity"]): void {
  for (const user of users) {
    if (!root.files.isFile(user.shell))
      throw new FirnError(
        "E_CONFIG_VALUE",
        `The shell of ${user.name}, ${user.shell}, does not exist in what was installed: nobody could log in with it.`,
        "Add its package.",
      );
    root.run("adduser", "-D", "-g", user.fullName ?? user.name, "-s", user.shell, user.name);
    for (const group of user.groups) {
      if (!new RegExp(`^${group}:`, "m").test(root.read("/etc/group"))) root.run("addgroup", "-S", group);
      root.run("addgroup", user.name, group);
    }
    setPassword(root, user.name, shadowPassword(user));
    authorizeKeys(root, user.name, user.sshKeys);
  }
  setPassword(root, "root", shadowPassword(superuser));
  authorizeKeys(root, "root", superuser.sshKeys);
  if (users.some(({ groups }) => groups.includes("wheel")) && root.files.isDirectory("/etc/doas.d")) {
    root.files.write("/etc/doas.d/20-wheel.conf", "permit persist :wheel\n", 0o640);
  }
}

function setKeymap(root: Root, keymap: MachineConfig["identity"]["keymap"]): void {
  if (keymap === undefined) return;
  const file = `/usr/share/bkeymaps/${keymap.layout}/${keymap.variant}.bmap.gz`;
  root.run("install", "-Dm644", file, `/etc/keymap/${keymap.variant}.bmap.gz`);
  root.files.write("/etc/conf.d/loadkmap", `KEYMAP=/etc/keymap/${keymap.variant}.bmap.gz\n`);
}

/** Host name, time zone, keyboard, users, network. */
export function setIdentity(chroot: Chroot, config: MachineConfig): void {
  const root = new Root(chroot);
  const { identity, network, system } = config;
  root.files.write("/etc/hostname", `${identity.hostname}\n`);
  root.files.write("/etc/hosts", renderHosts(identity.hostname));
  if (identity.timezone !== "UTC") {
    // setup-timezone's way: the zone's own copy, so that tzdata may be removed later.
    root.run("install", "-Dm644", `/usr/share/zoneinfo/${identity.timezone}`, `/etc/zoneinfo/${identity.timezone}`);
    root.files.link(`zoneinfo/${identity.timezone}`, "/etc/localtime");
    root.files.write("/etc/timezone", `${identity.timezone}\n`);
  }
  setKeymap(root, identity.keymap);
  makeUsers(root, identity);
  root.files.write("/etc/network/interfaces", renderInterfaces(network));
  if (system.serial !== undefined) {
    const { serial } = system;
    root.edit("/etc/inittab", (text) => withSerialLogin(text, serial));
    root.edit("/etc/securetty", (text) => (text.split("\n").includes(serial.port) ? text : `${text}${serial.port}\n`));
  }
}

function enable(root: Root, level: Runlevel, service: string): void {
  const folder = `/etc/runlevels/${level}`;
  root.files.makeDirectories(folder);
  if (root.files.isFile(`/etc/init.d/${service}`)) root.files.link(`/etc/init.d/${service}`, `${folder}/${service}`);
}

function setServices(root: Root, config: MachineConfig): void {
  const wanted = wantedServices(config);
  for (const level of RUNLEVELS) {
    for (const service of config.services[level].add) {
      if (root.files.isFile(`/etc/init.d/${service}`)) continue;
      const there = root.files.names("/etc/init.d").join(", ");
      throw new FirnError(
        "E_CONFIG_VALUE",
        `The service ${service} for the runlevel ${level} does not exist in what was installed.`,
        `Add its package. There are: ${there}.`,
      );
    }
    const folder = `/etc/runlevels/${level}`;
    for (const service of root.files.names(folder))
      if (!wanted[level].includes(service)) root.files.removeFile(`${folder}/${service}`);
    for (const service of wanted[level]) enable(root, level, service);
  }
}

/** The name servers: written for good when named, else left to the DHCP client, on /run either way. */
function setResolver(root: Root, { network }: MachineConfig): void {
  if (network.dns.length > 0) {
    root.files.write("/etc/resolv.conf", renderResolver(network));
    root.edit("/etc/udhcpc/udhcpc.conf", (text) => withSetting(text, "RESOLV_CONF", "no"));
    return;
  }
  root.files.link("../run/resolv.conf", "/etc/resolv.conf");
  root.edit("/etc/udhcpc/udhcpc.conf", (text) => withSetting(text, "RESOLV_CONF", "/run/resolv.conf"));
}

/** What a root that nobody can write needs, row by row of the table in docs/facts.md. */
export function makeReadonlyReady(chroot: Chroot, config: MachineConfig): void {
  const root = new Root(chroot);
  if (root.files.isDirectory("/var/lock")) root.run("rm", "-rf", "/var/lock");
  root.files.link("../run/lock", "/var/lock");
  setResolver(root, config);
  root.files.write("/etc/machine-id", `${randomHex(16)}\n`, 0o444);
  if (root.files.isFile("/usr/bin/ssh-keygen")) {
    root.run("ssh-keygen", "-A");
    root.edit("/etc/conf.d/sshd", (text) => withSetting(text, "sshd_disable_keygen", "yes"));
  }
  setServices(root, config);
}
