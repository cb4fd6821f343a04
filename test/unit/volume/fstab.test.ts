import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  PLACEHOLDER,
  addCommons,
  commonsOf,
  mountPoints,
  parseFstab,
  removeCommons,
  renderFstab,
  renderTemplate,
  rootGeneration,
  templateFromFstab,
  type TemplateWish,
} from "../../../src/model/volume/fstab.ts";

const wish: TemplateWish = {
  rootUuid: "R-U",
  swapUuid: "S-U",
  compression: "zstd",
  commons: [
    { name: "@var@lib", path: "/var/lib" },
    { name: "@var@lib@docker", path: "/var/lib/docker" },
  ],
};

/** As somebody writes it by hand: tabs and blanks, LABEL=, subvolid=, comments, no line break at the end. */
const byHand = `# my volume

LABEL=ROOT   /\t btrfs  subvol=CURRENT_SNAPSHOTS_PATH/@,ro,noatime   0 0
  LABEL=ROOT /home btrfs subvolid=258,subvol=commons/@home,rw,noatime,compress=zstd:3 0  0
#LABEL=ROOT /srv btrfs subvol=/commons/@srv 0 0
LABEL=ROOT\t/var/log\tbtrfs\tsubvol=/commons/@var@log,rw\t0\t0

UUID=1234-ABCD /mnt/snapshots/old/@ vfat ro 0 0
tmpfs /tmp tmpfs defaults 0 0`;

test("the template has a read-only root, the commons parents first, a tmpfs and swap", () => {
  assert.deepEqual(parseFstab(renderTemplate(wish)), [
    {
      device: "UUID=R-U",
      path: "/",
      type: "btrfs",
      options: [`subvol=${PLACEHOLDER}/@`, "ro", "noatime", "compress=zstd"],
    },
    {
      device: "UUID=R-U",
      path: "/var/lib",
      type: "btrfs",
      options: ["subvol=/commons/@var@lib", "rw", "noatime", "compress=zstd"],
    },
    {
      device: "UUID=R-U",
      path: "/var/lib/docker",
      type: "btrfs",
      options: ["subvol=/commons/@var@lib@docker", "rw", "noatime", "compress=zstd"],
    },
    { device: "tmpfs", path: "/tmp", type: "tmpfs", options: ["mode=1777", "nosuid", "nodev"] },
    { device: "UUID=S-U", path: "none", type: "swap", options: ["sw"] },
  ]);
  for (const line of renderTemplate(wish).trimEnd().split("\n").slice(1)) assert.match(line, /\t0 0$/);
});

test("without swap and compression the template names neither", () => {
  const text = renderTemplate({ rootUuid: "R", compression: "none", commons: [] });
  assert.doesNotMatch(text, /swap|compress/);
});

test("a generation's fstab is the template with its path, with and without a slash before the word", () => {
  assert.equal(renderFstab("x subvol=CURRENT_SNAPSHOTS_PATH/@,ro", "ID"), "x subvol=/snapshots/ID/@,ro");
  assert.equal(renderFstab("x subvol=/CURRENT_SNAPSHOTS_PATH/@,ro", "ID"), "x subvol=/snapshots/ID/@,ro");
  assert.equal(rootGeneration(renderFstab(byHand, "ID")), "ID");
  assert.doesNotMatch(renderFstab(byHand, "ID"), new RegExp(PLACEHOLDER));
});

const name = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/);

test("template and fstab lead to each other for every id", () => {
  fc.assert(
    fc.property(name, fc.constantFrom(byHand, renderTemplate(wish)), (id, template) => {
      const fstab = renderFstab(template, id);
      assert.equal(templateFromFstab(fstab), template);
      assert.equal(renderFstab(templateFromFstab(fstab), id), fstab);
    }),
  );
});

test("the template behind an fstab keeps every path that is not the generation's own", () => {
  const fstab = `U / btrfs subvol=/snapshots/ID/@,ro 0 0
U /old btrfs subvol=/snapshots/OLDER/@,ro 0 0
U /mnt/snapshots/ID/@ ext4 ro 0 0
U /x btrfs subvol=/mine/snapshots/ID/@ 0 0
`;
  assert.equal(templateFromFstab(fstab), fstab.replace("/snapshots/ID", PLACEHOLDER));
  assert.equal(templateFromFstab("U / ext4 ro 0 0\n"), "U / ext4 ro 0 0\n");
});

