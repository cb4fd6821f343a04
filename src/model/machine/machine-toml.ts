/**
 * The keys of machine.toml, each declared once: what reads it, what holds without it, the flag that says the same, and
 * the words. It takes the parsers of other doors (volume, packages) for the keys that are about them.
 */
import {
  choice,
  document,
  list,
  table,
  tableOf,
  tables,
  text,
  textOrList,
  textOrNumber,
  truth,
  whole,
} from "../config/declare.ts";
import type { FlagValues, Wish } from "../config/declare.ts";
import { parsePackage } from "../packages/constraint.ts";
import { parseRelease } from "../packages/release.ts";
import { isRefusal, type Refusal } from "../problem.ts";
import { DEFAULT_ESP_BYTES } from "../disk/partitions.ts";
import { bad } from "../text/complaint.ts";
import { formatSize, parseSize } from "../text/size.ts";
import { DEFAULT_COMMONS, parseCommonsPath } from "../volume/commons.ts";
import { DEFAULT_SLOTS } from "../volume/slots.ts";
import {
  parseFullName,
  parseGroupName,
  parseHostname,
  parseKeymap,
  parsePasswordHash,
  parseShell,
  parseTimezone,
  parseUserName,
} from "./identity.ts";
import { makeInterface, parseCidr, parseDomain, parseInterfaceName, parseIp, parseNameServer } from "./network.ts";
import { parseService } from "./services.ts";
import { parseSshKey } from "./ssh-key.ts";
import {
  parseArch,
  parseCmdline,
  parseCompression,
  parseFirmware,
  parseFlavor,
  parseMirror,
  parsePath,
  parseRepository,
  parseSerial,
} from "./system.ts";

const ESP = formatSize(DEFAULT_ESP_BYTES);

/** "`a`, `b` and `c`" */
function enumerated(words: readonly string[]): string {
  return words
    .map((word) => `\`${word}\``)
    .join(", ")
    .replace(/, (?=[^,]*$)/, " and ");
}

/** Bytes. FAT32 needs 65,525 clusters: 33 MiB at 512 B with its tables. */
const SMALLEST_ESP = 33 * 2 ** 20;

function parseEspSize(input: string): number | Refusal {
  const size = parseSize(input);
  if (isRefusal(size) || size >= SMALLEST_ESP) return size;
  return bad(`${formatSize(size)} is too small for FAT32.`, `Give it at least ${formatSize(SMALLEST_ESP)}.`);
}

/** "none" is 0: no swap partition. */
function parseSwapSize(input: string): number | Refusal {
  return input === "none" ? 0 : parseSize(input);
}

/** They fit nobody's password and nobody's private key: both were thrown away. */
const EXAMPLE_HASH =
  "$6$c885ff4198a5$N86QQXS3aK1G6uitngt6LuFLe0DusnyK5ekINtoey2De4RP/hkZ7FrShgLummt5QCm6gbPNuhfF/rMJV2XXlQ/";
const EXAMPLE_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA7XVgXmM2jsfH4nrM92MTPCPaO/QXxtggsPIcMROuGx alex@example.com";

const disk = table(
  {},
  {
    size: textOrNumber(parseSize, {
      brief: "Size of an image",
      more: "A disk is used whole.",
      example: "4G",
      flag: { name: "size", brief: "Size of the image: 4G" },
    }),
    "esp-size": textOrNumber(parseEspSize, {
      brief: "Size of the EFI system partition",
      otherwise: `\`${ESP}\`, or what FAT32 needs on a disk with large sectors when that is more`,
      example: ESP,
      flag: { name: "espSize", brief: `Size of the EFI system partition (${ESP})` },
    }),
    "swap-size": textOrNumber(parseSwapSize, {
      brief: "Size of the swap partition, or `none`",
      otherwise: "the least of RAM, 8G and a tenth of the disk; none for an image",
      example: "2G",
      flag: { name: "swapSize" },
    }),
    slots: whole(2, 16, {
      brief: "Entries of the boot menu, 2 to 16",
      default: DEFAULT_SLOTS,
      flag: { name: "slots" },
    }),
    compression: text(parseCompression, {
      brief: "Compression of the files: `zstd`, `zstd:1` to `zstd:15`, `zlib`, `zlib:1` to `zlib:9`, or `none`",
      default: "zstd",
      flag: { name: "compression", brief: "btrfs compression: zstd, zstd:N, zlib, none (zstd)" },
    }),
    commons: list(parseCommonsPath, {
      brief: "Writable paths that all generations share",
      more:
        `Always shared are ${enumerated(DEFAULT_COMMONS.toSorted())}. ` +
        "Below `/var/lib` a path becomes a subvolume of its own.",
      default: [],
      example: ["/var/lib/docker", "/var/lib/flatpak"],
      flag: { name: "common", many: true, brief: "A further path that all generations share" },
    }),
  },
);

