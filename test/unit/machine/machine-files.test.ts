import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { completeMachine, type MachineConfig, type PartialMachine } from "../../../src/model/machine/machine.ts";
import {
  accountOf,
  renderHosts,
  renderInterfaces,
  renderMkinitfsConf,
  renderResolver,
  wantedServices,
  withPassword,
  withSerialLogin,
  withSetting,
} from "../../../src/model/machine/machine-files.ts";
import { packageSets } from "../../../src/plan/install.ts";

type Network = MachineConfig["network"];
const network = (interfaces: Network["interfaces"], rest: Partial<Network> = {}): Network => ({
  interfaces,
  dns: [],
  search: [],
  ...rest,
});
const LO = "auto lo\niface lo inet loopback\n";

test("interfaces with DHCP are those of setup-interfaces", () => {
  const eth0 = { name: "eth0", method: "dhcp" as const, addresses: [], gateways: [] };
  assert.equal(renderInterfaces(network([eth0])), `${LO}\nauto eth0\niface eth0 inet dhcp\n`);
  assert.equal(renderInterfaces(network([])), LO);
  assert.equal(
    renderInterfaces(network([eth0, { ...eth0, name: "eth1" }])),
    `${LO}\nauto eth0\niface eth0 inet dhcp\n\nauto eth1\niface eth1 inet dhcp\n`,
  );
});

test("static addresses go by family, each with its own gateway", () => {
  const face = (addresses: string[], gateways: string[]): string =>
    renderInterfaces(network([{ name: "eth0", method: "static", addresses, gateways }])).slice(LO.length + 1);
  assert.equal(
    face(["192.0.2.5/24"], ["192.0.2.1"]),
    "auto eth0\niface eth0 inet static\n\taddress 192.0.2.5/24\n\tgateway 192.0.2.1\n",
  );
  assert.equal(
    face(["2001:db8::5/64"], ["2001:db8::1"]),
    "auto eth0\niface eth0 inet6 static\n\taddress 2001:db8::5/64\n\tgateway 2001:db8::1\n",
  );
  assert.equal(
    face(["2001:db8::5/64", "192.0.2.5/24", "192.0.2.6/24"], ["2001:db8::1"]),
    "auto eth0\niface eth0 inet static\n\taddress 192.0.2.5/24\n\taddress 192.0.2.6/24\n" +
      "iface eth0 inet6 static\n\taddress 2001:db8::5/64\n\tgateway 2001:db8::1\n",
  );
});

test("a gateway outside the network gets a route of its own first", () => {
  const eth0 = { name: "eth0", method: "static" as const };
  const addresses = ["192.0.2.5/32", "2001:db8::5/128"];
  assert.equal(
    renderInterfaces(network([{ ...eth0, addresses, gateways: ["203.0.113.1", "2001:db8:1::1"] }])),
    `${LO}\nauto eth0\niface eth0 inet static\n\taddress 192.0.2.5/32\n` +
      "\tpost-up ip route add 203.0.113.1/32 dev eth0\n\tpost-up ip route add default via 203.0.113.1 dev eth0\n" +
      "iface eth0 inet6 static\n\taddress 2001:db8::5/128\n" +
      "\tpost-up ip -6 route add 2001:db8:1::1/128 dev eth0\n" +
      "\tpost-up ip -6 route add default via 2001:db8:1::1 dev eth0\n",
  );
});

test("interfaces name no file that firn does not write", () => {
  const eth0 = { name: "eth0", method: "dhcp" as const, addresses: [], gateways: [] };
  assert.equal(renderInterfaces(network([eth0], { dns: ["192.0.2.1"] })), renderInterfaces(network([eth0])));
});

test("the resolver's file has one search line and one line a server", () => {
  const dns = ["192.0.2.1", "2001:db8::1"];
  assert.equal(
    renderResolver(network([], { dns, search: ["example.org", "lan"] })),
    "search example.org lan\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n",
  );
  assert.equal(renderResolver(network([], { dns: ["192.0.2.1"] })), "nameserver 192.0.2.1\n");
  assert.equal(renderResolver(network([])), "");
});

