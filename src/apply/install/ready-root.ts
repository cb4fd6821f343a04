import {
  isDirectory,
  isFile,
  insideRoot,
  link,
  makeDirectories,
  names,
  readTextIfAny,
  removeFile,
  writeText,
} from "../../host/kernel/files.ts";
import { randomHex } from "../../host/kernel/environment.ts";
import { own } from "../../host/kernel/stat.ts";
import { run } from "../../host/kernel/run.ts";
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

/** The files of a root under construction, edited from outside its chroot; its programs run inside. */
class Root {
  constructor(readonly path: string) {}

  at(path: string): string {
    return insideRoot(this.path, path);
  }

  read(path: string): string {
    return readTextIfAny(this.at(path)) ?? "";
  }

  write(path: string, text: string, mode = 0o644): void {
    const file = this.at(path);
    makeDirectories(file.slice(0, file.lastIndexOf("/")));
    writeText(file, text, mode);
  }

  edit(path: string, edit: (text: string) => string): void {
    this.write(path, edit(this.read(path)));
  }

  run(...argv: string[]): void {
    run(argv, { chroot: this.path });
  }
}

function authorizeKeys(root: Root, user: string, keys: readonly string[]): void {
  if (keys.length === 0) return;
  const account = accountOf(root.read("/etc/passwd"), user);
  if (account === undefined) throw new Error(`${user} was not made`);
  const folder = `${account.home}/.ssh`;
  root.write(`${folder}/authorized_keys`, keys.map((key) => `${key}\n`).join(""), 0o600);
  own(root.at(folder), account, 0o700);
  own(root.at(`${folder}/authorized_keys`), account, 0o600);
}

function setPassword(root: Root, user: string, field: string): void {
  const file = root.at("/etc/shadow");
  writeText(file, withPassword(root.read("/etc/shadow"), user, field), 0o640);
}

function makeUsers(root: Root, { users, root: superuser }: MachineConfig["identity"]): void {
  for (const user of users) {
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
  if (users.some(({ groups }) => groups.includes("wheel")) && isDirectory(root.at("/etc/doas.d"))) {
    root.write("/etc/doas.d/20-wheel.conf", "permit persist :wheel\n", 0o640);
  }
}

function setKeymap(root: Root, keymap: MachineConfig["identity"]["keymap"]): void {
  if (keymap === undefined) return;
  const file = `/usr/share/bkeymaps/${keymap.layout}/${keymap.variant}.bmap.gz`;
  root.run("install", "-Dm644", file, `/etc/keymap/${keymap.variant}.bmap.gz`);
  root.write("/etc/conf.d/loadkmap", `KEYMAP=/etc/keymap/${keymap.variant}.bmap.gz\n`);
}

/** Host name, time zone, keyboard, users, network. */
export function setIdentity(rootPath: string, config: MachineConfig): void {
  const root = new Root(rootPath);
  const { identity, network, system } = config;
  root.write("/etc/hostname", `${identity.hostname}\n`);
  root.write("/etc/hosts", renderHosts(identity.hostname));
  if (identity.timezone !== "UTC") {
    // setup-timezone's way: the zone's own copy, so that tzdata may be removed later.
    root.run("install", "-Dm644", `/usr/share/zoneinfo/${identity.timezone}`, `/etc/zoneinfo/${identity.timezone}`);
    link(`zoneinfo/${identity.timezone}`, root.at("/etc/localtime"));
    root.write("/etc/timezone", `${identity.timezone}\n`);
  }
  setKeymap(root, identity.keymap);
  makeUsers(root, identity);
  root.write("/etc/network/interfaces", renderInterfaces(network));
  if (system.serial !== undefined) {
    const { serial } = system;
    root.edit("/etc/inittab", (text) => withSerialLogin(text, serial));
    root.edit("/etc/securetty", (text) => (text.split("\n").includes(serial.port) ? text : `${text}${serial.port}\n`));
  }
}

function enable(root: Root, level: Runlevel, service: string): void {
  const folder = root.at(`/etc/runlevels/${level}`);
  makeDirectories(folder);
  if (isFile(root.at(`/etc/init.d/${service}`))) link(`/etc/init.d/${service}`, `${folder}/${service}`);
}

function setServices(root: Root, config: MachineConfig): void {
  const wanted = wantedServices(config);
  for (const level of RUNLEVELS) {
    for (const service of config.services[level].add) {
      if (isFile(root.at(`/etc/init.d/${service}`))) continue;
      const there = names(root.at("/etc/init.d")).join(", ");
      throw new FirnError(
        "E_CONFIG_VALUE",
        `The service ${service} for the runlevel ${level} does not exist in what was installed.`,
        `Add its package. There are: ${there}.`,
      );
    }
    const folder = root.at(`/etc/runlevels/${level}`);
    for (const service of names(folder)) if (!wanted[level].includes(service)) removeFile(`${folder}/${service}`);
    for (const service of wanted[level]) enable(root, level, service);
  }
}

/** The name servers: written for good when named, else left to the DHCP client, on /run either way. */
function setResolver(root: Root, { network }: MachineConfig): void {
  if (network.dns.length > 0) {
    const file = root.at("/etc/resolv.conf");
    writeText(file, renderResolver(network));
    root.edit("/etc/udhcpc/udhcpc.conf", (text) => withSetting(text, "RESOLV_CONF", "no"));
    return;
  }
  link("../run/resolv.conf", `${root.at("/etc")}/resolv.conf`);
  root.edit("/etc/udhcpc/udhcpc.conf", (text) => withSetting(text, "RESOLV_CONF", "/run/resolv.conf"));
}

/** What a root that nobody can write needs, row by row of the table in docs/facts.md. */
export function makeReadonlyReady(rootPath: string, config: MachineConfig): void {
  const root = new Root(rootPath);
  const lock = `${root.at("/var")}/lock`;
  if (isDirectory(lock)) root.run("rm", "-rf", "/var/lock");
  link("../run/lock", lock);
  setResolver(root, config);
  root.write("/etc/machine-id", `${randomHex(16)}\n`, 0o444);
  if (isFile(root.at("/usr/bin/ssh-keygen"))) {
    root.run("ssh-keygen", "-A");
    root.edit("/etc/conf.d/sshd", (text) => withSetting(text, "sshd_disable_keygen", "yes"));
  }
  setServices(root, config);
}
