/**
 * The port to the package manager: a new root is filled, then changed from within; a dry run writes nothing, in the
 * caches neither.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { packageList } from "../../../src/model/packages/database.ts";
import type { PackageWish, SourceWish } from "../../../src/model/packages/wish.ts";
import {
  call,
  close,
  folder,
  keys,
  mirror,
  open,
  refused,
  requested,
  skip,
  url,
  v3191,
} from "../../kit/probes/apk-world.ts";
import type { Call } from "../../kit/probes/apk-probe.ts";

/** Names, sizes and times in a folder. */
function contents(path: string): string[] {
  if (!existsSync(path)) return [];
  return readdirSync(path).map((name) => {
    const { size, mtimeMs } = statSync(join(path, name));
    return `${name} ${size} ${mtimeMs}`;
  });
}

describe("packages through the port", { skip }, () => {
  let root = "";
  before(async () => {
    await open();
    root = folder("system");
  });
  after(close);

  const supply = (more: Partial<NonNullable<Call["supply"]>>): Call => ({
    supply: { repositories: [v3191], keysDir: keys, arch: "x86_64", dryRun: true, packages: ["alpine-base"], ...more },
  });

  test("a dry run over the network leaves the host's cache as it is", async () => {
    const cache = folder("host-cache");
    const { simulation, list, problem } = await call(
      supply({ repositories: [`${url}/v3.19.1`], look: "kbd-bkeymaps", packages: ["alpine-base"] }),
      cache,
    );
    assert.equal(problem, undefined);
    assert.ok((simulation?.changes.length ?? 0) > 20);
    assert.ok(list?.some((path) => path.endsWith(".bmap.gz")));
    assert.deepEqual(readdirSync(cache), []);
  });

  test("a filled root names its repositories, and trusts the keys given and no other of the host's", async () => {
    const { problem, simulation, names } = await call(supply({ packages: ["alpine-base", "nonesuch"], fill: root }));
    assert.equal(problem?.code, "E_PACKAGE_MISSING");
    assert.deepEqual(readdirSync(root), []);
    assert.deepEqual([simulation, names], [undefined, undefined]);
    assert.equal((await call(supply({ fill: root }))).problem, undefined);
    assert.equal(readFileSync(join(root, "etc/apk/repositories"), "utf8"), `${v3191}\n`);
    const own = readdirSync(join(root, "etc/apk/keys"));
    for (const name of readdirSync(keys)) assert.ok(own.includes(name), name);
    assert.ok(packageList(readFileSync(join(root, "lib/apk/db/installed"), "utf8")).length > 20);
  });

  const inside = (
    what: NonNullable<Call["inside"]>["do"],
    wish: PackageWish,
    sources: Partial<SourceWish> = {},
  ): Call => ({
    inside: {
      root,
      wish,
      do: what,
      sources: {
        repositories: [`${url}/v3.19.1`],
        keysDir: keys,
        own: { repositories: [] },
        foldersOf: "host",
        save: false,
        allowOlder: false,
        dryRun: false,
        ...sources,
      },
    },
  });
  const cache = (): string[] => contents(join(root, "var/cache/apk"));

  test("a dry run in a root writes nothing into its cache, and knows what lies there", async () => {
    const add: PackageWish = { verb: "add", packages: ["chrony"] };
    const bare: Partial<SourceWish> = { dryRun: true };
    // Only the network has it: the root's own folder would be taken first.
    const text = readFileSync(join(root, "etc/apk/repositories"), "utf8");
    writeFileSync(join(root, "etc/apk/repositories"), "");
    try {
      const empty = cache();
      requested();
      const { simulation, problem } = await call(inside("simulate", add, bare));
      assert.equal(problem, undefined);
      assert.ok((simulation?.downloadBytes ?? 0) > 0);
      assert.deepEqual(cache(), empty);
      assert.deepEqual((await call(inside("fetch", add))).bytes, simulation?.downloadBytes);
      const full = cache();
      assert.ok(full.some((line) => line.startsWith("chrony-")));
      assert.deepEqual((await call(inside("simulate", add, bare))).simulation, { ...simulation, downloadBytes: 0 });
      assert.deepEqual(cache(), full);
    } finally {
      writeFileSync(join(root, "etc/apk/repositories"), text);
    }
  });

  test("a folder that serves as repository is bound into the root, and kept there only on request", async () => {
    const file = join(root, "etc/apk/repositories");
    const add: PackageWish = { verb: "add", packages: ["chrony"] };
    const done = await call(inside("change", add, { repositories: [v3191] }));
    assert.equal(done.problem, undefined);
    assert.match(done.release ?? "", /^3\.19/);
    assert.equal(readFileSync(file, "utf8"), `${v3191}\n`);
    assert.ok(!existsSync(join(root, "run/firn")), "nothing of the binds stays");
    await call(inside("change", { verb: "del", packages: ["chrony"] }, { save: true }));
    assert.equal(readFileSync(file, "utf8"), `${v3191}\n${url}/v3.19.1\n`);
    await refused(inside("simulate", add, { repositories: ["/nonesuch"] }), "E_MIRROR", /\/nonesuch is not there\./);
  });

  test("another release is a switch of the repositories that name one, refused where none does", async () => {
    const upgrade: PackageWish = { verb: "upgrade", packages: [], release: "v3.20" };
    const given = { repositories: [] };
    const file = join(root, "etc/apk/repositories");
    writeFileSync(file, `${url}/main\n`);
    await refused(inside("simulate", upgrade, given), "E_MIRROR", /names a release/, /-X/);
    writeFileSync(file, `${url}/v3.18/main\n`);
    requested();
    await refused(inside("simulate", upgrade, given), "E_MIRROR", /v3\.20\/main/);
    assert.ok(requested().every((path) => path.startsWith("/v3.20/main/")));
    assert.equal(readFileSync(file, "utf8"), `${url}/v3.18/main\n`);
  });

  test("what was foretold newer and comes older is refused once it came, for the root to be thrown away", async () => {
    writeFileSync(join(root, "etc/apk/repositories"), "");
    const upgrade: PackageWish = { verb: "upgrade", packages: [] };
    const newer = await call(inside("change", upgrade, { repositories: [v3191, join(mirror, "v3.19.4")] }));
    assert.equal(newer.problem, undefined);
    assert.match(newer.release ?? "", /^3\.19\.4/);
    const older = inside("change", { ...upgrade, release: "v3.19" }, { repositories: [v3191] });
    await refused(older, "E_DOWNGRADE", /alpine-base 3\.19\.4-r0 -> 3\.19\.1-r0/, /--allow-downgrade/);
  });
});
