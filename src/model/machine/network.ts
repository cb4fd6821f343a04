import { isRefusal, type Refusal } from "../problem.ts";
import { bad, quoted } from "../text/complaint.ts";

/** Four decimal bytes without leading zeros, as a 32-bit number; undefined for anything else. */
function ipv4Value(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

/** RFC 4291 section 2.2, with `::` and an IPv4 tail, without a zone; as a 128-bit number. */
function ipv6Value(text: string): bigint | undefined {
  let body = text;
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (tail !== null) {
    const low = ipv4Value(tail[2]!);
    if (low === undefined) return undefined;
    body = `${tail[1]!}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`;
  }
  const halves = body.split("::");
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")));
  const head = groups[0]!;
  const rest = groups[1] ?? [];
  const missing = 8 - head.length - rest.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  let value = 0n;
  for (const group of [...head, ...Array.from({ length: missing }, () => "0"), ...rest]) {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) return undefined;
    value = (value << 16n) | BigInt(`0x${group}`);
  }
  return value;
}

interface Ip {
  readonly family: 4 | 6;
  readonly value: bigint;
}

function ipValue(text: string): Ip | undefined {
  const four = ipv4Value(text);
  if (four !== undefined) return { family: 4, value: four };
  const six = ipv6Value(text);
  return six === undefined ? undefined : { family: 6, value: six };
}

/** The family of an address, or undefined when it is none. */
export function ipFamily(text: string): 4 | 6 | undefined {
  return ipValue(text)?.family;
}

/** An IPv4 or IPv6 address. */
export function parseIp(text: string): string | Refusal {
  if (ipValue(text) !== undefined) return text.toLowerCase();
  return bad(`${quoted(text)} is not an IP address.`, "Write for example 192.0.2.1 or 2001:db8::1.");
}

/** An address with the length of its network's prefix: "192.0.2.10/24". */
export function parseCidr(text: string): string | Refusal {
  const hint = "Write for example 192.0.2.10/24 or 2001:db8::10/64.";
  const [address = "", prefix, ...more] = text.split("/");
  const ip = ipValue(address);
  if (ip === undefined || more.length > 0) return bad(`${quoted(text)} is not an IP address.`, hint);
  if (prefix === undefined) return bad(`${quoted(text)} does not say how large its network is.`, hint);
  const bits = ip.family === 4 ? 32 : 128;
  if (!/^(?:0|[1-9]\d{0,2})$/.test(prefix) || Number(prefix) < 1 || Number(prefix) > bits) {
    return bad(`${quoted(text)} has a prefix outside 1 to ${bits}.`, hint);
  }
  return `${address.toLowerCase()}/${prefix}`;
}

/** Whether `ip` lies in the network of `cidr`; both as their parsers give them. */
function contains(cidr: string, ip: Ip): boolean {
  const [address = "", prefix = "0"] = cidr.split("/");
  const base = ipValue(address);
  if (base === undefined || base.family !== ip.family) return false;
  const shift = BigInt((base.family === 4 ? 32 : 128) - Number(prefix));
  return base.value >> shift === ip.value >> shift;
}

/** Whether a gateway can be reached without a route of its own; all as their parsers give them. */
export function isOnLink(gateway: string, addresses: readonly string[]): boolean {
  const ip = ipValue(gateway);
  if (ip === undefined) return false;
  const linkLocal = ip.family === 6 && ip.value >> 118n === 0xfe80n >> 6n;
  return linkLocal || addresses.some((address) => contains(address, ip));
}

/** An address alone in its network, whose gateway is elsewhere: what hosters give a virtual machine. */
function isAlone(address: string): boolean {
  return address.endsWith(address.includes(":") ? "/128" : "/32");
}

/** One interface of /etc/network/interfaces. */
export interface Interface {
  readonly name: string;
  readonly method: "dhcp" | "static";
  /** With prefix; empty with dhcp. */
  readonly addresses: readonly string[];
  /** At most one a family. */
  readonly gateways: readonly string[];
}

