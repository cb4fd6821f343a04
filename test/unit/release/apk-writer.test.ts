import assert from "node:assert/strict";
import { createHash, createVerify } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { indexText, writeIndex } from "../../../scripts/apk/index.ts";
import type { PackageSpec } from "../../../scripts/apk/package.ts";
import { buildPackage } from "../../../scripts/apk/package.ts";
import type { Signer } from "../../../scripts/apk/sign.ts";
import { createKey, loadKey } from "../../../scripts/apk/sign.ts";
import type { Entry } from "../../../scripts/apk/tar.ts";
import { completeTree, tarBlocks } from "../../../scripts/apk/tar.ts";
import { given } from "../../../src/model/given.ts";

let dir: string;
let signer: Signer;

before(() => {
  dir = mkdtempSync(join(tmpdir(), "firn-apk-"));
  signer = createKey(dir, "unit", { bits: 2048 });
});
after(() => rmSync(dir, { recursive: true }));

interface Member {
  name: string;
  type: string;
  mode: number;
  mtime: number;
  link: string;
  user: string;
  pax: Record<string, string>;
  content: Buffer;
}

/** A tar reader of its own, so that the writer is not checked by itself. Tells whether end-of-archive blocks follow. */
function untar(bytes: Buffer): { members: Member[]; ended: boolean } {
  const text = (block: Buffer, from: number, to: number) => block.subarray(from, to).toString().replace(/\0.*$/s, "");
  const members: Member[] = [];
  let pax: Record<string, string> = {};
  let at = 0;
  while (at < bytes.length) {
    const block = bytes.subarray(at, at + 512);
    if (block.every((byte) => byte === 0)) return { members, ended: true };
    const sum = block.reduce((total, byte, n) => total + (n >= 148 && n < 156 ? 32 : byte), 0);
    assert.equal(parseInt(text(block, 148, 156), 8), sum, "header checksum");
    assert.equal(text(block, 257, 263), "ustar");
    const size = parseInt(text(block, 124, 136), 8);
    const content = bytes.subarray(at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
    const type = text(block, 156, 157);
    if (type === "x") {
      for (let rest = content; rest.length > 0;) {
        const length = parseInt(rest.toString("latin1"), 10);
        const [key, value] = /^\d+ ([^=]+)=(.*)\n$/s.exec(rest.subarray(0, length).toString())!.slice(1);
        pax[key!] = value!;
        rest = rest.subarray(length);
      }
      continue;
    }
    members.push({
      name: pax["path"] ?? text(block, 0, 100),
      type,
      mode: parseInt(text(block, 100, 108), 8),
      mtime: parseInt(text(block, 136, 148), 8),
      link: pax["linkpath"] ?? text(block, 157, 257),
      user: text(block, 265, 297),
      pax,
      content,
    });
    pax = {};
  }
  return { members, ended: false };
}

/** Splits concatenated gzip members: raw bytes and contents of each. */
function gunzipAll(bytes: Buffer): { raw: Buffer; content: Buffer }[] {
  const found: { raw: Buffer; content: Buffer }[] = [];
  for (let at = 0; at < bytes.length;) {
    assert.equal(bytes.readUInt32LE(at) & 0xffffff, 0x088b1f, "gzip magic, deflate");
    assert.equal(bytes[at + 3], 0, "no optional header fields");
    const { buffer, engine } = inflateRawSync(bytes.subarray(at + 10), { info: true }) as unknown as {
      buffer: Buffer;
      engine: { bytesWritten: number };
    };
    const end = at + 10 + engine.bytesWritten + 8;
    found.push({ raw: bytes.subarray(at, end), content: buffer });
    at = end;
  }
  return found;
}

const sha1 = (data: string | Buffer) => createHash("sha1").update(data).digest("hex");
const text = (path: string, content: string, mode?: number): Entry => ({
  type: "file",
  path,
  source: { bytes: Buffer.from(content) },
  ...given({ mode }),
});

const spec: PackageSpec = {
  name: "demo",
  version: "1.2_rc3-r4",
  description: "A demo",
  depends: ["busybox", "so:libc.musl-x86_64.so.1"],
  provides: ["cmd:demo=1.2_rc3-r4"],
  installIf: ["openrc", "demo-core=1"],
  triggers: ["/usr/share/demo/*"],
  scripts: { trigger: "#!/bin/sh\n", "post-install": "#!/bin/sh\nexit 0\n" },
  entries: [
    text("usr/bin/demo", "hello", 0o4755),
    { type: "symlink", path: "usr/bin/demo-link", target: "demo" },
    { type: "dir", path: "var/lib/demo", mode: 0o700, user: "games", group: "games", uid: 35, gid: 35 },
  ],
};

async function built(options = {}) {
  const record = await buildPackage(spec, dir, signer, { sourceDate: 1_700_000_000, ...options });
  const bytes = readFileSync(join(dir, record.file));
  const parts = gunzipAll(bytes);
  assert.equal(parts.length, 3);
  const [signature, control, data] = parts as [(typeof parts)[0], (typeof parts)[0], (typeof parts)[0]];
  return { record, bytes, signature, control, data };
}

describe("a package", () => {
  it("is signed over the raw bytes of its control member", async () => {
    for (const scheme of ["RSA", "RSA256"] as const) {
      const other = loadKey(join(dir, "unit.rsa"), { scheme });
      const record = await buildPackage(spec, dir, other);
      const [signature, control] = gunzipAll(readFileSync(join(dir, record.file)));
      const { members, ended } = untar(signature!.content);
      assert.equal(ended, false);
      assert.deepEqual(
        members.map((member) => member.name),
        [`.SIGN.${scheme}.unit.rsa.pub`],
      );
      const verify = () => createVerify(scheme === "RSA" ? "sha1" : "sha256");
      const publicKey = readFileSync(join(dir, "unit.rsa.pub"));
      assert.ok(verify().update(control!.raw).verify(publicKey, members[0]!.content));
      assert.ok(!verify().update(control!.content).verify(publicKey, members[0]!.content));
    }
  });

  it("has .PKGINFO first and executable scripts after it, and no end-of-archive blocks there", async () => {
    const { control, data, record } = await built();
    const { members, ended } = untar(control.content);
    assert.equal(ended, false);
    assert.deepEqual(
      members.map((member) => [member.name, member.mode]),
      [
        [".PKGINFO", 0o644],
        [".post-install", 0o755],
        [".trigger", 0o755],
      ],
    );
    const lines = members[0]!.content.toString().trimEnd().split("\n");
    for (const line of [
      "pkgname = demo",
      "pkgver = 1.2_rc3-r4",
      "builddate = 1700000000",
      "depend = so:libc.musl-x86_64.so.1",
      "provides = cmd:demo=1.2_rc3-r4",
      "install_if = openrc demo-core=1",
      "triggers = /usr/share/demo/*",
      `size = ${record.installedSize}`,
    ])
      assert.ok(lines.includes(line), line);
    assert.equal(lines.at(-1), `datahash = ${createHash("sha256").update(data.raw).digest("hex")}`);
    assert.equal(record.checksum, `Q1${createHash("sha1").update(control.raw).digest("base64")}`);
  });

  it("gives apk a SHA-1 for each file and link, and directories before what they hold", async () => {
    const { data } = await built();
    const { members, ended } = untar(data.content);
    assert.equal(ended, true);
    assert.deepEqual(
      members.map((member) => member.name),
      ["usr/", "usr/bin/", "usr/bin/demo", "usr/bin/demo-link", "var/", "var/lib/", "var/lib/demo/"],
    );
    const byName = new Map(members.map((member) => [member.name, member]));
    const file = byName.get("usr/bin/demo")!;
    assert.equal(file.mode, 0o4755);
    assert.equal(file.pax["APK-TOOLS.checksum.SHA1"], sha1("hello"));
    const link = byName.get("usr/bin/demo-link")!;
    assert.equal(link.link, "demo");
    assert.equal(link.pax["APK-TOOLS.checksum.SHA1"], sha1("demo"));
    const own = byName.get("var/lib/demo/")!;
    assert.deepEqual([own.mode, own.user, own.pax], [0o700, "games", {}]);
    assert.ok(members.every((member) => member.mtime === 1_700_000_000));
  });

  it("is the same bytes for the same input, whatever the clock and the order say", async () => {
    const first = await built();
    const again = await buildPackage({ ...spec, entries: [...spec.entries].reverse() }, dir, signer, {
      sourceDate: 1_700_000_000,
    });
    assert.deepEqual(readFileSync(join(dir, again.file)), first.bytes);
    assert.deepEqual(again, first.record);
  });

  it("never says size 0, for which apk extracts nothing", async () => {
    const { depends: _, ...rest } = spec;
    const record = await buildPackage({ ...rest, name: "empty", entries: [] }, dir, signer);
    assert.ok(record.installedSize > 0);
  });

  const refused: [string, Partial<PackageSpec>, RegExp][] = [
    ["a name with a slash", { name: "a/b" }, /not a package name/],
    ["a version without a revision", { version: "1.0" }, /not an Alpine version/],
    ["a line break in a field", { description: "a\ndepend = evil" }, /line break/],
    ["two words where one belongs", { depends: ["a b"] }, /not one word/],
    ["triggers without a script", { scripts: {} }, /come together/],
    ["a path that climbs out", { entries: [text("a/../../etc/passwd", "")] }, /not a path/],
    ["an absolute path", { entries: [text("/etc/passwd", "")] }, /not a path/],
    ["a name that apk takes for metadata", { entries: [text(".profile", "")] }, /does not install/],
    ["the same path twice", { entries: [text("a", "1"), text("a", "2")] }, /two entries/],
  ];
  for (const [what, change, message] of refused)
    it(`refuses ${what}`, () => assert.rejects(buildPackage({ ...spec, ...change }, dir, signer), message));
});

describe("an index", () => {
  it("is signed, ends as an archive, and says of each package what apk checks", async () => {
    const record = await buildPackage({ ...spec, arch: "noarch" }, dir, signer, { sourceDate: 1_700_000_000 });
    writeIndex(join(dir, "repo"), [record], signer, "demo v1");
    const parts = gunzipAll(readFileSync(join(dir, "repo/APKINDEX.tar.gz")));
    assert.equal(parts.length, 2);
    const signature = untar(parts[0]!.content);
    assert.equal(signature.ended, false);
    assert.ok(createVerify("sha256").update(parts[1]!.raw).verify(signer.publicKey, signature.members[0]!.content));
    const { members, ended } = untar(parts[1]!.content);
    assert.equal(ended, true);
    assert.deepEqual(
      members.map((member) => member.name),
      ["DESCRIPTION", "APKINDEX"],
    );
    const lines = members[1]!.content.toString().split("\n");
    assert.deepEqual(lines, [
      `C:${record.checksum}`,
      "P:demo",
      "V:1.2_rc3-r4",
      "A:x86_64",
      `S:${statSync(join(dir, record.file)).size}`,
      "I:4096",
      "T:A demo",
      "U:https://alpinelinux.org",
      "L:custom",
      "o:demo",
      "m:nobody",
      "t:1700000000",
      "D:busybox so:libc.musl-x86_64.so.1",
      "p:cmd:demo=1.2_rc3-r4",
      "i:openrc demo-core=1",
      "",
      "",
    ]);
    assert.equal(indexText(record, "x86_64"), lines.slice(0, -2).join("\n") + "\n");
  });
});

describe("keys", () => {
  it("are private to their owner and never replaced", () => {
    assert.equal(statSync(join(dir, "unit.rsa")).mode & 0o777, 0o600);
    assert.throws(() => createKey(dir, "unit", { bits: 2048 }), { code: "EEXIST" });
    assert.equal(loadKey(join(dir, "unit.rsa")).publicKey, signer.publicKey);
  });
});

describe("an archive", () => {
  it("keeps any name, however long and in any script", () => {
    const part = fc.stringMatching(/^[a-zåß雪][a-zåß雪ー_-]{0,60}$/);
    const path = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join("/"));
    fc.assert(
      fc.property(path, path, (name, target) => {
        const entries: Entry[] = [text(`f/${name}`, name), { type: "symlink", path: `l/${name}`, target }];
        const bytes = Buffer.concat([...tarBlocks(entries, { mtime: 1, checksums: true })]);
        const { members } = untar(bytes);
        assert.deepEqual(
          members.map((member) => [member.name, member.link, member.content.toString()]),
          [
            [`f/${name}`, "", name],
            [`l/${name}`, target, ""],
          ],
        );
      }),
      { numRuns: 200 },
    );
  });

  it("has every parent exactly once, before its children", () => {
    const part = fc.constantFrom("a", "b", "a-b", "a.b", "c");
    const paths = fc.uniqueArray(
      fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("/")),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(paths, (given) => {
        const names = completeTree(given.map((path) => ({ type: "dir", path }) as const)).map((entry) => entry.path);
        assert.equal(new Set(names).size, names.length);
        for (const [n, name] of names.entries()) {
          const parent = name.includes("/") ? name.slice(0, name.lastIndexOf("/")) : undefined;
          if (parent !== undefined) assert.ok(names.slice(0, n).includes(parent), `${parent} before ${name}`);
        }
        for (const path of given) assert.ok(names.includes(path));
      }),
    );
  });
});
