import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { before, describe, test } from "node:test";
import { ACL, NET_RAW, buildAttributeTool } from "../../kit/probes/attribute-tool.ts";
import { firn, firnBinary } from "../../kit/firn.ts";
import { assertRefused } from "../../kit/refused.ts";
import { requires } from "../../kit/requires.ts";
import { answer, commandLine, on } from "../../kit/verbs.ts";
import { mounted } from "../../kit/volume.ts";
import { ownWorld, workFolder } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

interface Diff {
  files: { path: string; kind: string; what: string[] }[];
  texts: { path: string; text: string }[];
}

/** What is done in a draft in which everything below /opt was made before; and what diff says of it. */
const changes: readonly (readonly [what: string, script: string, told: string])[] = [
  ["file capabilities", `$set /bin/busybox security.capability ${NET_RAW}`, "~ /bin/busybox (security.capability)"],
  ["a POSIX ACL", `$set /opt/file system.posix_acl_access ${ACL}`, "~ /opt/file (mode, system.posix_acl_access)"],
  ["a user's attribute", "$set /opt/file user.note 61", "~ /opt/file (user.note)"],
  ["a trusted attribute of a symlink", "$set /opt/link trusted.note 61", "~ /opt/link (trusted.note)"],
  ["the value of an attribute", "$set /opt/noted user.note 62", "~ /opt/noted (user.note)"],
  ["a property of btrfs", "$set /opt btrfs.compression 7a737464", "~ /opt (btrfs.compression, flags)"],
  ["the immutable flag", "chattr +i /opt/file", "~ /opt/file (flags)"],
  ["no copy on write", "chattr +C /opt", "~ /opt (flags)"],
  ["a time alone", "touch -d '2001-02-03 04:05:06' /opt/file", "~ /opt/file (time)"],
  ["a directory's time alone", "touch -d '2001-02-03 04:05:06' /opt/folder", "~ /opt/folder (time)"],
  ["a hard link made of two", "ln -f /opt/file /opt/twin", "~ /opt/file (links)"],
  ["the other of two hard links", "echo more >> /opt/one", "~ /opt/two (content, time)"],
  ["the numbers of a device", "rm /opt/node; mknod /opt/node c 1 5", "~ /opt/node (device, time)"],
  ["a pipe in place of a file", "rm /opt/file; mkfifo /opt/file", "~ /opt/file (type)"],
  ["the root itself", "chmod 0711 /", "~ / (mode)"],
  ["the mode of fstab", "chmod 0600 /etc/fstab", "~ /etc/fstab (content, mode, time)"],
  ["a link in place of a directory", "mv /opt/folder /opt/f; ln -s f /opt/folder", "- /opt/folder/inside"],
  ["a file of another name", "echo changed > \"/opt/$(printf 'caf\\351')\"", "~ /opt/caf\xe9 (content, time)"],
  ["a link to another name", "ln -sfn \"$(printf 'n\\351')\" /opt/odd", "~ /opt/odd (content, time)"],
];

const setUp = `mkdir -p /opt/folder; cd /opt; touch folder/inside file noted one; echo content > "$(printf 'caf\\351')"
  $set noted user.note 61; cp -p file twin; ln one two; ln -s file link; ln -s "$(printf 'n\\350')" odd; mknod node c 1 3`;

