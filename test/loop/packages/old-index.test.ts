/** What was once true and is signed is no longer taken for true: indexes of long ago, and of other releases. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { alpineMirror, fixtures } from "../../fixtures/fixtures.ts";
import { firn } from "../../kit/firn.ts";
import { machineFlags } from "../../kit/image.ts";
import { assertNoImage, assertRefused, assertUntouched } from "../../kit/refused.ts";
import { requires } from "../../kit/requires.ts";
import { answer, on, refused, run, succeeded } from "../../kit/verbs.ts";
import { assertWhole, mounted } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

/** The index of extras is of 2026, that of 3.19.1 of 2023; both are signed by keys that the images trust. */
const [newer, older] = ["extras", "v3.19.1"] as const;

describe("indexes that were true once", { skip: requires("root", "loop", "mirror") }, () => {
  const world = ownWorld();
  let server: Server;
  let url = "";
  let served: string = newer;
  /** After how many more answers with an index the older one comes. */
  let turnsAfter = Infinity;

  before(async () => {
    server = createServer((request, response) => {
      if (request.url?.includes("APKINDEX") === true && turnsAfter-- <= 0) served = older;
      const file = join(alpineMirror, served, (request.url ?? "").replace("/any", ""));
      if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) return response.writeHead(404).end();
      const bytes = readFileSync(file);
      return response.writeHead(200, { "content-length": bytes.length }).end(bytes);
    });
    await new Promise<void>((go) => server.listen(0, "127.0.0.1", go));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/any`;
  });
  after(() => server.close());

  /** A folder of this name whose index and packages are those of a folder of the mirror. */
  function laid(name: string, from: string): string {
    const folder = join(world.folder, name);
    mkdirSync(folder, { recursive: true });
    cpSync(join(alpineMirror, from, "x86_64"), join(folder, "x86_64"), { recursive: true, force: true });
    return folder;
  }

  test("a mirror that offers an older index than it did before is refused, until that is meant", async () => {
    const image = await world.image();
    served = newer;
    succeeded(await run(image, "add", "-X", url, "jq"));
    const noted = await answer<{ indexes: Record<string, number> }>(image, "show", "current");
    assert.ok((noted.indexes[url] ?? 0) > Date.parse("2026-11-22T00:00:00Z") / 1000);
    // What needs no packages passes it on.
    await on(image, "run", "--", "touch", "/etc/one");
    served = older;
    const ran = await run(image, "add", "-X", url, "chrony");
    assertUntouched(ran, {
      code: "E_INDEX_OLD",
      message: /\/any: .*2023-12-27 12:33 UTC, older .*2026-11-22/,
      hint: /later/,
    });
    assert.deepEqual(assertWhole(image).drafts, []);
    // Back on a generation from before, the older index is no newer.
    await on(image, "rollback");
    assert.equal((await run(image, "upgrade", "-X", url, "--dry-run")).status, 65);
    succeeded(await run(image, "add", "-X", url, "--allow-downgrade", "chrony"));
    succeeded(await run(image, "add", "-X", url, "git"));
  });

  test("a mirror that turns to an older index between forecast and change is refused as well", async () => {
    const image = await world.image();
    served = "v3.19.4";
    succeeded(await run(image, "add", "-X", url, "chrony"));
    await on(image, "run", "--", "sh", "-c", "rm -f /var/cache/apk/*; touch /etc/one");
    turnsAfter = 1;
    const ran = await run(image, "upgrade", "-X", url);
    turnsAfter = Infinity;
    assert.equal(served, older);
    assertUntouched(ran, { code: "E_INDEX_OLD", message: /\/any: .*2023-12-27 12:33 UTC/ });
    assert.deepEqual(assertWhole(image).drafts, []);
  });

  test("so is one that turns when all was fetched, and the draft is gone", async () => {
    const image = await world.image();
    served = "v3.19.4";
    succeeded(await run(image, "add", "-X", url, "chrony"));
    // Where nothing can be kept in the cache, apk asks the mirror anew.
    const cacheOf = (top: string): string => `${top}/commons/@var@cache/apk`;
    mounted(image, (top) => execFileSync("chattr", ["+i", cacheOf(top)]), "rw");
    turnsAfter = 2;
    const ran = await run(image, "upgrade", "-X", url);
    turnsAfter = Infinity;
    assert.equal(served, older);
    assertRefused(ran, { code: "E_INDEX_OLD", message: /\/any: .*2023-12-27 12:33 UTC/ });
    assert.match(ran.stderr, /The draft was discarded/);
    assert.deepEqual(assertWhole(image).drafts, []);
  });

  test("so is a folder, and one whose index a system was installed from", async () => {
    const image = await world.image();
    const folder = laid("stick", newer);
    await on(image, "add", "-X", folder, "jq");
    laid("stick", older);
    const { message } = await refused("E_INDEX_OLD", image, "add", "-X", folder, "chrony");
    assert.ok(message.startsWith(`${folder}: `), message);
    const { indexes } = await answer<{ indexes: Record<string, number> }>(image, "show", (await first(image)) ?? "");
    assert.equal(indexes[join(alpineMirror, "v3.19.1")], Date.parse("2023-12-27T12:33:10Z") / 1000);
  });

  test("another release's index under a release's name is refused, at an upgrade and at an installation", async () => {
    const image = await world.image();
    const { keysDir } = await fixtures();
    for (const [release, told] of [
      ["v3.19.1", "v3.19"],
      ["v20240923", "v20240923"],
    ] as const) {
      const folder = laid(`${release}/v3.20/main`, release);
      const words = ["-X", folder, "--keys-dir", keysDir, "--release", "v3.20", "--allow-downgrade"];
      const { message } = await refused("E_INDEX_RELEASE", image, "upgrade", ...words);
      assert.ok(message.startsWith(`${folder}: `) && message.includes("not v3.20"), message);
      assert.ok(message.includes(told.replace("v3.19", "3.19")), message);
    }
    for (const release of ["v3.99", "v3.20"]) {
      const words = ["-X", laid("unrelated", newer), "--release", release];
      const { message } = await refused("E_MIRROR", image, "upgrade", ...words);
      assert.match(message, new RegExp(`No repository is of release ${release}`));
    }
    const right = laid("right/v3.20/main", "v3.20.3");
    await on(image, "upgrade", "-X", right, "--keys-dir", keysDir, "--release", "v3.20", "--dry-run");

    const wrong = laid("wrong/v3.20/main", "v3.19.4");
    const made = join(world.folder, "made.img");
    const ran = await firn(["image", made, "--size", "1G", "-X", wrong, ...(await machineFlags())]);
    assertUntouched(ran, { code: "E_INDEX_RELEASE", message: /wrong\/v3\.20\/main: .*v3\.19, not v3\.20/ });
    assertNoImage(made);
  });
});

async function first(image: string): Promise<string | undefined> {
  const { generations } = await answer<{ generations: { id: string }[] }>(image, "list");
  return generations[0]?.id;
}
