/**
 * What firn takes for signed is what somebody signed: forged archives, indexes of other releases, symlinks and keys of
 * the host.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import type { Server } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { indexText, writeIndex } from "../../../scripts/apk/index.ts";
import { buildPackage, type IndexRecord } from "../../../scripts/apk/package.ts";
import { createKey, type Signer } from "../../../scripts/apk/sign.ts";
import { tarBlocks, type Entry } from "../../../scripts/apk/tar.ts";
import type { Call } from "../../kit/probes/apk-probe.ts";
import {
  bootstrap,
  call,
  close,
  copyOf,
  folder,
  keys,
  mirror,
  open,
  refused,
  serve,
  skip,
  v3191,
  work,
} from "../../kit/probes/apk-world.ts";

let signer: Signer;
let served: Server;
let base = "";

before(async () => {
  await open();
  if (skip) return;
  signer = createKey(folder("signer"), "forger", { bits: 2048 });
  copyFileSync(join(work, "signer/forger.rsa.pub"), join(keys, "forger.rsa.pub"));
  ({ server: served, url: base } = await serve(work));
});
after(() => {
  served?.close();
  close();
});

const file = (path: string, text: string): Entry => ({ type: "file", path, source: { bytes: Buffer.from(text) } });

/** Bytes of the first gzip member: the shortest start, up to a magic number, that unpacks as a whole. */
function firstMember(bytes: Buffer): number {
  for (let at = bytes.indexOf("1f8b08", 1, "hex"); at > 0; at = bytes.indexOf("1f8b08", at + 1, "hex")) {
    try {
      gunzipSync(bytes.subarray(0, at));
      return at;
    } catch {
      // A magic number within compressed data.
    }
  }
  throw new Error("one member only");
}

/**
 * Adds entries to the unsigned signature member of an index or package; what was signed stays as it is, bit for bit.
 */
function smuggle(path: string, ...entries: Entry[]): void {
  const bytes = readFileSync(path);
  const end = firstMember(bytes);
  const more = Buffer.concat([...tarBlocks(entries, { mtime: 0, checksums: true })]);
  const forged = gzipSync(Buffer.concat([gunzipSync(bytes.subarray(0, end)), more]), { level: 9 });
  unlinkSync(path);
  writeFileSync(path, Buffer.concat([forged, bytes.subarray(end)]));
}

const make = (into: string, name: string, content = name, extra: object = {}): Promise<IndexRecord> =>
  buildPackage(
    { name, version: "1.0-r0", description: name, entries: [file(`usr/share/${name}`, content)], ...extra },
    folder(join(into, "x86_64")),
    signer,
  );

function repository(name: string, ...records: IndexRecord[]): string {
  writeIndex(folder(join(name, "x86_64")), records, signer, name);
  return join(work, name);
}

const emptyRoot = (name: string): string => folder(`root-${name}`);

test("an index hidden in the unsigned signature member is refused, by the bootstrap and later", { skip }, async () => {
  const record = await make("hidden", "honest");
  const place = repository("hidden", record);
  const target = { root: emptyRoot("hidden"), repositories: [place], keysDir: keys, arch: "x86_64" };
  const ask: Call = { ...bootstrap([v3191]), target, do: "names" };
  assert.deepEqual((await call(ask)).names, ["honest"]);
  const path = join(place, "x86_64/APKINDEX.tar.gz");
  const untouched = readFileSync(path);
  // apk passes over signatures that it does not know, and refuses the rest itself.
  smuggle(path, file(".SIGN.DSA.more", "evil"));
  await refused(ask, "E_SIGNATURE", /hidden/, /more than a signature/);
  writeFileSync(path, untouched);
  smuggle(path, file("APKINDEX", indexText({ ...record, name: "evil" }, "x86_64")));
  await refused(ask, "E_SIGNATURE", /hidden/);

  const index = copyOf("hidden-bootstrap");
  const text = gunzipSync(readFileSync(join(v3191, "x86_64/APKINDEX.tar.gz"))).toString("latin1");
  const apkTools = /C:.*\nP:apk-tools\n[^]*?\n\n/.exec(text.slice(text.indexOf("\nP:apk-tools\n") - 40))?.[0] ?? "";
  assert.match(apkTools, /^C:Q1/);
  smuggle(join(index, "x86_64/APKINDEX.tar.gz"), file("APKINDEX", apkTools));
  await refused(bootstrap([index]), "E_SIGNATURE", /more than a signature/);
});