describe("what a tree has beside names, sizes and times of files", { skip }, () => {
  const world = ownWorld();
  const tool = "/var/tmp/set-attribute";
  let image = "";
  const shell = (script: string): string[] => ["--", "sh", "-ec", script.replaceAll("$set", tool)];
  before(async () => {
    image = await world.image();
    const built = buildAttributeTool(workFolder("tool"));
    mounted(image, (top) => copyFileSync(built, `${top}/commons/@var@tmp/set-attribute`), "rw");
    await on(image, "run", ...shell(setUp));
  });

  for (const [what, script, told] of changes) {
    test(`${what}: makes a generation, and diff tells it`, async () => {
      const own = world.copy(image);
      const made = await answer(own, "run", ...shell(script));
      assert.equal(made.changed, true);
      const words = await firn(commandLine(own, "diff", "--json"));
      const { files } = JSON.parse(words.stdout) as Diff;
      const signs: Record<string, string> = { added: "+", removed: "-", changed: "~" };
      const lines = files.map(
        ({ path, kind, what: aspects }) =>
          `${signs[kind]} ${path}${aspects.length === 0 ? "" : ` (${aspects.toSorted().join(", ")})`}`,
      );
      // A byte that is no UTF-8 is U+DC00 and the byte in JSON.
      assert.ok(lines.includes(told.replace("\xe9", "\udce9")), lines.join("\n"));
      world.drop(own);
    });
  }

  test("what is written anew counts, though firn sees no difference: it need not see everything", async () => {
    const own = world.copy(image);
    assert.equal((await answer(own, "run", ...shell("chmod 0644 /opt/file"))).changed, true);
    assert.match((await on(own, "diff")).stdout, /No file differs/);
    world.drop(own);
  });

  test("words of the command line, a line of fstab and what is shown keep bytes that are no UTF-8", async () => {
    const own = world.copy(image);
    const program = await firnBinary();
    const run = (script: string): Buffer => execFileSync("sh", ["-c", script, program, own], { stdio: "pipe" });
    run(`"$0" run --volume "$1" -- touch "$(printf '/etc/caf\\351')"`);
    await on(own, "run", ...shell("printf '# n\\351v\\303\\251\\n' >> /etc/fstab"));
    await on(own, "run", "--", "touch", "/etc/after");
    mounted(own, (top) => {
      const root = `${top}/current/0/@`;
      assert.ok(readdirSync(`${root}/etc`, "latin1").includes("caf\xe9"));
      assert.ok(readFileSync(`${root}/etc/fstab`, "latin1").includes("# n\xe9v\xc3\xa9\n"));
      assert.ok(readFileSync(`${top}/fstab`, "latin1").includes("# n\xe9v\xc3\xa9\n"));
    });
  });

  test("folders nested deeper than firn goes are said to be, without pages of its inside", async () => {
    const deep = world.copy(image);
    const nest = "cd /opt; n=0; while [ $n -lt 1500 ]; do mkdir d; cd d; n=$((n+1)); done";
    const ran = await firn(commandLine(deep, "run", "--", "sh", "-c", nest));
    assertRefused(ran, { code: "E_FILE", message: /nested too deep/ });
  });

  test("reading everything is no change", async () => {
    const own = world.copy(image);
    const read = "find / -xdev -type f | xargs cat > /dev/null; find / -xdev -type l | xargs ls -l > /dev/null";
    assert.match((await on(own, "run", ...shell(read))).stdout, /Nothing changed/);
  });

  test("a base that was written by hand after its snapshot is compared whole", async () => {
    const own = world.copy(image);
    const made = await answer(own, "run", "--", "touch", "/etc/one");
    mounted(
      own,
      (top) => {
        const root = `${top}/snapshots/${made.parent}/@`;
        const set = (readonly: boolean): void =>
          void execFileSync("btrfs", ["property", "set", "-f", root, "ro", `${readonly}`]);
        set(false);
        writeFileSync(`${root}/opt/file`, "by hand");
        set(true);
      },
      "rw",
    );
    const { files } = await answer<Diff>(own, "diff");
    assert.deepEqual(
      files.map(({ path, what }) => `${path} ${what.join()}`),
      ["/etc/one ", "/opt/file content,time"],
    );
    // Nothing of the hand's work is in question for the next change: its base is another.
    assert.match((await on(own, "run", "--", "true")).stdout, /Nothing changed/);
  });

  test("the text of a file below /etc whose name is no UTF-8 is shown, under its own name", async () => {
    const own = world.copy(image);
    await on(own, "run", ...shell("echo text > \"/etc/$(printf 'caf\\351')\""));
    const { texts } = await answer<Diff>(own, "diff");
    assert.deepEqual(
      texts.map(({ path }) => path),
      ["/etc/caf\udce9"],
    );
    assert.match(texts[0]?.text ?? "", /^\+text$/m);
  });
});
