import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createReadStream, existsSync, readdirSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { alpineMirror, fixtures } from "../../fixtures/fixtures.ts";
import { assertReleased } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { answer, current, list, on, run, succeeded, type ListedGeneration } from "../../kit/verbs.ts";
import { assertWhole, fileIn, has, mounted } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

/** What apk itself says is installed in slot 0, `name-version` a line, sorted. */
function installed(image: string): string[] {
  return mounted(image, (top) =>
    execFileSync("chroot", [`${top}/current/0/@`, "/sbin/apk", "info", "-v"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    })
      .trim()
      .split("\n")
      .sort(),
  );
}

/** `name-version` of every package in a folder of the mirror. */
function offered(release: string): string[] {
  return readdirSync(join(alpineMirror, release, "x86_64")).flatMap((name) => /^(.+)\.apk$/.exec(name)?.[1] ?? []);
}

describe("upgrades with the real packages", { skip }, () => {
  const world = ownWorld();

  test("3.19.1 becomes 3.19.4, and that 3.20.3; each generation has exactly the packages that apk says", async () => {
    const image = await world.image();
    const { keysDir } = await fixtures();
    const [first, original] = [await current(image), installed(image)];
    const more = (release: string): string[] => ["-X", join(alpineMirror, release)];
    const keys = ["--keys-dir", keysDir];

    const minor = await answer(image, "upgrade", ...more("v3.19.4"), ...keys);
    assert.equal(minor.release, "3.19.4");
    const now = installed(image);
    assert.ok(
      offered("v3.19.4").every((name) => now.includes(name)),
      "not every 3.19.4 package is in",
    );
    assert.ok(minor.changes.some(({ name, kind }) => name === "apk-tools" && kind === "upgraded"));
    assert.equal(now.length, original.length);

    const release = await answer(
      image,
      "upgrade",
      ...more("v3.19.4"),
      ...more("v3.20.3"),
      ...keys,
      "--release",
      "v3.20",
    );
    assert.equal(release.release, "3.20.3");
    assert.equal(release.command, "firn upgrade --release v3.20");
    const last = installed(image);
    assert.ok(
      offered("v3.20.3").every((name) => last.includes(name)),
      "not every 3.20.3 package is in",
    );
    assert.match(fileIn(image, "etc/alpine-release"), /^3\.20\.3/);

    // What firn wrote down is what lies between apk's own lists.
    const gone = now.filter((line) => !last.includes(line)).length;
    assert.equal(release.changes.filter(({ kind }) => kind !== "added" && kind !== "replaced").length, gone);
    const { generations } = await list(image);
    assert.deepEqual(
      generations.map((one) => one.release.slice(0, 6)),
      ["3.19.1", "3.19.4", "3.20.3"],
    );
    assert.deepEqual(assertWhole(image).slots, [release.generation, minor.generation, first, first]);

    await on(image, "rollback", first);
    assert.deepEqual(installed(image), original);
    assert.match(fileIn(image, "etc/alpine-release"), /^3\.19\.1/);
    await assertReleased(image);
  });

  test("a new kernel comes with its modules and initramfs; an edited configuration file stays and is listed", async () => {
    const image = await world.image();
    const { v1, v2, keysDir, kernels } = await fixtures();
    await on(image, "add", "-X", v1, "--keys-dir", keysDir, "firn-test-conf");
    await on(image, "run", "--", "sh", "-c", "echo port = 1 >> /etc/firn-test.conf");
    const ran = await on(image, "upgrade", "-X", v2, "--keys-dir", keysDir);

    assert.match(ran.stdout, /firn edit[^]*\/etc\/firn-test\.conf\.apk-new/);
    assert.match(fileIn(image, "etc/firn-test.conf"), /version = 1[^]*port = 1\n/);
    assert.match(fileIn(image, "etc/firn-test.conf.apk-new"), /version = 2/);
    assert.match((await on(image, "show")).stdout, /to merge: \/etc\/firn-test\.conf\.apk-new/);
    const shown = await answer<ListedGeneration>(image, "show", "current");
    assert.deepEqual(shown.conflicts, ["/etc/firn-test.conf.apk-new"]);

    assert.equal(shown.kernel, kernels.v2.release);
    assert.ok(has(image, `lib/modules/${kernels.v2.release}`) && !has(image, `lib/modules/${kernels.v1.release}`));
    assert.equal((await list(image)).generations[0]?.kernel, kernels.v1.release);
    assertWhole(image);
  });

  test("--save keeps -X and --keys-dir for all generations after it; without it they are for one run", async () => {
    const image = await world.image();
    const { keysDir } = await fixtures();
    using server = await served();
    const repository = `${server.url}/v3.19.4`;
    const flags = ["-X", repository, "--keys-dir", keysDir];
    const times = (): number =>
      fileIn(image, "etc/apk/repositories")
        .split("\n")
        .filter((line) => line === repository).length;
    succeeded(await run(image, "add", ...flags, "jq"));
    assert.equal(times(), 0);
    succeeded(await run(image, "add", ...flags, "--save", "zstd"));
    assert.equal(times(), 1);
    assert.ok(has(image, "etc/apk/keys/fixture.rsa.pub"));
    succeeded(await run(image, "upgrade"));
    assert.match(fileIn(image, "etc/alpine-release"), /^3\.19\.4/);
    succeeded(await run(image, "add", ...flags, "--save", "git"));
    assert.equal(times(), 1);
  });

  test("packages of an http mirror are fetched before the draft is opened, once, into the shared cache", async () => {
    const image = await world.image();
    const { keysDir } = await fixtures();
    using server = await served();
    const url = `${server.url}/v3.19.4`;
    const packages = (): string[] => server.requests.filter((path) => path.endsWith(".apk"));
    const ran = succeeded(await run(image, "upgrade", "-X", url, "--keys-dir", keysDir));
    const fetched = packages().length;
    assert.ok(fetched === 9, `${fetched} packages were fetched`);
    const lines = ran.stderr.split("\n");
    const fetching = lines.findIndex((line) => /^\[\d+\/\d+\] Fetch /.test(line));
    const opened = lines.findIndex((line) => /^\[\d+\/\d+\] Open draft/.test(line));
    assert.ok(fetching >= 0 && fetching < opened, ran.stderr);
    const cache = mounted(image, (top) => readdirSync(`${top}/commons/@var@cache/apk`));
    assert.equal(cache.filter((name) => name.endsWith(".apk")).length, fetched);
    // Back, and forward again: the packages are there.
    await on(image, "rollback");
    succeeded(await run(image, "upgrade", "-X", url, "--keys-dir", keysDir));
    assert.equal(packages().length, fetched);
    assert.match(fileIn(image, "etc/alpine-release"), /^3\.19\.4/);
  });

  test("an http mirror that is gone is an error before a draft is opened", async () => {
    const image = await world.image();
    const server = createServer();
    await listening(server);
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const ran = await run(image, "upgrade", "-X", `http://127.0.0.1:${port}/v3.19.4`);
    assert.match(ran.stderr, /^E_MIRROR: /m);
    assert.doesNotMatch(ran.stderr, /Open draft/);
    assert.deepEqual(assertWhole(image).drafts, []);
  });
});

interface Served extends Disposable {
  readonly url: string;
  readonly requests: readonly string[];
}

/** The mirror of real packages over HTTP. */
async function served(): Promise<Served> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = join(alpineMirror, request.url ?? "");
    requests.push(request.url ?? "");
    if (!existsSync(path)) {
      response.writeHead(404).end();
      return;
    }
    // A length, not chunks: libfetch asks again for what follows a chunked answer on the same connection.
    createReadStream(path).pipe(response.writeHead(200, { "content-length": statSync(path).size }));
  });
  await listening(server);
  const end = (): void => {
    server.closeAllConnections();
    server.close();
  };
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, requests, [Symbol.dispose]: end };
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
}
