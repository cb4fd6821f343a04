import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseMountinfo } from "../../../src/model/kernel/mountinfo.ts";
import { packageOf } from "../../../src/model/kernel/programs.ts";

test("mounts are read with no, one and many optional fields", () => {
  const text = `22 1 0:20 /snapshots/ID/@ / ro,noatime shared:1 - btrfs /dev/sda2 ro,subvolid=260,subvol=/snapshots/ID/@
23 22 0:5 / /dev rw,nosuid - devtmpfs devtmpfs rw
24 22 8:1 / /boot rw shared:2 master:3 propagate_from:4 - vfat /dev/sda1 rw
`;
  assert.deepEqual(parseMountinfo(text), [
    {
      device: "0:20",
      root: "/snapshots/ID/@",
      path: "/",
      type: "btrfs",
      source: "/dev/sda2",
      options: ["ro", "noatime"],
    },
    { device: "0:5", root: "/", path: "/dev", type: "devtmpfs", source: "devtmpfs", options: ["rw", "nosuid"] },
    { device: "8:1", root: "/", path: "/boot", type: "vfat", source: "/dev/sda1", options: ["rw"] },
  ]);
  assert.deepEqual(parseMountinfo(""), []);
});

test("a dash in a path is no separator, an empty source is one", () => {
  const [mount] = parseMountinfo("1 1 0:1 /a-b /- rw - tmpfs  rw\n");
  assert.deepEqual([mount?.root, mount?.path, mount?.type, mount?.source], ["/a-b", "/-", "tmpfs", ""]);
});

/** As the kernel's mangle() does it (fs/proc_namespace.c): space, tab, line feed, backslash and #. */
const escaped = (path: string): string =>
  path.replace(/[ \t\n\\#]/g, (letter) => `\\${letter.charCodeAt(0).toString(8).padStart(3, "0")}`);

test("whatever stands in a path comes back", () => {
  const path = fc
    .string({
      unit: fc.oneof(
        fc.constantFrom(" ", "\t", "\n", "\\", "#", "0", "4", "ü"),
        fc.string({ minLength: 1, maxLength: 1 }),
      ),
    })
    .filter((text) => !/[\r\v\f]/.test(text))
    .map((text) => `/${text}`);
  fc.assert(
    fc.property(path, path, path, (root, at, source) => {
      const [mount] = parseMountinfo(`1 1 0:1 ${escaped(root)} ${escaped(at)} rw - ext4 ${escaped(source)} rw\n`);
      assert.deepEqual([mount?.root, mount?.path, mount?.source], [root, at, source]);
    }),
  );
});

test("a backslash that escapes nothing stays", () => {
  assert.equal(parseMountinfo("1 1 0:1 / /a\\9z rw - ext4 x rw\n")[0]?.path, "/a\\9z");
});

test("a missing program is told by the package that carries it, on Alpine and on Debian", () => {
  assert.equal(packageOf("sgdisk"), "Install sgdisk (Alpine) or gdisk (Debian).");
  assert.equal(packageOf("mcopy"), "Install mtools (Alpine and Debian).");
  for (const unknown of ["frobnicate", "", "constructor", "toString", "__proto__"])
    assert.equal(packageOf(unknown), undefined, unknown);
});
