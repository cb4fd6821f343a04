/** The volume in an image, seen without firn. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  closeSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { loopsOf } from "./left.ts";

/** Bytes from the start of the image to its partition named ROOT, from the GPT's entries (UEFI 2.10, 5.3.3). */
export function rootOffset(image: string): number {
  const entries = Buffer.alloc(128 * 128);
  const fd = openSync(image, "r");
  readSync(fd, entries, 0, entries.length, 1024);
  closeSync(fd);
  for (let at = 0; at < entries.length; at += 128) {
    const name = entries.toString("utf16le", at + 56, at + 128).replace(/\0.*$/s, "");
    if (name === "ROOT") return Number(entries.readBigUInt64LE(at + 32)) * 512;
  }
  throw new Error(`${image} has no partition ROOT`);
}

/**
 * A loop device goes when the last who has it open closes it, and whoever looks for the one of a file (mount, another
 * test's firn) opens them all.
 */
function sinceOthersLook(done: () => boolean): void {
  const end = Date.now() + 3000;
  while (!done() && Date.now() < end) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
}

function mountTop(image: string, top: string, options: string): void {
  const args = ["-t", "btrfs", "-o", `loop,offset=${rootOffset(image)},subvolid=5,${options}`, image, top];
  let said = "";
  sinceOthersLook(() => {
    const { status, stderr } = spawnSync("mount", args, { encoding: "utf8" });
    said = status === 0 ? "" : stderr;
    return !said.includes("overlapping loop device");
  });
  assert.equal(said, "");
}

/** Mounts the volume's top level as any other program would, and takes it away again. */
export function mounted<T>(image: string, use: (top: string) => T, options = "ro"): T {
  const top = mkdtempSync(join(tmpdir(), "firn-top-"));
  mountTop(image, top, options);
  const loop = execFileSync("findmnt", ["-no", "SOURCE", top], { encoding: "utf8" }).trim();
  try {
    return use(top);
  } finally {
    execFileSync("umount", [top]);
    rmSync(top, { recursive: true });
    sinceOthersLook(() => !loopsOf(image).includes(basename(loop)));
  }
}

/** The fstab template at a volume's top level, without the line by which firn knows its own words again. */
export function templateAt(top: string): string {
  return readFileSync(`${top}/fstab`, "utf8").replace(/^# As firn wrote it, sum [0-9a-f]{8}\..*\n/m, "");
}

/** The text of a file in a generation (slot 0 unless named). */
export function fileIn(image: string, path: string, generation = "current/0"): string {
  const folder = generation.includes("/") ? generation : `snapshots/${generation}`;
  return mounted(image, (top) => readFileSync(`${top}/${folder}/@/${path}`, "utf8"));
}

/** Whether a generation has a path (not followed when it is a symlink). */
export function has(image: string, path: string, generation = "current/0"): boolean {
  const folder = generation.includes("/") ? generation : `snapshots/${generation}`;
  return mounted(image, (top) => lstatSync(`${top}/${folder}/@/${path}`, { throwIfNoEntry: false }) !== undefined);
}

/** A volume's state, read without firn: what must survive anything. */
export interface Whole {
  slots: string[];
  generations: string[];
  drafts: string[];
}

/**
 * Asserts that `current` names a link set, every slot of it a generation whose `@` is a read-only subvolume with a
 * kernel.
 */
export function assertWhole(image: string): Whole {
  return mounted(image, (top) => {
    const links = join(top, readlinkSync(`${top}/current`));
    const slots = readdirSync(links).sort();
    assert.deepEqual(slots, ["0", "1", "2", "3"]);
    const targets = slots.map((slot) => {
      const root = `${links}/${slot}/@`;
      assert.equal(statSync(root).ino, 256, `slot ${slot} resolves to no subvolume`);
      assert.match(execFileSync("btrfs", ["property", "get", root, "ro"], { encoding: "utf8" }), /ro=true/);
      assert.ok(statSync(`${root}/boot/vmlinuz-virt`).size > 1_000_000);
      assert.ok(statSync(`${root}/boot/initramfs-virt`).size > 100_000);
      assert.ok(readFileSync(`${root}/etc/fstab`, "utf8").includes(basename(readlinkSync(`${links}/${slot}`))));
      return basename(readlinkSync(`${links}/${slot}`));
    });
    const names = readdirSync(`${top}/snapshots`).sort();
    return {
      slots: targets,
      generations: names.filter((name) => !name.endsWith(".draft")),
      drafts: names.filter((name) => name.endsWith(".draft")),
    };
  });
}

/**
 * Everything on the volume but times: paths, modes, owners, sizes and link targets, of the top level or below a folder
 * of it.
 */
export function treeOf(image: string, folder = "."): string {
  return mounted(image, (top) =>
    execFileSync("find", [folder, "-printf", "%P %y %m %U:%G %s %l\n"], {
      cwd: top,
      encoding: "utf8",
      maxBuffer: 1 << 28,
    })
      .split("\n")
      .sort()
      .join("\n"),
  );
}
