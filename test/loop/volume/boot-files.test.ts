import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { before, describe, test } from "node:test";
import { fixtures } from "../../fixtures/fixtures.ts";
import { assertReleased } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { on, refused } from "../../kit/verbs.ts";
import { assertWhole, mounted } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

const kernel = "/boot/vmlinuz-virt";
const initramfs = "/boot/initramfs-virt";

/** Extents as filefrag tells them: their flags, and whether they cover the file. */
function layoutOf(
  image: string,
  path: string,
): { holes: boolean; flags: string; sum: string; inode: number; nature: string } {
  return mounted(image, (top) => {
    const file = `${top}/current/0/@${path}`;
    const text = execFileSync("filefrag", ["-v", "-b1", file], { encoding: "utf8" });
    const extents = [...text.matchAll(/^ *\d+: +(\d+)\.\. *(\d+):.*?(\d+)\.\. *(\d+): +(\d+):(.*)$/gm)];
    const size = Number(/is (\d+) \(/.exec(text)?.[1]);
    let end = 0;
    let holes = false;
    for (const [, from, to] of extents) {
      holes ||= Number(from) !== end;
      end = Number(to) + 1;
    }
    return {
      holes: holes || end < size,
      flags: extents.map((extent) => extent[6]).join(" "),
      sum: execFileSync("sha256sum", [file], { encoding: "utf8" }).slice(0, 64),
      inode: statSync(file).ino,
      nature: execFileSync("stat", ["-c", "%u:%g %a %Y", file], { encoding: "utf8" }).trim(),
    };
  });
}

describe("boot files of a draft are checked before it can boot", { skip }, () => {
  const world = ownWorld();
  let image = "";
  let slots: string[] = [];
  before(async () => {
    const { v1, keysDir } = await fixtures();
    image = await world.image();
    await on(image, "add", "-X", v1, "--keys-dir", keysDir, "btrfs-progs");
    slots = assertWhole(image).slots;
  });

  for (const [what, script, message] of [
    ["a kernel that is gone", `rm ${kernel}`, /no \/boot\/vmlinuz-virt/],
    ["a /boot that is an absolute link", "mv /boot /opt/b; ln -s /opt/b /boot", /\/boot is a symlink/],
    ["a /boot that is a relative link", "mv /boot /opt/b; ln -s opt/b /boot", /\/boot is a symlink/],
    ["a kernel that is a link", `mv ${kernel} /opt/k; ln -s /opt/k ${kernel}`, /vmlinuz-virt is no regular file/],
    ["a /boot that is gone", "rm -r /boot", /no \/boot/],
    ["an empty kernel", `: > ${kernel}`, /vmlinuz-virt is empty/],
    ["a kernel that is none", `head -c 300000 /dev/urandom > ${kernel}`, /no kernel that UEFI can start/],
    ["a kernel cut in half", `truncate -s 3000000 ${kernel}`, /vmlinuz-virt.*cut short/],
    ["modules that are gone", "rm -r /lib/modules", /\/lib\/modules\/.* is missing/],
    ["modules without their list", "rm /lib/modules/*/modules.dep", /has no modules\.dep/],
    ["modules of another kernel", "mv /lib/modules/* /lib/modules/6.0.0", /\/lib\/modules\/.* is missing/],
    ["an initramfs that is gone", `rm ${initramfs}`, /no \/boot\/initramfs-virt/],
    ["an empty initramfs", `: > ${initramfs}`, /initramfs-virt is empty/],
    ["an initramfs that is none", `head -c 300000 /dev/urandom > ${initramfs}`, /initramfs-virt/],
    ["an initramfs cut in half", `truncate -s 1000000 ${initramfs}`, /initramfs-virt/],
    ["an initramfs without modules", `echo . | cpio -o -H newc | gzip > ${initramfs}`, /modules for the kernel/],
    ["a kernel behind a dangling symlink", `mv ${kernel} /tmp; ln -s nowhere ${kernel}`, /vmlinuz-virt/],
  ] as const) {
    test(`${what} is refused; what boots stays`, async () => {
      const error = await refused("E_BOOT_FILES", image, "run", "--", "sh", "-c", script);
      assert.match(error.message, message);
      const whole = assertWhole(image);
      assert.deepEqual([whole.slots, whole.drafts], [slots, []]);
    });
  }

  /** Writes an archive that is not packed, with microcode in it, to /tmp/front. */
  const front =
    "set -e; mkdir -p /tmp/m/kernel/x86/microcode; head -c 70001 /dev/zero > /tmp/m/kernel/x86/microcode/x.bin; " +
    `cd /tmp/m; find . | cpio -o -H newc > /tmp/front; cp ${initramfs} /tmp/rest; `;

  for (const [what, script] of [
    ["with microcode in front", `cat /tmp/front /tmp/rest > ${initramfs}`],
    ["with two archives and blanks in front", `cat /tmp/front /tmp/front /tmp/m/k*/x*/m*/* /tmp/rest > ${initramfs}`],
    ["that is not packed at all", `zcat /tmp/rest > /tmp/plain; cat /tmp/front /tmp/plain > ${initramfs}`],
  ] as const) {
    test(`an initramfs ${what} is one that the kernel takes`, async () => {
      const own = world.copy(image);
      await on(own, "run", "--", "sh", "-c", front + script);
      assert.notEqual(assertWhole(own).slots[0], slots[0]);
    });
  }

  test("behind microcode the rest must be whole too", async () => {
    for (const script of [
      `cat /tmp/front > ${initramfs}`,
      `head -c 60000 /tmp/front > ${initramfs}`,
      `cat /tmp/front /tmp/rest > ${initramfs}; truncate -s 900000 ${initramfs}`,
      `{ cat /tmp/front; echo words; } > ${initramfs}`,
    ])
      await refused("E_BOOT_FILES", image, "run", "--", "sh", "-c", front + script);
  });

  test("a package that takes the kernel away is refused", async () => {
    const error = await refused("E_BOOT_FILES", image, "del", "linux-virt");
    assert.match(error.message, /no \/boot\/vmlinuz-virt/);
    assert.deepEqual(assertWhole(image).slots, slots);
    await assertReleased(image);
  });

  for (const [what, rewrite, repaired] of [
    ["holes", "cat /tmp/k > $f; truncate -s $(($(stat -c %s $f) + 1048576)) $f", true],
    ["a preallocated tail", "cat /tmp/k > $f; fallocate -l $(($(stat -c %s $f) + 1048576)) $f", true],
    ["LZO", "btrfs property set $f compression lzo; cat /tmp/k > $f; head -c 1048576 /dev/zero >> $f; sync", true],
    ["nothing wrong", "cat /tmp/k > $f; echo >> $f", false],
  ] as const) {
    test(`a kernel with ${what} is ${repaired ? "written anew, for rEFInd cannot read it" : "left alone"}`, async () => {
      const own = world.copy(image);
      const nature = "chown 5:6 $f; chmod 0640 $f; touch -d '2001-02-03 04:05:06' $f";
      const script = `set -e; f=${kernel}; cp $f /tmp/k; rm $f; : > $f; ${rewrite}; ${nature}; sha256sum $f; stat -c 'inode %i' $f${repaired ? "; chattr +i $f" : ""}`;
      const ran = await on(own, "run", "--", "sh", "-c", script);
      const now = layoutOf(own, kernel);
      assert.equal(now.holes, false);
      assert.doesNotMatch(now.flags, /unwritten/);
      assert.equal(now.nature, "5:6 640 981173106");
      assert.equal(now.sum, /^([0-9a-f]{64}) /m.exec(ran.stdout)?.[1]);
      assert.equal(now.inode !== Number(/^inode (\d+)$/m.exec(ran.stdout)?.[1]), repaired);
      assertWhole(own);
    });
  }
});