/** A name as the kernel takes it: IFNAMSIZ is 16 with its NUL; `lo` is always set up and not configured here. */
export function parseInterfaceName(text: string): string | Refusal {
  if (text === "lo") return bad('"lo" is always set up.', "Leave it out.");
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/.test(text)) return text;
  return bad(`${quoted(text)} is not the name of an interface.`, "Write for example eth0 or wlan0.");
}

/**
 * Checks the parts of one interface against one another: addresses with static, none with dhcp, gateways within reach
 * unless an address is alone in its network.
 */
export function makeInterface(parts: {
  readonly name: string;
  readonly method?: "dhcp" | "static";
  readonly addresses?: readonly string[];
  readonly gateways?: readonly string[];
}): Interface | Refusal {
  const { name, addresses = [], gateways = [] } = parts;
  const method = parts.method ?? (addresses.length > 0 ? "static" : "dhcp");
  if (method === "dhcp") {
    if (addresses.length > 0 || gateways.length > 0) {
      return bad(
        `${name} has addresses or gateways, but its method is dhcp.`,
        'Write method = "static", or leave them out.',
      );
    }
    return { name, method, addresses, gateways };
  }
  if (addresses.length === 0) {
    return bad(`${name} is static but has no address.`, 'Write for example addresses = ["192.0.2.10/24"].');
  }
  const families = new Set<number>();
  for (const gateway of gateways) {
    const ip = ipValue(gateway);
    if (ip === undefined) return bad(`${quoted(gateway)} is not an IP address.`);
    if (families.has(ip.family)) return bad(`${name} has two IPv${ip.family} gateways.`, "Keep one.");
    families.add(ip.family);
    const own = addresses.filter((address) => ipFamily(address.split("/")[0] ?? "") === ip.family);
    if (isOnLink(gateway, addresses) || own.some(isAlone)) continue;
    const prefix = ip.family === 4 ? "/32" : "/128";
    return bad(
      `the gateway ${gateway} is in none of the networks of ${name}.`,
      `Correct it or the address; where it is meant, the address has the prefix ${prefix}.`,
    );
  }
  return { name, method, addresses, gateways };
}

/**
 * An interface as the flag spells it: `eth0=dhcp`, or `eth0=192.0.2.10/24,192.0.2.1` in which what has a prefix is an
 * address and what has none a gateway.
 */
export function parseInterfaceFlag(text: string): Interface | Refusal {
  const [name = "", setting = "", ...more] = text.split("=");
  if (setting === "" || more.length > 0) {
    return bad(`${quoted(text)} is not an interface.`, "Write eth0=dhcp or eth0=192.0.2.10/24,192.0.2.1.");
  }
  const parsedName = parseInterfaceName(name);
  if (isRefusal(parsedName)) return parsedName;
  if (setting === "dhcp") return makeInterface({ name, method: "dhcp" });
  const addresses: string[] = [];
  const gateways: string[] = [];
  for (const part of setting.split(",")) {
    const parsed = part.includes("/") ? parseCidr(part) : parseIp(part);
    if (isRefusal(parsed)) return parsed;
    (part.includes("/") ? addresses : gateways).push(parsed);
  }
  return makeInterface({ name, method: "static", addresses, gateways });
}

/** A name server, a link-local one with its interface: `fe80::1%eth0`, as resolv.conf takes it. */
export function parseNameServer(text: string): string | Refusal {
  const [, address = "", zone = ""] = /^(fe[89ab][^%]*)%(.*)$/i.exec(text) ?? [];
  const ip = parseIp(address === "" ? text : address);
  const name = address === "" ? undefined : parseInterfaceName(zone);
  if (isRefusal(name)) return name;
  return isRefusal(ip) || name === undefined ? ip : `${ip}%${name}`;
}

/** A domain that resolv.conf searches. */
export function parseDomain(text: string): string | Refusal {
  const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?$/i;
  if (text.length <= 253 && text.split(".").every((part) => label.test(part))) return text.toLowerCase();
  return bad(`${quoted(text)} is not a domain.`, "Write for example example.org.");
}
