import assert from "node:assert/strict";
import { isIP } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import {
  ipFamily,
  makeInterface,
  parseCidr,
  parseDomain,
  parseInterfaceFlag,
  parseInterfaceName,
  parseIp,
  parseNameServer,
} from "../../../src/model/machine/network.ts";
import { isRefusal } from "../../../src/model/problem.ts";
import { bad } from "../../../src/model/text/complaint.ts";

test("an address is one exactly when Node’s net says so", () => {
  const pieces = fc.string({
    unit: fc.constantFrom("0", "1", "25", "255", "256", "ff", "fe80", ".", ":", "::", "g"),
    maxLength: 16,
  });
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), pieces), (text) => {
      assert.equal(ipFamily(text) ?? 0, isIP(text), text);
    }),
    { numRuns: 3000 },
  );
  assert.deepEqual(parseIp("2001:DB8::1"), "2001:db8::1");
  assert.deepEqual(
    parseIp("1.2.3"),
    bad('"1.2.3" is not an IP address.', "Write for example 192.0.2.1 or 2001:db8::1."),
  );
});

test("an address of an interface says how large its network is", () => {
  const hint = "Write for example 192.0.2.10/24 or 2001:db8::10/64.";
  const table: [string, string][] = [
    ["192.0.2.10", '"192.0.2.10" does not say how large its network is.'],
    ["192.0.2.10/33", '"192.0.2.10/33" has a prefix outside 1 to 32.'],
    ["192.0.2.10/0", '"192.0.2.10/0" has a prefix outside 1 to 32.'],
    ["2001:db8::1/129", '"2001:db8::1/129" has a prefix outside 1 to 128.'],
    ["192.0.2/24", '"192.0.2/24" is not an IP address.'],
    ["192.0.2.1/24/1", '"192.0.2.1/24/1" is not an IP address.'],
  ];
  for (const [text, message] of table) assert.deepEqual(parseCidr(text), bad(message, hint));
  assert.deepEqual(parseCidr("192.0.2.10/24"), "192.0.2.10/24");
});

test("an interface is dhcp or static, and its gateways are within reach", () => {
  const eth0 = { name: "eth0", addresses: ["192.0.2.10/24", "2001:db8::10/64"] };
  assert.deepEqual(makeInterface({ ...eth0, gateways: ["192.0.2.1", "fe80::1"] }), {
    ...eth0,
    method: "static",
    gateways: ["192.0.2.1", "fe80::1"],
  });
  assert.deepEqual(makeInterface({ name: "eth0" }), { name: "eth0", method: "dhcp", addresses: [], gateways: [] });
  const table: [Parameters<typeof makeInterface>[0], string][] = [
    [{ ...eth0, method: "dhcp" }, "eth0 has addresses or gateways, but its method is dhcp."],
    [{ name: "eth0", gateways: ["192.0.2.1"] }, "eth0 has addresses or gateways, but its method is dhcp."],
    [{ name: "eth0", method: "static" }, "eth0 is static but has no address."],
    [{ ...eth0, gateways: ["198.51.100.1"] }, "the gateway 198.51.100.1 is in none of the networks of eth0."],
    [{ ...eth0, gateways: ["2001:db8:1::1"] }, "the gateway 2001:db8:1::1 is in none of the networks of eth0."],
    [{ ...eth0, gateways: ["192.0.2.1", "192.0.2.2"] }, "eth0 has two IPv4 gateways."],
  ];
  for (const [parts, message] of table) {
    const made = makeInterface(parts);
    assert.equal(isRefusal(made) ? made.problem.message : undefined, message);
  }
});

test("an address alone in its network may have its gateway elsewhere", () => {
  for (const [addresses, gateways] of [
    [["192.0.2.10/32"], ["203.0.113.1"]],
    [
      ["2001:db8::10/128", "192.0.2.10/32"],
      ["203.0.113.1", "2001:db8:1::1"],
    ],
  ] as const)
    assert.deepEqual(makeInterface({ name: "eth0", addresses, gateways }), {
      ...{ name: "eth0", method: "static", addresses, gateways },
    });
  const mixed = makeInterface({
    name: "eth0",
    addresses: ["2001:db8::10/128", "192.0.2.10/24"],
    gateways: ["10.0.0.1"],
  });
  assert.ok(isRefusal(mixed) && mixed.problem.hint?.includes("/32"));
});

test("the flag for an interface says the same in one word", () => {
  assert.deepEqual(parseInterfaceFlag("eth0=dhcp"), makeInterface({ name: "eth0" }));
  assert.deepEqual(
    parseInterfaceFlag("eth0=192.0.2.10/24,2001:db8::10/64,192.0.2.1"),
    makeInterface({ name: "eth0", addresses: ["192.0.2.10/24", "2001:db8::10/64"], gateways: ["192.0.2.1"] }),
  );
  for (const text of ["eth0", "eth0=", "eth0=static", "=dhcp", "lo=dhcp", "eth0=dhcp=1", "a b=dhcp"]) {
    assert.ok(isRefusal(parseInterfaceFlag(text)), text);
  }
  assert.ok(isRefusal(parseInterfaceName("a".repeat(16))));
  assert.ok(!isRefusal(parseInterfaceName("a".repeat(15))));
});

test("a name server may be link-local, with its interface", () => {
  for (const text of ["192.0.2.1", "2001:db8::1", "fe80::1", "fe80::1%eth0"]) assert.equal(parseNameServer(text), text);
  for (const text of ["fe80::1%", "fe80::x%eth0", "2001:db8::1%eth0", "192.0.2.1%eth0", "fe80::1%eth0\nsearch x"])
    assert.ok(isRefusal(parseNameServer(text)), text);
});

test("search domains are domains", () => {
  assert.deepEqual(parseDomain("Example.org"), "example.org");
  for (const text of ["", "a b", ".", "a..b", "-a.b", "a\nnameserver 1.1.1.1"])
    assert.ok(isRefusal(parseDomain(text)), text);
});
