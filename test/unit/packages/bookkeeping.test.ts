import assert from "node:assert/strict";
import { test } from "node:test";
import { isBookkeeping, isDatabase, unmerged } from "../../../src/model/packages/bookkeeping.ts";
import { remakesBootFiles } from "../../../src/model/packages/wish.ts";

test("what apk writes in every run is no change, what it writes for one is", () => {
  const kind = "changed";
  for (const folder of ["lib/apk/db", "usr/lib/apk/db"]) {
    for (const path of [
      folder,
      `${folder}/scripts.tar`,
      `${folder}/scripts.tar.gz`,
      `${folder}/triggers`,
      `${folder}/lock`,
    ])
      assert.ok(isBookkeeping({ kind, path, what: () => ["content", "time"] }) && isDatabase(path), path);
    assert.ok(!isBookkeeping({ kind, path: `${folder}/installed`, what: () => ["content", "time"] }));
    assert.ok(isBookkeeping({ kind, path: `${folder}/installed`, what: () => ["time"] }));
    assert.ok(isDatabase(`${folder}/installed`));
  }
  for (const path of ["lib/apk", "lib/apk/db-old", "srv/lib/apk/db", "lib/apk/db/lock/x", "etc/apk/world"])
    assert.ok(!isBookkeeping({ kind, path, what: () => ["content"] }), path);
  assert.ok(isBookkeeping({ kind, path: "etc/apk/world", what: () => ["time"] }));
  assert.ok(!isBookkeeping({ kind, path: "etc/apk/world", what: () => ["mode"] }));
  assert.ok(!isBookkeeping({ kind, path: "etc/passwd", what: () => [] }));
  for (const path of ["lib/apk", "lib/apk/db-old", "srv/lib/apk/db"]) assert.ok(!isDatabase(path), path);
  for (const path of ["lib/apk/db/installed", "lib/apk/db/triggers", "etc/apk/world"])
    assert.ok(!isBookkeeping({ kind: "removed", path, what: () => [] }), path);
  assert.ok(!isBookkeeping({ kind: "added", path: "lib/apk/db/installed", what: () => [] }));
});

test("configuration to merge is known by its name", () => {
  assert.deepEqual(unmerged(["etc/a.conf", "etc/b.conf.apk-new", "etc/apk-new"]), ["etc/b.conf.apk-new"]);
});

test("boot files are made anew for a kernel and for what makes the initramfs", () => {
  const changed = (name: string): boolean => remakesBootFiles([{ name, kind: "added", to: "1" }]);
  assert.ok(changed("linux-lts") && changed("mkinitfs"));
  assert.ok(!changed("musl") && !changed("util-linux"));
  assert.ok(!remakesBootFiles([]));
});