const system = table(
  {},
  {
    arch: text(parseArch, {
      brief: "Architecture: `x86_64` or `aarch64`",
      default: "x86_64",
      flag: { name: "arch" },
    }),
    release: text(parseRelease, {
      brief: "Branch of Alpine: `v3.20`, `latest-stable`, `edge`",
      default: "latest-stable",
      flag: { name: "release" },
    }),
    // As setup-apkrepos offers it first.
    mirror: text(parseMirror, {
      brief: "Mirror of Alpine, the address above the releases",
      default: "https://dl-cdn.alpinelinux.org/alpine",
      flag: { name: "mirror", brief: "Alpine mirror", placeholder: "URL" },
    }),
    repositories: list(parseRepository, {
      brief: "Further repositories, as for `apk -X`: addresses or folders, with a tag if you like",
      more: "Without release and mirror, these alone are used.",
      default: [],
      example: ["/srv/packages", "@testing https://dl-cdn.alpinelinux.org/alpine/edge/testing"],
      flag: { name: "repository", many: true, brief: "A repository instead of the mirror: URL or folder" },
    }),
    "keys-dir": text(parsePath, {
      brief: "Folder of public keys to trust",
      otherwise: "those of the host, or Alpine's own",
      example: "/etc/apk/keys",
      flag: { name: "keysDir", brief: "Public keys to trust beside Alpine's", placeholder: "DIR" },
    }),
    flavor: text(parseFlavor, {
      brief: "Kernel: `lts`, `virt` (for virtual machines), `stable`",
      default: "lts",
      flag: { name: "flavor" },
    }),
    firmware: textOrList(parseFirmware, {
      brief: "Firmware packages, or `none`",
      more: "A machine with wireless or graphics usually needs some.",
      default: "none",
      example: ["linux-firmware-i915", "linux-firmware-rtw88"],
      flag: { name: "firmware", many: true, brief: "A firmware package, or none" },
    }),
    packages: list(parsePackage, {
      brief: "Further packages",
      more: "As `apk add` spells them: `name`, `name=1.2-r0`, `name~1.2`, `name@tag`.",
      default: [],
      example: ["openssh", "doas", "chrony"],
      flag: { name: "package", many: true, brief: "A further package" },
    }),
    cmdline: text(parseCmdline, {
      brief: "Further kernel parameters",
      more: "`root=`, `rootflags=` and `rootfstype=` are firn's own.",
      default: "quiet",
      flag: { name: "cmdline" },
    }),
    serial: text(parseSerial, {
      brief: "Serial console, `ttyS0` or `ttyS0,115200`, or `none`",
      more: "It gets the kernel's messages and a login.",
      default: "none",
      example: "ttyS0,115200",
      flag: { name: "serial", brief: "Serial console: ttyS0 or ttyS0,115200" },
    }),
    refind: text(parsePath, {
      brief: "Folder with rEFInd and its drivers",
      otherwise: "the package",
      example: "/usr/share/refind",
      flag: { name: "refind", brief: "rEFInd's folder, when neither host nor mirror has it", placeholder: "DIR" },
    }),
  },
);

/** For the users that flags name, or for root when they name none. */
const sshKey = { name: "sshKey", many: true, brief: "A public SSH key, or a file of them", apart: true } as const;

const root = table(
  { words: "Root. Without a password hash no password fits; keys still do." },
  {
    locked: truth({ brief: "True when there is no password hash", default: true }),
    "ssh-keys": list(parseSshKey, {
      brief: "Lines for `/root/.ssh/authorized_keys`",
      default: [],
      example: [EXAMPLE_KEY],
      flag: sshKey,
    }),
    "password-hash": text(parsePasswordHash, {
      brief: "As `openssl passwd -6` prints it",
      example: EXAMPLE_HASH,
      flag: {
        name: "rootPasswordHash",
        brief: "Root's password as crypt(5) writes it; without it root is locked",
      },
    }),
  },
  (input) => {
    const hashed = input["password-hash"] !== undefined;
    if (input.locked === true && hashed) return bad("is locked and has a password-hash.", "Keep one or the other.");
    if (input.locked !== false || hashed) return undefined;
    return bad("is not locked and has no password-hash: anyone could log in.", "Add password-hash.");
  },
);

