/** A foreign image is looked at and changed without anything of the host being read into it, written or deleted. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, beforeEach, describe, test } from "node:test";
import { alpineMirror, fixtures } from "../../fixtures/fixtures.ts";
import { assertReleased } from "../../kit/left.ts";
import { requires } from "../../kit/requires.ts";
import { traced } from "../../kit/trace.ts";
import { answer, attempt, commandLine, current, list, on, refused } from "../../kit/verbs.ts";
import { assertWhole, mounted } from "../../kit/volume.ts";
import { ownWorld, workFolder } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror", "strace");

const SECRET = "the host's own\n";
const DRAFT = "20200101000000abcdefgh.draft";

describe("what leads out of a volume", { skip }, () => {
  const world = ownWorld();
  const work = workFolder("lead-out");
  /** A folder of the host. */
  const host = join(work, "host");
  const secret = join(host, "secret");
  let base = "";
  before(async () => {
    base = await world.image();
    await on(base, "run", "--", "touch", "/etc/second");
  });
  beforeEach(() => {
    rmSync(host, { recursive: true, force: true });
    mkdirSync(host);
    writeFileSync(secret, SECRET);
  });

  const hosts = (): string =>
    execFileSync("find", [host, "-printf", "%P %y %s %l\n"], { encoding: "utf8" }).split("\n").sort().join("\n");

  /** Runs something, and sees that the host's folder is as it was. */
  async function harmless<T>(use: () => Promise<T>): Promise<T> {
    const found = hosts();
    const result = await use();
    assert.equal(hosts(), found);
    assert.equal(readFileSync(secret, "utf8"), SECRET);
    return result;
  }

  /** Changes a sealed generation by hand, as whoever made the image can. */
  function inGeneration(image: string, id: string, script: string): void {
    mounted(
      image,
      (top) => {
        const root = `${top}/snapshots/${id}/@`;
        execFileSync("btrfs", ["property", "set", "-f", root, "ro", "false"]);
        execFileSync("sh", ["-ec", script], { cwd: root });
        execFileSync("btrfs", ["property", "set", root, "ro", "true"]);
      },
      "rw",
    );
  }

  test("diff shows no file of the host: behind a link, or behind a folder that became one", async () => {
    const image = world.copy(base);
    await on(image, "run", "--", "sh", "-c", "mkdir /etc/kept; echo mine >/etc/kept/secret");
    await on(image, "run", "--", "sh", "-c", `rm -r /etc/kept; ln -s ${host} /etc/kept; ln -s ${secret} /etc/leak`);
    const told = (await on(image, "diff", "1", "0")).stdout;
    assert.match(told, /\+ \/etc\/leak/);
    assert.doesNotMatch(told, /the host's own/);
    assert.doesNotMatch((await on(image, "diff", "0", "1")).stdout, /the host's own/);
  });

  test("a key that is kept with --save takes the place of a link, and is not written to where that leads", async () => {
    const image = world.copy(base);
    const { v1, keysDir } = await fixtures();
    const key = readdirSync(keysDir).find((name) => name.endsWith(".pub")) ?? "";
    await on(image, "run", "--", "ln", "-sfn", secret, `/etc/apk/keys/${key}`);
    await harmless(() =>
      on(image, "add", "jq", "-X", v1, "-X", alpineMirror + "/extras", "--save", "--keys-dir", keysDir),
    );
    const kept = mounted(image, (top) => readFileSync(`${top}/current/0/@/etc/apk/keys/${key}`, "utf8"));
    assert.equal(kept, readFileSync(join(keysDir, key), "utf8"));
  });

  test("a key of the generation that is a link to a key of the host is not trusted", async () => {
    const image = world.copy(base);
    const { v1, keysDir } = await fixtures();
    await on(image, "add", "jq", "-X", v1);
    await on(image, "del", "jq");
    await on(
      image,
      "run",
      "--",
      "sh",
      "-c",
      `rm /etc/apk/keys/*; for key in ${readdirSync(keysDir).join(" ")}; do ln -s ${keysDir}/$key /etc/apk/keys/; done`,
    );
    await refused("E_SIGNATURE", image, "add", "jq", "-X", v1);
  });

  test("records and the template are written beside what was left there under the name, whatever it leads to", async () => {
    const image = world.copy(base);
    const id = await current(image);
    mounted(
      image,
      (top) => {
        symlinkSync(secret, `${top}/snapshots/${id}/generation.json.new`);
        symlinkSync(secret, `${top}/fstab.new`);
      },
      "rw",
    );
    await harmless(() => on(image, "pin", "0"));
    assert.equal((await list(image)).generations.find((generation) => generation.id === id)?.pinned, true);
    await harmless(() => on(image, "commons add", "/opt/new"));
    mounted(image, (top) => assert.match(readFileSync(`${top}/fstab`, "utf8"), /commons\/@opt@new/));
    assertWhole(image);
  });

  test("a boot file is written anew beside what was left there under the name, and not through it", async () => {
    const image = world.copy(base);
    const kernel = "/boot/vmlinuz-virt";
    const script = `set -e; cp ${kernel} /tmp/k; cat /tmp/k >${kernel}; truncate -s $(($(stat -c %s /tmp/k) + 1048576)) ${kernel}; ln -s ${secret} ${kernel}.firn-new`;
    await harmless(() => on(image, "run", "--", "sh", "-c", script));
    assertWhole(image);
  });

  for (const name of ["snapshots", "links", "commons", "next"]) {
    test(`${name}/ that is a link is refused by whatever writes, and nothing is deleted or made behind it`, async () => {
      const image = world.copy(base);
      mounted(
        image,
        (top) => {
          cpSync(`${top}/${name}`, join(host, name), { recursive: true, verbatimSymlinks: true });
          mkdirSync(join(host, name, DRAFT));
          writeFileSync(join(host, name, DRAFT, "generation.json"), "{}");
          writeFileSync(join(host, name, "current"), "mine");
          renameSync(`${top}/${name}`, `${top}/${name}.real`);
          symlinkSync(join(host, name), `${top}/${name}`);
        },
        "rw",
      );
      for (const [verb, ...args] of [
        ["gc", "--keep", "0"],
        ["run", "--", "touch", "/etc/third"],
        ["commons add", "/opt/new"],
        ["commons delete", "--yes", "@var@log"],
        ["rollback"],
      ] as const) {
        const error = await harmless(() => refused("E_NOT_A_VOLUME", image, verb, ...args));
        assert.match(error.message, new RegExp(`/${name}`));
      }
      await assertReleased(image);
      const { status, stdout } = await harmless(() => attempt(image, "list", "--json"));
      assert.equal(status, name === "snapshots" ? 50 : 0, "who only reads is told what can be read");
      assert.ok(!stdout.includes(DRAFT), "and nothing of the host's");
      if (name === "links" || name === "commons")
        assert.match((await on(image, "list")).stdout, new RegExp(`/${name}\\S* cannot be read: `));
    });
  }

  test("a generation or a draft that is a link counts for none, and is deleted as the link that it is", async () => {
    const image = world.copy(base);
    const foreign = "20200202000000abcdefgh";
    for (const name of [DRAFT, foreign]) {
      mkdirSync(join(host, name, "@/etc"), { recursive: true });
      writeFileSync(join(host, name, "generation.json"), `{"description":"the host's"}`);
      writeFileSync(join(host, name, "@/etc/fstab"), SECRET);
    }
    mounted(
      image,
      (top) => {
        for (const name of [DRAFT, foreign]) symlinkSync(join(host, name), `${top}/snapshots/${name}`);
      },
      "rw",
    );
    const told = await harmless(() => on(image, "list"));
    assert.match(told.stdout, new RegExp(`What ${foreign} says of itself cannot be read`));
    assert.doesNotMatch(told.stdout, /the host's/);
    assert.notEqual((await harmless(() => attempt(image, "switch", foreign))).status, 0);
    await harmless(() => on(image, "run", "--", "touch", "/etc/third"));
    assert.deepEqual(assertWhole(image).drafts, []);
    await harmless(() => on(image, "gc", "--keep", "0"));
    assert.ok(!assertWhole(image).generations.includes(foreign));
  });

  test("a root that is a link counts for none", async () => {
    const image = world.copy(base);
    const { slots } = await list(image);
    const old = slots[1] ?? "";
    mkdirSync(join(host, "root/etc"), { recursive: true });
    mounted(
      image,
      (top) => {
        renameSync(`${top}/snapshots/${old}/@`, `${top}/snapshots/${old}/real`);
        symlinkSync(join(host, "root"), `${top}/snapshots/${old}/@`);
      },
      "rw",
    );
    assert.match((await harmless(() => on(image, "list"))).stdout, new RegExp(`${old}.*no root`));
    assert.notEqual((await harmless(() => attempt(image, "switch", old))).status, 0);
    assert.notEqual((await harmless(() => attempt(image, "run", "--base", old, "--", "touch", "/x"))).status, 0);
  });

  test("the name servers that a draft is shown are written into no file of the host", async () => {
    const image = world.copy(base);
    mounted(
      image,
      (top) => {
        execFileSync("btrfs", ["subvolume", "create", `${top}/commons/@run`]);
        symlinkSync(secret, `${top}/commons/@run/resolv.conf`);
        const fstab = readFileSync(`${top}/fstab`, "utf8");
        const line = fstab.split("\n").find((one) => one.includes("commons/@var@log")) ?? "";
        writeFileSync(
          `${top}/fstab`,
          `${fstab}${line.replaceAll("@var@log", "@run").replaceAll("/var/log", "/run")}\n`,
        );
      },
      "rw",
    );
    await harmless(() => on(image, "run", "--", "touch", "/etc/third"));
  });

  test("a link of the volume that the disk does not give back stops no reader, and is told of", async () => {
    const image = world.copy(base);
    const { calls } = await traced(commandLine(image, "list"), "readlinkat");
    assert.ok(calls.length > 4, "current, and a slot each");
    for (const when of calls.keys()) {
      const { status, stdout } = await traced(
        commandLine(image, "list"),
        "readlinkat",
        `readlinkat:error=EIO:when=${when + 1}`,
      );
      assert.equal(status, 0);
      assert.match(stdout, /\/(current|trial|links\/.*) cannot be read: /);
    }
  });

  for (const [what, make] of [
    ["a directory", (file) => `mkdir ${file}`],
    ["a named pipe", (file) => `mkfifo ${file}`],
    ["a link to itself", (file) => `ln -s fstab ${file}`],
    ["gigabytes", (file) => `truncate -s 4G ${file}`],
    ["a link to a file of the host", (file) => `ln -s ${secret} ${file}`],
  ] as readonly (readonly [string, (file: string) => string])[]) {
    test(`an fstab template that is ${what} stops no reader, is told of, and is not followed`, async () => {
      const image = world.copy(base);
      mounted(image, (top) => execFileSync("sh", ["-ec", `rm fstab; ${make("fstab")}`], { cwd: top }), "rw");
      for (const verb of ["list", "status"]) {
        const { stdout } = await harmless(() => on(image, verb));
        assert.match(stdout, /\/fstab cannot be read: /);
      }
      if (what === "a directory") return;
      await harmless(() => on(image, "run", "--", "touch", "/etc/third"));
      assertWhole(image);
    });
  }

  for (const make of ["mkdir", "mkfifo"]) {
    test(`a firn.toml that a person made with ${make} stops no change that could mend it`, async () => {
      const image = world.copy(base);
      const file = "/etc/firn/firn.toml";
      await on(image, "run", "--", "sh", "-c", `rm -f ${file}; mkdir -p /etc/firn; ${make} ${file}`);
      await refused("E_CONFIG_FILE", image, "gc");
      const ran = await on(image, "run", "--", "rm", "-r", file);
      assert.match(ran.stderr, /firn.toml cannot be read: .*\nThe defaults hold/);
      await on(image, "gc");
    });
  }

  test("files of a generation that are pipes or devices hold nobody up, and are not written to", async () => {
    const image = world.copy(base);
    const id = await current(image);
    const medium = join(work, "medium");
    execFileSync("truncate", ["-s", "1M", medium]);
    const device = execFileSync("losetup", ["--show", "-f", medium], { encoding: "utf8" }).trim();
    try {
      inGeneration(image, id, `rm etc/fstab; cp -a ${device} etc/fstab; rm -f etc/hostname; mkfifo etc/hostname`);
      assert.equal((await on(image, "diff")).status, 0);
      const ran = await attempt(image, "run", "--", "touch", "/etc/third");
      assert.match(ran.stderr, /E_FILE: .*fstab/);
      assert.ok(
        readFileSync(medium).every((byte) => byte === 0),
        "the device was written to",
      );
      inGeneration(image, id, "rm etc/fstab; mkfifo etc/fstab");
      assert.match((await attempt(image, "run", "--", "touch", "/etc/third")).stderr, /E_FILE: .*fstab/);
    } finally {
      execFileSync("losetup", ["-d", device]);
    }
    await answer(image, "list");
  });
});