test("an index's second APKINDEX before the signed one is never what is read", { skip }, async () => {
  // A member of its own, between signature and index: no signature covers the two together.
  const record = await make("between", "honest");
  const place = repository("between", record);
  const path = join(place, "x86_64/APKINDEX.tar.gz");
  const bytes = readFileSync(path);
  const end = firstMember(bytes);
  const evil = gzipSync(
    Buffer.concat([
      ...tarBlocks([file("APKINDEX", indexText({ ...record, name: "evil" }, "x86_64"))], {
        mtime: 0,
        checksums: false,
      }),
    ]),
  );
  writeFileSync(path, Buffer.concat([bytes.subarray(0, end), evil, bytes.subarray(end)]));
  const target = { root: emptyRoot("between"), repositories: [place], keysDir: keys, arch: "x86_64" };
  await refused({ ...bootstrap([v3191]), target, do: "names" }, "E_SIGNATURE", /between/);
});

test(
  "files hidden in a package's unsigned signature member are refused, and nothing of them is unpacked",
  { skip },
  async () => {
    const place = repository("packages", await make("packages", "honest"));
    const target = { root: emptyRoot("packages"), repositories: [place], keysDir: keys, arch: "x86_64" };
    const into = folder("packages-into");
    const ask: Call = { ...bootstrap([v3191]), target, do: "fetch", args: ["honest"], into };
    const good = await call(ask);
    assert.deepEqual(good.list, ["usr/", "usr/share/", "usr/share/honest"]);
    assert.equal(readFileSync(join(into, "usr/share/honest"), "utf8"), "honest");
    assert.deepEqual(
      readdirSync(into).filter((name) => name.startsWith(".")),
      [],
      "no metadata either",
    );
    smuggle(join(place, "x86_64/honest-1.0-r0.apk"), file("usr/share/evil", "evil"));
    const second = folder("packages-second");
    await refused({ ...ask, into: second }, "E_SIGNATURE", /honest-1\.0-r0/, /more than a signature/);
    assert.ok(!existsSync(join(second, "usr")));

    const tools = copyOf("hidden-package");
    smuggle(join(tools, "x86_64/apk-tools-2.14.0-r5.apk"), file("sbin/apk.static", "#!/bin/sh\necho apk-tools evil\n"));
    await refused(bootstrap([tools]), "E_SIGNATURE", /apk-tools-2\.14\.0-r5/, /more than a signature/);
  },
);

test("a file in place of a package's signature is not unpacked", { skip }, async () => {
  const tools = copyOf("front");
  const path = join(tools, "x86_64/apk-tools-2.14.0-r5.apk");
  const bytes = readFileSync(path);
  const evil = file("sbin/apk.static", "#!/bin/sh\necho apk-tools evil\n");
  unlinkSync(path);
  // One entry, so only what is unpacked tells. firn takes apk.static where there is one.
  const member = gzipSync(
    Buffer.concat([...tarBlocks([{ ...evil, mode: 0o755 } as Entry], { mtime: 0, checksums: true })]),
  );
  writeFileSync(path, Buffer.concat([member, bytes.subarray(firstMember(bytes))]));
  const { argv, problem } = await call(bootstrap([tools]));
  assert.equal(problem, undefined);
  assert.match(argv?.at(-1) ?? "", /\/apk$/);
});

