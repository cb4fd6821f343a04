/** What apk is asked is what a person asked for: packages and no options, and nothing older unless it was meant. */
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { alpineMirror, fixtures } from "../../fixtures/fixtures.ts";
import { requires } from "../../kit/requires.ts";
import { answer, attempt, current, on, refused } from "../../kit/verbs.ts";
import { assertWhole, fileIn } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

describe("what apk is asked", { skip: requires("root", "loop", "mirror") }, () => {
  const world = ownWorld();

  test("an option among the packages is refused and never reaches apk, with or without --", async () => {
    const image = await world.image();
    const { badsig } = await fixtures();
    const before = await current(image);
    const ran = await attempt(image, "add", "--", "--allow-untrusted", "-X", badsig, "firn-test-badsig");
    assert.equal(ran.status, 2, ran.stderr);
    assert.match(ran.stderr, /^E_USAGE: firn add: "--allow-untrusted" looks like an option of apk/m);
    await refused("E_USAGE", image, "del", "jq", "--", "--no-scripts");
    assert.equal(await current(image), before);
    assert.deepEqual(assertWhole(image).drafts, []);
  });

  test("what apk's world allows is taken: bounds, checks of a name, things provided", async () => {
    const image = await world.image();
    const spelled = ["jq>1.2", "zstd~1.5", "!nano", "so:libc.musl-x86_64.so.1", "cmd:[", "/bin/sh"];
    await on(image, "add", ...spelled);
    const lines = fileIn(image, "etc/apk/world").split("\n");
    for (const word of spelled) assert.ok(lines.includes(word), word);
    await on(image, "del", "jq", "cmd:[");
  });

  test("packages become older only when that was asked for: by a flag, a version or an older release", async () => {
    const image = await world.image();
    const { v1, v2, keysDir } = await fixtures();
    const [older, newer] = ["v3.19.1", "v3.19.4"].map((name) => ["-X", join(alpineMirror, name)]) as [
      string[],
      string[],
    ];
    await on(image, "upgrade", ...newer);
    const back = ["upgrade", ...older, "--release"] as const;
    const { message, hint } = await refused("E_DOWNGRADE", image, ...back, "v3.19");
    assert.match(message, /alpine-base 3\.19\.4-r0 -> 3\.19\.1-r0/);
    assert.match(hint ?? "", /--allow-downgrade/);
    assert.deepEqual(assertWhole(image).drafts, []);
    assert.equal((await answer(image, ...back, "v3.19", "--allow-downgrade")).release, "3.19.1");

    await on(image, "upgrade", ...newer);
    const ofRelease = join(world.folder, "v3.18/main");
    cpSync(v1, ofRelease, { recursive: true });
    const ran = await on(image, ...back, "v3.18", "-X", ofRelease, "--keys-dir", keysDir);
    assert.match(ran.stderr, /v3\.18 is older than 3\.19\.4: packages become older/);

    const flags = ["--keys-dir", keysDir, "-X"];
    await on(image, "add", ...flags, v2, "firn-test-conf");
    assert.match(fileIn(image, "lib/apk/db/installed"), /P:firn-test-conf\nV:2-r0/);
    await on(image, "add", ...flags, v1, "firn-test-conf=1-r0");
    assert.match(fileIn(image, "lib/apk/db/installed"), /P:firn-test-conf\nV:1-r0/);
  });
});