test("entries are read through blanks, tabs and comments; fields that are missing are empty", () => {
  assert.deepEqual(
    parseFstab(byHand).map(({ device, path, type }) => [device, path, type]),
    [
      ["LABEL=ROOT", "/", "btrfs"],
      ["LABEL=ROOT", "/home", "btrfs"],
      ["LABEL=ROOT", "/var/log", "btrfs"],
      ["UUID=1234-ABCD", "/mnt/snapshots/old/@", "vfat"],
      ["tmpfs", "/tmp", "tmpfs"],
    ],
  );
  assert.deepEqual(parseFstab("a b"), [{ device: "a", path: "b", type: "", options: [""] }]);
  assert.deepEqual(parseFstab("\n \n# x\n"), []);
});

test("commons are found with and without a leading slash, escapes undone, parents before children", () => {
  const text = `d /a/b/c btrfs subvol=commons/@a@b@c 0 0
d /my\\040data btrfs rw,subvol=/commons/@my_data 0 0
d /a btrfs subvol=/commons/@a 0 0
d / btrfs subvol=CURRENT_SNAPSHOTS_PATH/@ 0 0
d /z btrfs subvol=/other/@z 0 0
`;
  assert.deepEqual(commonsOf(text), [
    { name: "@my_data", path: "/my data" },
    { name: "@a", path: "/a" },
    { name: "@a@b@c", path: "/a/b/c" },
  ]);
});

test("a commons is known however its path is spelled, and what leads out of the commons or into one is none", () => {
  const named = (option: string): string[] => commonsOf(`d /srv btrfs ${option} 0 0\n`).map(({ name }) => name);
  for (const path of [
    "commons/@srv",
    "/commons/@srv/",
    "//commons//@srv",
    "/./commons/./@srv",
    "/commons/\\100srv",
    "/x,subvol=/commons/@srv",
  ])
    assert.deepEqual(named(`subvol=${path}`), ["@srv"], path);
  for (const path of [
    "/commons/..",
    "/commons/.",
    "/commons",
    "/",
    "/commons/@srv/x",
    "/commons/../snapshots",
    "../commons/@srv",
  ])
    assert.deepEqual(named(`subvol=${path}`), [], path);
  const template = "d /srv btrfs subvol=//commons/@srv/ 0 0\nd /opt btrfs subvol=/commons/@opt 0 0\n";
  assert.equal(removeCommons(template, "/srv"), "d /opt btrfs subvol=/commons/@opt 0 0\n");
});

test("a generation's own root is known however its path is spelled: the next one must not mount it", () => {
  for (const path of ["/snapshots/one/@", "//snapshots//one//@", "/./snapshots/./one/./@"]) {
    assert.equal(rootGeneration(`d / btrfs subvol=${path},ro 0 0\n`), "one", path);
    assert.match(templateFromFstab(`d / btrfs subvol=${path},ro 0 0\n`), /subvol=CURRENT_SNAPSHOTS_PATH\//, path);
  }
});

test("a parent always comes before what lies below it", () => {
  const path = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 4 }).map((p) => `/${p.join("/")}`);
  fc.assert(
    fc.property(fc.uniqueArray(path, { maxLength: 8 }), (paths) => {
      const text = paths.map((each) => `d ${each} btrfs subvol=/commons/${each.replaceAll("/", "@")} 0 0\n`).join("");
      const order = commonsOf(text).map((one) => one.path);
      assert.deepEqual(order.toSorted(), paths.toSorted());
      order.forEach((each, at) => {
        for (const later of order.slice(at + 1)) assert.ok(!each.startsWith(`${later}/`), `${each} before ${later}`);
      });
    }),
  );
});

test("a new commons is mounted like those that are there, but as its own subvolume", () => {
  const added = parseFstab(addCommons(byHand, "@opt", "/opt", "R-U")).at(-1);
  assert.deepEqual(added, {
    device: "LABEL=ROOT",
    path: "/opt",
    type: "btrfs",
    options: ["subvol=/commons/@opt", "rw", "noatime", "compress=zstd:3"],
  });
});