for (const slash of ["", "/"])
  test(
    `the index of an old release in a shared cache does not count for the new one${slash && ", with a slash at the URL's end"}`,
    { skip },
    async () => {
      const cacheDir = folder(`releases-cache${slash.length}`);
      const target = (name: string): NonNullable<Call["target"]> => ({
        root: emptyRoot(`release${slash.length}`),
        repositories: [`${base}/${name}${slash}`],
        keysDir: keys,
        arch: "x86_64",
        cacheDir,
      });
      // Several old ones: whatever the order in which a folder is read, one comes before the new one.
      const olds = ["old-1", "old-2", "old-3", "old-4", "old-5"];
      for (const name of olds) {
        repository(name, await make(name, "same", name), await make(name, `only-${name}`));
        assert.equal((await call({ ...bootstrap([v3191]), target: target(name), do: "verify" })).problem, undefined);
      }
      repository("new", await make("new", "same", "built again"));
      const args = ["--initdb", "add", "same"];
      const done = await call({ ...bootstrap([v3191]), target: target("new"), do: "predownload", args });
      assert.equal(done.problem, undefined);
      assert.ok((done.bytes ?? 0) > 0);
      assert.deepEqual((await call({ ...bootstrap([v3191]), target: target("new"), do: "names" })).names, ["same"]);
      const name = createHash("sha1").update(`${base}/new${slash}`).digest("hex").slice(0, 8);
      assert.ok(existsSync(join(cacheDir, `APKINDEX.${name}.tar.gz`)), "apk's own name");
    },
  );

test("a symlink in a generation leads to no place on the host", { skip }, async () => {
  const chroot = folder("generation");
  const outside = join(work, "host-place");
  const target = { root: chroot, repositories: [v3191], keysDir: keys, arch: "x86_64" };
  assert.equal(
    (await call({ ...bootstrap([v3191]), target, do: "apk", args: ["--initdb", "add", "apk-tools"] })).problem,
    undefined,
  );
  rmSync(join(chroot, "var/cache/apk"), { recursive: true, force: true });
  mkdirSync(join(chroot, "var/cache"), { recursive: true });
  symlinkSync(outside, join(chroot, "var/cache/apk"));
  mkdirSync(join(chroot, "keys"));
  for (const name of readdirSync(keys)) copyFileSync(join(keys, name), join(chroot, "keys", name));
  repository("inside", await make("inside", "honest"));
  const inside = { chroot, repositories: [`${base}/inside`], keysDir: "/keys", cacheDir: "/var/cache/apk" };
  const done = await call({ target: inside, do: "predownload", args: ["add", "honest"] });
  assert.equal(done.problem, undefined);
  assert.ok((done.bytes ?? 0) > 0);
  assert.ok(!existsSync(outside), "nothing was made on the host");
  assert.ok(readdirSync(join(chroot, outside)).some((name) => name.startsWith("honest-1.0-r0.")));
});

test("a generation with keys of its own trusts no key that ships with firn", { skip }, async () => {
  const own = folder("own-keys");
  const into = join(work, "assembled");
  assert.equal((await call({ keys: { into, from: [own] } })).keys?.length, 5, "none of its own: Alpine's");
  copyFileSync(join(keys, "fixture.rsa.pub"), join(own, "fixture.rsa.pub"));
  assert.deepEqual((await call({ keys: { into, from: [own] } })).keys, ["fixture.rsa.pub"]);
  const given = folder("given-keys");
  copyFileSync(join(keys, "forger.rsa.pub"), join(given, "forger.rsa.pub"));
  const both = await call({ keys: { into, from: [own], keysDir: given } });
  assert.deepEqual(both.keys, ["fixture.rsa.pub", "forger.rsa.pub"]);
});

test("an installed system needs the keys that signed its repositories, and is told just those", { skip }, async () => {
  const repositories = [v3191, join(mirror, "extras")];
  const target = { root: emptyRoot("signers"), repositories, keysDir: keys, arch: "x86_64" };
  const { names } = await call({ ...bootstrap([v3191]), target, do: "signers" });
  assert.deepEqual(names, ["alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub", "fixture.rsa.pub"]);
});
