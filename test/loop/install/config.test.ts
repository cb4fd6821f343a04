import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { buildPackages } from "../../../scripts/package.ts";
import { alpineMirror, fixtures } from "../../fixtures/fixtures.ts";
import { withVolume } from "../../kit/disk.ts";
import { firn, firnBinary } from "../../kit/firn.ts";
import { requires } from "../../kit/requires.ts";
import { workFolder } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

interface Schema {
  $schema?: string;
  type?: string;
  description?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: boolean;
  items?: Schema;
  anyOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
}

/** Counts the values that a schema describes; each must say what it takes. */
function leaves(schema: Schema, where: string): number {
  if (schema.properties !== undefined) {
    assert.equal(schema.type, "object", where);
    return Object.entries(schema.properties).reduce((sum, [key, one]) => sum + leaves(one, `${where}.${key}`), 0);
  }
  if (schema.items !== undefined) {
    assert.equal(schema.type, "array", where);
    return leaves(schema.items, `${where}[]`);
  }
  if (schema.anyOf !== undefined) return schema.anyOf.reduce((sum, one) => sum + leaves(one, where), 0);
  const known = ["string", "number", "integer", "boolean"].includes(schema.type ?? "");
  assert.ok(known || schema.enum !== undefined || schema.const !== undefined, `${where}: ${JSON.stringify(schema)}`);
  return 1;
}

describe("firn config", { skip }, () => {
  const work = workFolder("config");

  it("firn config --schema is a JSON schema whose every part can be read", async () => {
    for (const more of [[], ["--firn"]]) {
      const { status, stdout } = await firn(["config", "--schema", ...more]);
      assert.equal(status, 0);
      const schema = JSON.parse(stdout) as Schema;
      assert.match(schema.$schema ?? "", /^https?:\/\/json-schema\.org\/draft/);
      assert.equal(schema.additionalProperties, false);
      assert.ok(leaves(schema, "") > 5);
    }
  });

  it("firn's own example installs; with firn's package on the mirror the system gets it by apk, not as a copy", async () => {
    const stand = await fixtures();
    const repositories = [join(alpineMirror, "v3.19.1"), join(alpineMirror, "extras"), stand.v1];
    const program = readFileSync(await firnBinary());
    const packages = await buildPackages({ binary: await firnBinary() });
    const keys = join(work, "keys");
    mkdirSync(keys);
    for (const folder of [stand.keysDir, packages.keysDir])
      for (const name of readdirSync(folder)) copyFileSync(join(folder, name), join(keys, name));
    const example = join(work, "example.toml");
    writeFileSync(example, (await firn(["config", "--example"])).stdout);
    const image = join(work, "packaged.img");
    const all = [...repositories, packages.repository].flatMap((one) => ["-X", one]);
    const over = [...all, "--keys-dir", keys, "--flavor", "virt", "--size", "1G"];
    const made = await firn(["image", image, "--config", example, ...over]);
    assert.equal(made.status, 0, made.stderr);
    assert.match(made.stderr, /Installing firn-openrc \(/);
    withVolume(image, work, (top) => {
      const root = join(top, "current/0/@");
      assert.match(readFileSync(join(root, "lib/apk/db/installed"), "utf8"), /^P:firn$/m);
      assert.match(readFileSync(join(root, "etc/apk/world"), "utf8"), /^firn$/m);
      assert.deepEqual(readFileSync(join(root, "usr/sbin/firn")), program);
      assert.ok(readdirSync(join(root, "etc/runlevels/default")).includes("firn"));
      assert.deepEqual(readdirSync(join(root, "etc/firn")), ["firn.toml"]);
    });
    assert.match(made.stdout, /Log in: nobody can\.\nNot set: no way to log in/);
  });
});