test("a commons is mounted before what lies in it", () => {
  const before = "# note\ntmpfs /tmp tmpfs rw 0 0\ntmpfs /opt/x tmpfs rw 0 0\n";
  const paths = parseFstab(addCommons(before, "@opt", "/opt", "R-U")).map(({ path }) => path);
  assert.deepEqual(paths, ["/tmp", "/opt", "/opt/x"]);
});

test("the first commons of a volume is mounted by UUID", () => {
  assert.equal(addCommons("", "@opt", "/opt", "R-U"), "UUID=R-U\t/opt\tbtrfs\tsubvol=/commons/@opt,rw,noatime\t0 0\n");
});

test("adding and removing a commons keeps every other line byte for byte", () => {
  const junk = fc.constantFrom(
    "",
    " ",
    "# note",
    "\t# x /opt y",
    "tmpfs /opt/x tmpfs rw 0 0",
    "tmpfs\t/tmp  tmpfs",
    "d /b x",
  );
  fc.assert(
    fc.property(fc.array(junk, { maxLength: 6 }), fc.boolean(), (lines, ended) => {
      const template = lines.map((line) => `${line}\n`).join("") + (ended ? "" : "tmpfs /last tmpfs rw 0 0");
      const added = addCommons(template, "@opt", "/opt", "R-U");
      const whole = template === "" || template.endsWith("\n") ? template : `${template}\n`;
      assert.equal(added.split("\n").length, whole.split("\n").length + 1);
      assert.deepEqual(commonsOf(added), [{ name: "@opt", path: "/opt" }]);
      assert.equal(removeCommons(added, "/opt"), whole);
    }),
  );
});

test("removing a commons touches neither its commented line nor another filesystem on the same path", () => {
  const text =
    "#d /opt btrfs subvol=/commons/@opt 0 0\ntmpfs /opt tmpfs rw 0 0\n d  /opt btrfs subvol=commons/@opt 0 0";
  assert.equal(removeCommons(text, "/opt"), "#d /opt btrfs subvol=/commons/@opt 0 0\ntmpfs /opt tmpfs rw 0 0");
  assert.equal(removeCommons(byHand, "/nothing"), byHand);
  assert.deepEqual(commonsOf(removeCommons("d /my\\040data btrfs subvol=/commons/@my 0 0\n", "/my data")), []);
});

test("the generation of an fstab is that of its root, however the subvolume is spelled", () => {
  assert.equal(rootGeneration("U / btrfs ro,subvol=snapshots/ID/@ 0 0"), "ID");
  assert.equal(rootGeneration("U / btrfs subvol=//snapshots/ID/@ 0 0"), "ID");
  assert.equal(rootGeneration("U / ext4 rw 0 0\nU /x btrfs subvol=/snapshots/ID/@ 0 0"), undefined);
  assert.equal(rootGeneration(""), undefined);
});

test("mount points are the root's, or the commons' that they lie in; the kernel's and other mounts' are nobody's", () => {
  const text = `U / btrfs subvol=/snapshots/x/@ 0 0
U /var/lib btrfs subvol=/commons/@var@lib 0 0
U /var/lib/docker btrfs subvol=/commons/@var@lib@docker 0 0
/dev/b /data ext4 rw 0 0
/dev/c /data/deep ext4 rw 0 0
tmpfs /run/x tmpfs rw 0 0
shm /dev/shm tmpfs rw 0 0
/dev/d none swap sw 0 0
`;
  assert.deepEqual(
    mountPoints("tmpfs /opt/x tmpfs rw 0 0\nU /var btrfs subvol=/commons/@var 0 0\n", (path) =>
      path.replace("/opt/", "/var/opt/"),
    )[0],
    { path: "/opt/x", commons: "@var", inside: "/opt/x" },
    "a link leads into a commons",
  );
  assert.deepEqual(
    mountPoints(text, (path) => path),
    [
      { path: "/var/lib", commons: undefined, inside: "/var/lib" },
      { path: "/var/lib/docker", commons: "@var@lib", inside: "/docker" },
      { path: "/data", commons: undefined, inside: "/data" },
    ],
  );
});
