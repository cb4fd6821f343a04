import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { alpineMirror, fixtures, type Fixtures } from "../../fixtures/fixtures.ts";
import { firn, firnBehind } from "../../kit/firn.ts";
import { assertReleased } from "../../kit/left.ts";
import { assertUntouched } from "../../kit/refused.ts";
import { requires } from "../../kit/requires.ts";
import { answer, on, refused } from "../../kit/verbs.ts";
import { assertWhole, has, treeOf } from "../../kit/volume.ts";
import { World } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

describe("a change that cannot be made leaves what boots as it was", { skip }, () => {
  let world: World;
  let image = "";
  let made: Fixtures;
  let slots: string[] = [];
  before(() => {
    world = new World();
  });
  after(() => world[Symbol.dispose]());
  beforeEach(async () => {
    image = await world.image();
    made = await fixtures();
    slots = assertWhole(image).slots;
  });

  /** No draft, no new generation, the same slots, nothing held; and the next change works. */
  async function untouched(): Promise<void> {
    const whole = assertWhole(image);
    assert.deepEqual(whole.slots, slots);
    assert.deepEqual(whole.drafts, []);
    assert.equal(whole.generations.length, 1);
    await assertReleased(image);
    const next = await answer(image, "add", "jq");
    assert.deepEqual(assertWhole(image).slots, [next.generation, slots[0], slots[0], slots[0]]);
    assert.ok(!has(image, "usr/share/firn-test"));
  }

  test("a change needs no openssl program and none of the host’s: an installed Alpine has few", async () => {
    const hide = ["openssl", "wget", "curl"].map(
      (name) => `for file in /bin/${name} /usr/bin/${name}; do [ ! -e $file ] || mount --bind /dev/null $file; done`,
    );
    const ran = await firnBehind(hide.join("\n"), ["add", "jq", "--volume", image]);
    assert.equal(ran.status, 0, ran.stderr);
    assert.ok(has(image, "usr/bin/jq"));
  });

  test("a post-install script that fails: E_PACKAGE_SCRIPT with what it said", async () => {
    const error = await refused("E_PACKAGE_SCRIPT", image, "add", ...sources(), "firn-test-failing-script");
    assert.match(error.message, /firn-test-failing-script.*post-install/);
    assert.match(error.message, /this script fails on purpose/);
    await untouched();
  });

  test("a pre-install script that fails, which apk installs all the same", async () => {
    await refused("E_PACKAGE_SCRIPT", image, "add", ...sources(), "firn-test-failing-pre-install");
    await untouched();
  });

  test("a package that no repository has: E_PACKAGE_MISSING with near names, before a draft is opened", async () => {
    const before = treeOf(image, "snapshots");
    const error = await refused("E_PACKAGE_MISSING", image, "add", "jqq", "zsdt");
    assert.match(error.message, /jqq/);
    assert.match(error.hint ?? "", /jqq: perhaps.*\bjq\b/);
    assert.match(error.hint ?? "", /zsdt: perhaps.*\bzstd\b/);
    assert.equal(treeOf(image, "snapshots"), before);
    await untouched();
  });

  test("an index whose key is not trusted: E_SIGNATURE", async () => {
    const error = await refused("E_SIGNATURE", image, "add", "-X", made.badsig, "firn-test-badsig");
    assert.match(error.message, new RegExp(made.badsig));
    await refused("E_SIGNATURE", image, "upgrade", "-X", made.badsig);
    await untouched();
  });

  test("a package that is not the one of the signed index, or is damaged: E_SIGNATURE", async () => {
    const from = ["-X", made.tampered, "--keys-dir", made.keysDir];
    await refused("E_SIGNATURE", image, "add", ...from, "firn-test-swapped");
    await refused("E_SIGNATURE", image, "add", ...from, "firn-test-damaged");
    await untouched();
  });

  test("a repository folder or key folder that is not there, or holds no index", async () => {
    await refused("E_MIRROR", image, "upgrade", "-X", "/no/such/folder");
    await refused("E_MIRROR", image, "upgrade", "-X", join(alpineMirror, "keys"));
    await refused("E_SIGNATURE", image, "add", "jq", "--keys-dir", "/no/such/keys");
    await refused("E_SIGNATURE", image, "add", "jq", "--keys-dir", "/var/empty");
    await untouched();
  });

  test("a release that is none, and one that no repository names", async () => {
    await refused("E_USAGE", image, "upgrade", "--release", "bookworm");
    const ran = await firn(["upgrade", "--volume", image, "--release", "v3.99"], { lend: false });
    assertUntouched(ran, { code: "E_MIRROR", message: /names a release/, hint: /-X/ });
    await untouched();
  });

  test("packages that exclude each other, and what is no volume", async () => {
    await refused("E_PACKAGE_CONFLICT", image, "add", "!busybox");
    await refused("E_DISK_MISSING", `${image}.not`, "add", "jq");
    await refused("E_NOT_A_VOLUME", join(alpineMirror, "README.md"), "add", "jq");
    await refused("E_NOT_A_VOLUME", alpineMirror, "list");
    await untouched();
  });

  test("what has no end is not read to it, and what would wait is not opened", { timeout: 20_000 }, async () => {
    const pipe = `${image}.pipe`;
    execFileSync("mkfifo", [pipe]);
    await refused("E_NOT_A_VOLUME", pipe, "list");
    await refused("E_NOT_A_VOLUME", pipe, "add", "jq");
    const endless = await firn(["image", `${image}.new`, "--config", "/dev/zero", "--size", "1G"]);
    assert.match(endless.stderr, /^E_FILE: read \/dev\/zero: File too large/);
    await untouched();
  });

  test("firn.toml that is wrong is named with its line, and readers still work", async () => {
    await on(
      image,
      "run",
      "--",
      "sh",
      "-c",
      "mkdir -p /etc/firn; echo '[retention]\nkeep-cont = 3' > /etc/firn/firn.toml",
    );
    const error = await refused("E_CONFIG_KEY", image, "add", "jq");
    assert.match(error.message, /keep-cont/);
    await on(image, "list");
    await on(image, "rollback");
    await on(image, "add", "jq");
  });

  function sources(): string[] {
    return ["-X", made.v1, "--keys-dir", made.keysDir];
  }
});