test("hosts knows the machine by its full and its short name", () => {
  assert.match(renderHosts("web"), /^127\.0\.0\.1\tweb localhost\.localdomain localhost\n::1\t/);
  assert.match(
    renderHosts("web.example.org"),
    /^127\.0\.0\.1\tweb\.example\.org web localhost\.localdomain localhost\n/,
  );
});

test("the initramfs can mount a btrfs root on any usual disk, and has the keymap when there is one", () => {
  const features = (keymap: boolean): string[] =>
    /^features="(.*)"\n$/.exec(renderMkinitfsConf(keymap))![1]!.split(" ");
  for (const feature of ["ata", "base", "ide", "scsi", "usb", "virtio", "btrfs", "nvme", "mmc"])
    assert.ok(features(false).includes(feature), feature);
  assert.deepEqual(features(true), [...features(false), "keymap"]);
});

const inittab = `::sysinit:/sbin/openrc sysinit
tty1::respawn:/sbin/getty 38400 tty1

# Put a getty on the serial port
#ttyS0::respawn:/sbin/getty -L 0 ttyS0 vt100

::ctrlaltdel:/sbin/reboot
`;
const login = (port: string, speed = 115200): string => `${port}::respawn:/sbin/getty -L ${speed} ${port} vt100`;

test("a serial login takes the place of the commented one and leaves every other line", () => {
  const done = withSerialLogin(inittab, { port: "ttyS0", speed: 115200 });
  const others = (text: string): string[] => text.split("\n").filter((line) => !line.includes("ttyS0"));
  assert.deepEqual(
    done.split("\n").filter((line) => line.includes("ttyS0")),
    [login("ttyS0")],
  );
  assert.deepEqual(others(done), others(inittab));
});

test("a serial login is set up once, with the last speed, beside that of another port", () => {
  const once = withSerialLogin(inittab, { port: "ttyS0", speed: 9600 });
  const again = withSerialLogin(once, { port: "ttyS0", speed: 115200 });
  assert.ok(again.includes(`\n${login("ttyS0")}\n`));
  assert.ok(!again.includes("9600"));
  const both = withSerialLogin(again, { port: "ttyS1", speed: 115200 });
  assert.ok(both.includes(`\n${login("ttyS0")}\n`) && both.endsWith(`\n${login("ttyS1")}\n`));
  assert.ok(withSerialLogin(both, { port: "ttyS1", speed: 115200 }).includes(login("ttyS0")));
  assert.equal(withSerialLogin("a", { port: "hvc0", speed: 115200 }), `a\n${login("hvc0")}\n`);
  assert.equal(withSerialLogin("", { port: "hvc0", speed: 115200 }), `${login("hvc0")}\n`);
});

test("a port of a longer name is another port", () => {
  const text = `${login("ttyS10")}\n`;
  assert.ok(withSerialLogin(text, { port: "ttyS1", speed: 115200 }).startsWith(text));
});

const shadow = "root:*:19000:0:::::\nguest:!::0:::::\nroot2:x:19000:0:::::\n";

test("a password goes into the one account, every other byte stays", () => {
  assert.equal(withPassword(shadow, "root", "$6$s$h"), shadow.replace("root:*", "root:$6$s$h"));
  assert.equal(withPassword(shadow, "guest", "!"), shadow);
  assert.equal(withPassword(shadow, "nobody", "x"), shadow);
  assert.equal(withPassword("root:*:1", "root", "h"), "root:h:1");
});

test("an account's ids and home are those of passwd", () => {
  const passwd = "root:x:0:0:root:/root:/bin/ash\nann:x:1000:1001:Ann:/home/ann:/bin/ash\n";
  assert.deepEqual(accountOf(passwd, "ann"), { uid: 1000, gid: 1001, home: "/home/ann" });
  assert.deepEqual(accountOf(passwd, "root"), { uid: 0, gid: 0, home: "/root" });
  assert.equal(accountOf(passwd, "an"), undefined);
  assert.equal(accountOf("", "root"), undefined);
});

