import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { describe, test } from "node:test";
import { requires } from "../../kit/requires.ts";
import { on } from "../../kit/verbs.ts";
import { assertWhole, mounted } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror", "rsync", "setfattr", "setfacl");

/** Everything that a tree can hold, made by the host's own programs in the folder that is given. */
const script = `
  set -eu; cd "$1"
  mkdir -p dir/sub sticky fixed nocow "$(printf 'caf\\351')"
  echo content > file; echo x > "$(printf 'caf\\351')/$(printf 'n\\377me')"
  printf '#!/bin/sh\\n' > dir/sub/suid; chown 12:34 dir/sub/suid; chmod 6755 dir/sub/suid
  chown 1000:100 dir; chmod 1770 dir; chmod 1777 sticky; : > empty; chmod 0 empty
  cp /bin/true capable; setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 capable
  setfattr -n user.note -v value file; setfattr -n trusted.binary -v 0x00ff00e9 dir
  setfacl -m u:1000:rw file; setfacl -m u:1000:rwx dir/sub; setfacl -d -m g:100:rx dir/sub
  : > dir/sub/inherits
  ln -s "$(printf 'n\\351')" link; ln -s /nowhere dangling; chown -h 5:6 link
  setfattr -h -n trusted.note -v link link
  echo linked > one; ln one two; ln one dir/three; mkfifo pipe; ln pipe twin-pipe; ln -P link twin-link
  mknod null c 1 3; mknod disk b 7 300000; chmod 0640 disk
  perl -e 'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un("socket")) or die'
  truncate -s 10M sparse; printf middle | dd of=sparse bs=1 seek=5000000 conv=notrunc status=none
  truncate -s 20M sparse
  head -c 300000 /dev/urandom > random
  chattr +C nocow; : > nocow/file; echo uncowed > nocow/file; setfattr -n btrfs.compression -v zstd dir
  head -c 100000 /dev/zero > dir/compressed; chattr +d file; chattr +A random
  echo no more > fixed/file; echo held > held; ln held dir/held
  : rsync takes two times within a second for one, so nothing is of now
  find . -depth -exec touch -h -d '2000-01-01 01:02:03.000000004' '{}' +
  touch -d '2001-02-03 04:05:06.123456789' file link null pipe dir/sub dir sticky -h
  touch -d '1969-12-31 23:59:59.5' empty
  chattr +a fixed/file; chattr +i fixed held
  touch -d '2002-02-03 04:05:06.987654321' .
`;

/** What is kept of everything below a folder, by means that are none of firn's. */
function kept(folder: string): string {
  const sh = (command: string): string =>
    execFileSync("sh", ["-c", command], { cwd: folder, encoding: "latin1", maxBuffer: 1 << 28 });
  const sorted = (command: string): string => sh(`${command} | LC_ALL=C sort`);
  // Directories have other numbers of names in other copies; which names are one file is asked below.
  return [
    sorted(`find . -printf '%P %y %#m %U:%G %T@ %l\\n'`),
    sorted(`find . ! -type d -printf '%P %s %n\\n'`),
    sorted(`find . '(' -type c -o -type b ')' -exec stat -c '%n %t:%T' '{}' +`),
    sorted(`find . -type f -exec sha256sum '{}' +`),
    // Groups of names of one file, by the first of each.
    sh(
      `find . -links +1 ! -type d -printf '%i %P\\n' | LC_ALL=C sort -k2 | awk '{ g[$1] = g[$1] " " $2 } END { for (i in g) print g[i] }' | LC_ALL=C sort`,
    ),
    sh(`LC_ALL=C getfattr -Rhd -m - -e hex . 2> /dev/null`).split("\n\n").toSorted().join("\n"),
  ].join("\n---\n");
}

/** Flags of chattr, which neither cp nor rsync keeps; and blocks, of which a hole has none. */
function besides(folder: string): string[] {
  const flags = execFileSync("sh", ["-c", "lsattr -aR . 2> /dev/null | LC_ALL=C sort; stat -c '%n %b' sparse"], {
    cwd: folder,
    encoding: "latin1",
  });
  // btrfs notes by itself (m) what compression did not make smaller.
  return flags.split("\n").map((line) => line.replace(/^(\S*)m(\S*) /, "$1-$2 "));
}

describe("a new commons", { skip }, () => {
  const world = ownWorld();

  test("is a copy of what it covers as cp -a and rsync -aHAXS make it, and keeps the flags of chattr too", async () => {
    const image = await world.image();
    // A draft cannot be filled from outside, the folder of a sealed generation by hand can.
    await on(image, "run", "--", "mkdir", "/opt/data");
    const told = mounted(
      image,
      (top) => {
        const root = execFileSync("realpath", [`${top}/current/0/@`], { encoding: "utf8" }).trim();
        const set = (readonly: string): void =>
          void execFileSync("btrfs", ["property", "set", "-f", root, "ro", readonly]);
        set("false");
        execFileSync("sh", ["-c", script, "sh", `${root}/opt/data`], { stdio: ["ignore", "ignore", "inherit"] });
        const copies = ["cp", "rsync"].map((name) => `${top}/copy-${name}`);
        const [byCp = "", byRsync = ""] = copies;
        execFileSync("cp", ["-a", "--sparse=auto", `${root}/opt/data`, byCp]);
        execFileSync("rsync", ["-aHAXS", "--devices", "--specials", `${root}/opt/data/`, byRsync]);
        const before = { own: kept(`${root}/opt/data`), besides: besides(`${root}/opt/data`) };
        const others = copies.map(kept);
        set("true");
        return { ...before, others };
      },
      "rw",
    );
    await on(image, "commons add", "/opt/data");
    mounted(
      image,
      (top) => {
        const commons = `${top}/commons/@opt@data`;
        assert.equal(kept(commons), told.own);
        for (const other of told.others) assert.equal(kept(commons), other);
        assert.deepEqual(besides(commons), told.besides);
        assert.ok(statSync(`${commons}/sparse`).blocks < 100);
        // Nothing of it was read or written: the blocks are the same.
        const [random, seeded] = [`${top}/current/0/@/opt/data/random`, `${commons}/random`].map((file) =>
          execFileSync("filefrag", ["-v", file], { encoding: "utf8" })
            .split("\n")
            .filter((line) => /^ +\d+:/.test(line))
            .map((line) => line.split(":")[2])
            .join(),
        );
        assert.equal(seeded, random);
      },
      "rw",
    );
    assertWhole(image);
  });

  test("of a folder that chattr froze is made all the same, and can be deleted", async () => {
    for (const flag of ["i", "a"]) {
      const image = await world.image();
      await on(image, "run", "--", "sh", "-c", `mkdir /data; echo kept > /data/file; chattr +${flag} /data`);
      await on(image, "commons add", "/data");
      mounted(image, (top) => {
        const folder = `${top}/commons/@data`;
        assert.equal(readFileSync(`${folder}/file`, "utf8"), "kept\n");
        assert.doesNotMatch(execFileSync("lsattr", ["-d", folder], { encoding: "utf8" }).split(" ")[0] ?? "", /[ia]/);
      });
      await on(image, "commons remove", "/data");
      await on(image, "run", "--", "touch", "/etc/next");
      mounted(image, (top) => execFileSync("chattr", [`+${flag}`, `${top}/commons/@data`]), "rw");
      await on(image, "commons delete", "--yes", "@data");
    }
  });
});