const users = tables(
  {
    words: "One such table for each user.",
    flag: { name: "user", many: true, brief: "A user to make", apart: true },
  },
  table(
    {},
    {
      name: text(parseUserName, { brief: "Login name", required: true, example: "alex" }),
      "full-name": text(parseFullName, { brief: "Full name", example: "Alex Example" }),
      // Those of setup-alpine's admin user: `-a -g 'audio video netdev'`, in which -a is wheel.
      groups: list(parseGroupName, {
        brief: "Groups beside the user's own",
        default: ["wheel", "audio", "video", "netdev"],
      }),
      "ssh-keys": list(parseSshKey, {
        brief: "Lines for `~/.ssh/authorized_keys`",
        default: [],
        example: [EXAMPLE_KEY],
        flag: sshKey,
      }),
      "password-hash": text(parsePasswordHash, {
        brief: "As `openssl passwd -6` prints it",
        more: "Without it no password fits.",
        example: EXAMPLE_HASH,
      }),
      // Alpine's busybox has ash in every release; baselayout gave root this shell until 3.19.
      shell: text(parseShell, { brief: "Login shell", default: "/bin/ash" }),
    },
  ),
);

const identity = table(
  {},
  {
    // setup-alpine's quick mode names the machine so.
    hostname: text(parseHostname, {
      brief: "Host name, fully qualified or not",
      default: "alpine",
      flag: { name: "hostname" },
    }),
    timezone: text(parseTimezone, {
      brief: "Time zone, as below `/usr/share/zoneinfo`: `Europe/Berlin`",
      default: "UTC",
      flag: { name: "timezone", brief: "Time zone, Europe/Berlin (UTC)" },
    }),
    keymap: text(parseKeymap, {
      brief: "Layout and variant of the keyboard, as for `setup-keymap`, or `none`",
      default: "none",
      example: "us us",
      flag: { name: "keymap", brief: "Keyboard: 'us us'" },
    }),
    root,
    users,
  },
);

const network = table(
  {},
  {
    dns: list(parseNameServer, {
      brief: "Name servers",
      more: "With dhcp, the lease's are used when there are none here.",
      default: [],
      example: ["192.0.2.53", "2001:db8::53"],
      flag: { name: "dns", many: true, brief: "A name server" },
    }),
    search: list(parseDomain, {
      brief: "Domains to search",
      default: [],
      example: ["example.org"],
      flag: { name: "search", many: true, brief: "A search domain" },
    }),
    interfaces: tables(
      {
        words: "One table for each interface.",
        // As setup-interfaces proposes.
        default: [{ name: "eth0", method: "dhcp" }],
        flag: { name: "interface", many: true, brief: "NAME, or NAME=dhcp, or NAME=ADDRESS/BITS,GATEWAY", apart: true },
      },
      tableOf(
        {
          name: text(parseInterfaceName, {
            brief: "The kernel's name for it: `eth0`, `wlan0`",
            required: true,
            example: "eth1",
          }),
          method: choice(["dhcp", "static"], {
            brief: "`dhcp` or `static`",
            otherwise: "`static` with addresses, `dhcp` without any",
            example: "static",
          }),
          addresses: list(parseCidr, {
            brief: "Addresses with their prefix: `192.0.2.10/24`, `2001:db8::10/64`",
            example: ["192.0.2.10/24", "2001:db8::10/64"],
          }),
          gateways: list(parseIp, {
            brief: "At most one for IPv4 and one for IPv6",
            example: ["192.0.2.1", "fe80::1"],
          }),
        },
        makeInterface,
      ),
    ),
  },
);

const services = table(
  {
    words:
      'Services beyond those that every Alpine starts, by runlevel: names in `/etc/init.d`. "!name" takes one out.',
    flag: { name: "service", many: true, brief: "NAME, RUNLEVEL/NAME, or !NAME to leave it out", apart: true },
  },
  {
    sysinit: list(parseService, { brief: "First of all", default: [] }),
    boot: list(parseService, { brief: "While the machine boots", default: [] }),
    default: list(parseService, { brief: "Once it is up", default: [], example: ["sshd", "chronyd", "!acpid"] }),
    shutdown: list(parseService, { brief: "While it goes down", default: [] }),
  },
);

/** machine.toml */
export const machineToml = document(
  "machine.toml",
  [
    "machine.toml: what firn install and firn image build.",
    "  firn install /dev/sda --config machine.toml --dry-run",
    "Every key may be left out. What is not commented out here is the default.",
    "Flags say the same things, and a flag wins. Sizes count in 1024s: 200M, 4G, 1.5GiB.",
  ],
  { disk, system, identity, network, services },
);

type Fields = (typeof machineToml)["fields"];

/** What machine.toml or the flags say, checked, without defaults. */
export type PartialMachine = Wish<Fields>;

/**
 * The flags of `firn install` and `firn image` as they were typed. Of `--ssh-key`, the keys: whoever takes the flag
 * reads a file that it names.
 */
export type MachineFlags = FlagValues<{ fields: Fields }>;
