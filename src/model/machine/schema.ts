/** The keys of machine.toml. Open to the other doors: config/ writes their JSON schema. */
import * as v from "valibot";
import { parseCommonsPath } from "../volume/commons.ts";
import { list, text, textOrNumber, through, whole, type Camel } from "../config/document.ts";
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
import { makeInterface, parseCidr, parseDomain, parseInterfaceName, parseIp } from "./network.ts";
import { isRefusal, type Refusal } from "../problem.ts";
import { bad } from "../text/complaint.ts";
import { parseService } from "./services.ts";
import { formatSize, parseSize } from "../text/size.ts";
import { parseSshKey } from "./ssh-key.ts";
import {
  parseCmdline,
  parseCompression,
  parseFlavor,
  parseMirror,
  parsePackage,
  parsePath,
  parseRepository,
  parseSerial,
} from "./system.ts";
import { parseRelease } from "../packages/release.ts";

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

/** "none", one package, or several; "none" is the empty list. */
function parseFirmware(input: string | string[]): string[] | Refusal {
  const words = typeof input === "string" ? [input] : input;
  if (words.includes("none")) {
    return words.length === 1 ? [] : bad('has "none" and packages beside it.', "Keep one or the other.");
  }
  for (const word of words) {
    const parsed = parsePackage(word);
    if (isRefusal(parsed)) return parsed;
  }
  return words;
}

function parseArch(input: string): "x86_64" | "aarch64" | Refusal {
  if (input === "x86_64" || input === "aarch64") return input;
  return bad(`rEFInd does not exist for ${JSON.stringify(input)}.`, "Use x86_64 or aarch64.");
}

function buildMachineSchema() {
  const disk = v.strictObject({
    size: v.exactOptional(textOrNumber("Size of the image (firn image). A disk is used whole.", parseSize)),
    "esp-size": v.exactOptional(
      textOrNumber("EFI system partition. Default: 200M, or more where FAT32 needs it.", parseEspSize),
    ),
    "swap-size": v.exactOptional(
      textOrNumber(
        'Swap partition, or "none". Default: the least of RAM, 8G and a tenth of the disk; none for an image.',
        parseSwapSize,
      ),
    ),
    slots: v.exactOptional(whole("Entries of the boot menu. Default: 4.", 1, 16)),
    compression: v.exactOptional(text("zstd[:1-15], zlib[:1-9] or none. Default: zstd.", parseCompression)),
    commons: v.exactOptional(list("Paths that all generations share, beside those that always are.", parseCommonsPath)),
  });
  const system = v.strictObject({
    arch: v.exactOptional(text("x86_64 or aarch64. Default: x86_64.", parseArch)),
    release: v.exactOptional(
      text("Branch of Alpine: v3.20, latest-stable, edge. Default: latest-stable.", parseRelease),
    ),
    mirror: v.exactOptional(text("Default: https://dl-cdn.alpinelinux.org/alpine.", parseMirror)),
    repositories: v.exactOptional(
      list("Addresses or folders, as for apk -X. Without release and mirror, these alone are used.", parseRepository),
    ),
    "keys-dir": v.exactOptional(
      text("Folder of public keys to trust. Default: the host's, or Alpine's own.", parsePath),
    ),
    flavor: v.exactOptional(text("Kernel: lts, virt, stable. Default: lts.", parseFlavor)),
    firmware: v.exactOptional(
      v.pipe(
        v.union([v.string(), v.array(v.string())]),
        v.description('Firmware packages, or "none". Default: none.'),
        through(parseFirmware),
      ),
    ),
    packages: v.exactOptional(list("Further packages, as apk add spells them.", parsePackage)),
    cmdline: v.exactOptional(text("Further kernel parameters. Default: quiet.", parseCmdline)),
    serial: v.exactOptional(text('Serial console: ttyS0 or ttyS0,115200, or "none". Default: none.', parseSerial)),
    refind: v.exactOptional(text("Folder with rEFInd and its drivers. Default: the package.", parsePath)),
  });
  const user = v.strictObject({
    name: text("Login name.", parseUserName),
    "full-name": v.exactOptional(text("Full name.", parseFullName)),
    groups: v.exactOptional(list("Default: wheel, audio, video, netdev.", parseGroupName)),
    "ssh-keys": v.exactOptional(list("Lines for ~/.ssh/authorized_keys.", parseSshKey)),
    "password-hash": v.exactOptional(text("From `openssl passwd -6`. Without it no password fits.", parsePasswordHash)),
    shell: v.exactOptional(text("Default: /bin/ash.", parseShell)),
  });
  const root = v.pipe(
    v.strictObject({
      locked: v.exactOptional(
        v.pipe(v.boolean(), v.description("No password fits. Default: true without password-hash.")),
      ),
      "password-hash": v.exactOptional(text("From `openssl passwd -6`.", parsePasswordHash)),
      "ssh-keys": v.exactOptional(list("Lines for /root/.ssh/authorized_keys.", parseSshKey)),
    }),
    through((input) => {
      const hashed = input["password-hash"] !== undefined;
      if (input.locked === true && hashed) return bad("is locked and has a password-hash.", "Keep one or the other.");
      if (input.locked === false && !hashed) {
        return bad("is not locked and has no password-hash: anyone could log in.", "Add password-hash.");
      }
      return input;
    }),
  );
  const identity = v.strictObject({
    hostname: v.exactOptional(text("Host name, fully qualified or not. Default: alpine.", parseHostname)),
    timezone: v.exactOptional(text("Below /usr/share/zoneinfo. Default: UTC.", parseTimezone)),
    keymap: v.exactOptional(text('Layout and variant: "us us", or "none". Default: none.', parseKeymap)),
    users: v.exactOptional(v.array(user)),
    root: v.exactOptional(root),
  });
  const network = v.strictObject({
    interfaces: v.exactOptional(
      v.array(
        v.pipe(
          v.strictObject({
            name: text("eth0, wlan0.", parseInterfaceName),
            method: v.exactOptional(v.picklist(["dhcp", "static"])),
            addresses: v.exactOptional(list("Addresses with their prefix: 192.0.2.10/24.", parseCidr)),
            gateways: v.exactOptional(list("At most one for IPv4 and one for IPv6.", parseIp)),
          }),
          through((input) => makeInterface(input)),
        ),
      ),
    ),
    dns: v.exactOptional(list("Name servers. With dhcp, the lease's are used when there are none here.", parseIp)),
    search: v.exactOptional(list("Domains to search.", parseDomain)),
  });
  const services = (runlevel: string) =>
    v.exactOptional(list(`Services for the ${runlevel} runlevel; "!name" takes one out.`, parseService));
  return v.strictObject({
    disk: v.exactOptional(disk),
    system: v.exactOptional(system),
    identity: v.exactOptional(identity),
    network: v.exactOptional(network),
    services: v.exactOptional(
      v.strictObject({
        sysinit: services("sysinit"),
        boot: services("boot"),
        default: services("default"),
        shutdown: services("shutdown"),
      }),
    ),
  });
}

type MachineSchema = ReturnType<typeof buildMachineSchema>;

/** What machine.toml or the flags say, checked, without defaults. */
export type PartialMachine = Camel<v.InferOutput<MachineSchema>>;

let built: MachineSchema | undefined;

/** The schema of machine.toml, built at its first use, because most runs of firn never need it. */
export function machineSchema(): MachineSchema {
  return (built ??= buildMachineSchema());
}