test("a setting is replaced, uncommented or added", () => {
  const table: readonly (readonly [text: string, expected: string])[] = [
    ["", 'KEY="v"\n'],
    ["OTHER=1\n", 'OTHER=1\nKEY="v"\n'],
    ["OTHER=1", 'OTHER=1\nKEY="v"\n'],
    ["A=1\n\n", 'A=1\n\nKEY="v"\n'],
    ["KEY=old\nB=2\n", 'KEY="v"\nB=2\n'],
    ["KEY=old", 'KEY="v"'],
    ['# KEY="old"\nB=2\n', 'KEY="v"\nB=2\n'],
    ["#KEY=old\n", 'KEY="v"\n'],
    ["#\n\nKEY=old\n", '#\n\nKEY="v"\n'],
    ["MYKEY=1\nKEYS=2\n", 'MYKEY=1\nKEYS=2\nKEY="v"\n'],
    ["# a word about KEY=x\n", '# a word about KEY=x\nKEY="v"\n'],
  ];
  for (const [text, expected] of table) assert.equal(withSetting(text, "KEY", "v"), expected, JSON.stringify(text));
});

test("a setting holds, though an example of it stands above or it is set twice", () => {
  assert.equal(withSetting("# KEY=example\nKEY=old\n", "KEY", "v"), '# KEY=example\nKEY="v"\n');
  assert.equal(withSetting("KEY=a\nB=1\nKEY=b\n", "KEY", "v"), 'KEY="v"\nB=1\nKEY="v"\n');
});

test("a value with a dollar sign is written as it is", () => {
  assert.equal(withSetting("KEY=old\n", "KEY", "$& $1 $$"), 'KEY="$& $1 $$"\n');
});

test("setting twice is setting once, and no other line changes", () => {
  const line = fc.constantFrom("", "#", "# KEY=1", "KEY=2", " KEY=3", "B=1", "KEYS=1", "\t", "#B");
  fc.assert(
    fc.property(fc.array(line, { maxLength: 6 }), (lines) => {
      const text = lines.map((each) => `${each}\n`).join("");
      const once = withSetting(text, "KEY", "v");
      assert.equal(withSetting(once, "KEY", "v"), once);
      const others = (all: string): string[] => all.split("\n").filter((each) => !/^[#\s]*KEY=/.test(each));
      assert.deepEqual(others(once), others(text));
      const active = once.split("\n").filter((each) => /^\s*KEY=/.test(each));
      assert.ok(active.length > 0 && active.every((each) => each === 'KEY="v"'), once);
    }),
  );
});

const machine = (wish: PartialMachine = {}): MachineConfig => completeMachine(wish);

test("the services are setup-alpine's, without those that need a root they can write", () => {
  const wanted = wantedServices(machine());
  assert.deepEqual(wanted.sysinit, ["devfs", "dmesg", "mdev", "hwdrivers"]);
  for (const service of ["modules", "hostname", "bootmisc", "networking", "swap"])
    assert.ok(wanted.boot.includes(service));
  for (const service of ["sshd", "firn", "crond"]) assert.ok(wanted.default.includes(service), service);
  assert.deepEqual(wanted.shutdown, ["killprocs", "mount-ro"]);
  const all = Object.values(wanted).flat();
  for (const service of ["savecache", "firstboot", "modloop", "dhcpcd", "loadkmap"])
    assert.ok(!all.includes(service), service);
});

test("services are added and removed by runlevel, and the keymap brings its own", () => {
  const config = machine({
    identity: { keymap: { layout: "de", variant: "de" } },
    services: { default: ["nginx", "!acpid", "dhcpcd"], boot: ["!syslog", "nginx"] },
  });
  const wanted = wantedServices(config);
  assert.ok(wanted.boot.includes("loadkmap") && wanted.boot.includes("nginx") && !wanted.boot.includes("syslog"));
  assert.ok(wanted.default.includes("nginx") && wanted.default.includes("dhcpcd"));
  assert.ok(!wanted.default.includes("acpid"));
  assert.ok(
    wantedServices(machine({ services: { default: ["sshd"] } })).default.filter((one) => one === "sshd").length === 1,
  );
});

test("without firmware packages the empty one is taken where the mirror has it", () => {
  assert.deepEqual(packageSets(machine(), () => true).kernel, ["linux-lts", "linux-firmware-none"]);
  assert.deepEqual(packageSets(machine(), () => false).kernel, ["linux-lts"]);
  const some = machine({ system: { flavor: "virt", firmware: ["linux-firmware-intel"] } });
  assert.deepEqual(packageSets(some, () => true).kernel, ["linux-virt", "linux-firmware-intel"]);
});
