/** What an image names is the image's: its folders, keys and files are looked for in it, never on the host. */
import assert from "node:assert/strict";
import { copyFileSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { buildPackage } from "../../../scripts/apk/package.ts";
import { createKey } from "../../../scripts/apk/sign.ts";
import { alpineMirror, fixtures } from "../../fixtures/fixtures.ts";
import { firn, type Ran } from "../../kit/firn.ts";
import { assertUntouched } from "../../kit/refused.ts";
import { requires } from "../../kit/requires.ts";
import { answer, on, succeeded } from "../../kit/verbs.ts";
import { assertWhole, fileIn, has, mounted } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const extras = join(alpineMirror, "extras");

describe("what a system's own files name", { skip: requires("root", "loop", "mirror") }, () => {
  const world = ownWorld();
  /** As a person types it, without the repositories that the kit lends. */
  const plain = (image: string, verb: string, ...words: string[]): Promise<Ran> =>
    firn([verb, "--volume", image, ...words], { lend: false });
  const edit = (image: string, script: string): Promise<Ran> => on(image, "run", "--", "sh", "-c", script);

  /** An image with the packages of extras in its own /srv/apks. */
  async function stocked(): Promise<string> {
    const image = await world.image();
    const into = (top: string): void => cpSync(extras, `${top}/commons/@srv/apks`, { recursive: true });
    mounted(image, into, "rw");
    return image;
  }

  test("a folder that an image names is read in the image, and not on the host", async () => {
    const image = await stocked();
    const ran = await plain(image, "add", "jq");
    assertUntouched(ran, { code: "E_MIRROR", message: /Every repository is passed over/, hint: /-X/ });
    assert.ok(ran.stderr.includes(`${extras}, which /etc/apk/repositories names, is passed over`), ran.stderr);
    assert.match(ran.stderr, /a folder of this machine is named with -X/);
    await edit(image, "echo file:///srv/apks > /etc/apk/repositories");
    const { changes } = JSON.parse(succeeded(await plain(image, "add", "--json", "jq")).stdout) as {
      changes: { name: string }[];
    };
    assert.deepEqual(changes.map(({ name }) => name).sort(), ["jq", "oniguruma"]);
  });

  test("a medium that is not in the drive is passed over with a note, and stops no upgrade", async () => {
    const image = await stocked();
    await edit(image, 'printf "/media/cdrom/apks\\n/srv/apks\\n" > /etc/apk/repositories');
    const ran = succeeded(await plain(image, "add", "jq"));
    assert.match(ran.stderr, /\/media\/cdrom\/apks, which \/etc\/apk\/repositories names, is passed over/);
    assert.match(succeeded(await plain(image, "upgrade")).stdout, /Nothing changed/);
    succeeded(await plain(image, "del", "jq"));
    const given = await plain(image, "add", "-X", "/media/nonesuch", "jq");
    assertUntouched(given, { code: "E_MIRROR", message: /\/media\/nonesuch is not there/ });
  });

  test("repositories.d is read as the system's own apk reads it, and so is firn.toml", async () => {
    const image = await stocked();
    const folder = "/etc/apk/repositories.d";
    await edit(image, `: > /etc/apk/repositories; mkdir ${folder}; echo /srv/apks > ${folder}/a.txt`);
    assert.equal((await plain(image, "add", "jq")).status, 35);
    await edit(image, `mv ${folder}/a.txt ${folder}/a.list`);
    succeeded(await plain(image, "add", "jq"));
    await edit(image, `rm -r ${folder}; printf '[upgrade]\\nrepositories = ["/srv/apks"]\\n' > /etc/firn/firn.toml`);
    succeeded(await plain(image, "add", "zstd", "libgcc", "-X", join(alpineMirror, "v3.19.1")));
  });

  test("a key that is a symlink leads where it leads inside", async () => {
    const image = await stocked();
    const key = "/etc/apk/keys/fixture.rsa.pub";
    await edit(
      image,
      `echo /srv/apks > /etc/apk/repositories; mv ${key} /srv/key; ln -s ${alpineMirror}/keys/fixture.rsa.pub ${key}`,
    );
    const refused = { code: "E_SIGNATURE", message: /\/srv\/apks.*not trusted/, hint: /--keys-dir/ } as const;
    assertUntouched(await plain(image, "add", "jq"), refused);
    await edit(image, `ln -sf /srv/key ${key}`);
    succeeded(await plain(image, "add", "jq"));
  });

  test("a package in a file of the host is installed, and what it needs comes from the repositories", async () => {
    const image = await world.image();
    const file = join(extras, "x86_64/jq-1.7.1-r0.apk");
    copyFileSync(file, join(world.folder, "--a file\n.apk"));
    const args = ["add", "--volume", image, "-X", extras, "--", "./--a file\n.apk"];
    succeeded(await firn(args, { cwd: world.folder, lend: false }));
    assert.ok(has(image, "usr/bin/jq"));
    assert.match(fileIn(image, "etc/apk/world"), /^jq><Q1/m);
    succeeded(await plain(image, "upgrade", "-X", extras));
    const { changes } = await answer(image, "del", "jq");
    assert.deepEqual(changes.map(({ name }) => name).sort(), ["jq", "oniguruma"]);
  });

  test("a file that is no package, or is signed by nobody known, is refused by its own name", async () => {
    const image = await world.image();
    const { tampered } = await fixtures();
    const folder = join(world.folder, "files");
    mkdirSync(join(folder, "folder.apk"), { recursive: true });
    const blank = await plain(image, "upgrade", "-X", "http://a.example/one http://a.example/two");
    assertUntouched(blank, { code: "E_USAGE", message: /^-X .*no blanks/, hint: /Repeat -X/ });
    const garbage = join(folder, "garbage.apk");
    writeFileSync(garbage, "hello");
    const newer = join(tampered, "x86_64/firn-test-damaged-1-r0.apk");
    for (const [file, code, message] of [
      [garbage, "E_SIGNATURE", /garbage\.apk: this is no package/],
      [join(folder, "nonesuch.apk"), "E_FILE", /nonesuch\.apk: there is no such file/],
      [folder.replace(/files$/, "files.apk"), "E_FILE", /files\.apk: there is no such file/],
      [join(folder, "folder.apk"), "E_FILE", /folder\.apk: this is no file/],
      [await fromStranger(folder), "E_SIGNATURE", /strange-1\.0-r0\.apk: .*not signed with a key/],
      [newer, "E_SIGNATURE", /firn-test-damaged-1-r0\.apk: .*crashes when it checks this signature/],
    ] as const)
      assertUntouched(await plain(image, "add", "-X", extras, file), { code, message });
    assert.deepEqual(assertWhole(image).drafts, []);
  });

  test("apk 3's own places for repositories are read, and its options allow nothing that nobody signed", async () => {
    const image = await stocked();
    const { badsig } = await fixtures();
    const keys = ["--keys-dir", join(alpineMirror, "keys")];
    await on(image, "upgrade", "-X", join(alpineMirror, "v3.23.3"), ...keys);
    const folder = "/lib/apk/repositories.d";
    await edit(
      image,
      `: >/etc/apk/repositories; mkdir -p ${folder}; echo /srv/apks >${folder}/own.list; echo allow-untrusted >/etc/apk/config`,
    );
    succeeded(await plain(image, "add", "jq"));
    const ran = await plain(image, "add", "-X", badsig, "firn-test-badsig");
    assertUntouched(ran, { code: "E_SIGNATURE", message: /badsig.*not trusted/, hint: /--keys-dir/ });
    const given = await plain(image, "add", await fromStranger(world.folder));
    assertUntouched(given, { code: "E_SIGNATURE", message: /strange-1\.0-r0\.apk: .*not signed with a key/ });
  });
});

/** A package that is signed in the way that every apk can check, with a key that nobody trusts. */
async function fromStranger(folder: string): Promise<string> {
  const signer = createKey(join(folder, "stranger"), "stranger", { bits: 2048, scheme: "RSA" });
  const spec = { name: "strange", version: "1.0-r0", description: "Of a stranger", entries: [] };
  return join(folder, (await buildPackage(spec, folder, signer)).file);
}
