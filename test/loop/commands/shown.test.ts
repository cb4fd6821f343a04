/** What firn shows, and what it does not: names and words do nothing at a terminal, secrets stay where they are. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { Problem } from "../../../src/model/problem.ts";
import { attached } from "../../kit/disk.ts";
import { firn } from "../../kit/firn.ts";
import { machineFlags } from "../../kit/image.ts";
import { requires } from "../../kit/requires.ts";
import { answer, attempt, current, list, on, refused } from "../../kit/verbs.ts";
import { mounted } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

/** What a terminal would obey, a line end aside. */
const OBEYED = /(?![\t\n])[\p{Cc}\u202a-\u202e]/u;

function assertHarmless(text: string, forged: RegExp): void {
  assert.doesNotMatch(text, OBEYED);
  assert.doesNotMatch(text, forged);
}

describe("what is shown", { skip }, () => {
  const world = ownWorld();

  test("names, descriptions and labels reach no terminal raw, and forge no line", async () => {
    const image = await world.image();
    const script = `printf 'x\\n' > "$(printf '/etc/one\\nE_FORGED: two\\033[2J')"; touch "$(printf '/opt/gpj.\\342\\200\\256exe')"`;
    await on(image, "run", "--description", "a\nE_FORGED: b\u001b[31m", "--", "sh", "-c", script);
    mounted(image, (top) => mkdirSync(`${top}/commons/@one\nE_FORGED: \u001b[2J`), "rw");
    for (const verb of ["diff", "list", "status", "show", "commons list"]) {
      const { stdout, stderr } = await on(image, verb);
      assert.match(stdout, /\\n|\\u/, verb);
      assertHarmless(stdout + stderr, /^E_FORGED/m);
    }
    assert.match((await on(image, "diff")).stdout, /^\+ \/etc\/one\\nE_FORGED: two\\u001b\[2J$/m);
    const nested = await attempt(image, "run", "--", "sh", "-c", "mkdir \"$(printf '/opt/\\033[2J')\"; exit 3");
    assertHarmless(nested.stderr, /^E_FORGED/m);
    for (const words of [["show", "\u001b[2J\nE_FORGED: x"], ["\u001b[2J"], ["list", "--\u001b[2J"]]) {
      const { stderr } = await firn([...words, "--volume", image]);
      assertHarmless(stderr, /^E_FORGED/m);
    }
  });

  test("the label of a foreign disk's partition is shown, and does nothing", async () => {
    const disk = join(world.folder, "foreign.img");
    writeFileSync(disk, "");
    truncateSync(disk, 2 ** 31);
    const label = "1:a\nE_FORGED b\u001b[2J";
    execFileSync("sgdisk", ["-n", "1:2048:+8M", "-c", label, disk], { stdio: "ignore" });
    using loop = attached(disk);
    for (const flags of [["--dry-run"], []]) {
      const { stdout, stderr } = await firn(["install", loop.device, ...(await machineFlags()), ...flags]);
      assert.match(stdout + stderr, /"a\\nE_FORGED b\\u001b\[2J": 8\.4 MB/);
      assertHarmless(stdout + stderr, /^E_FORGED/m);
    }
  });

  test("diff names a file that not everybody may read, or that holds a secret, and shows nothing of it", async () => {
    const image = await world.image();
    const secret = "hunter2-hunter2";
    await on(image, "run", "--", "sh", "-c", `umask 077; echo ${secret} > /etc/soon-public`);
    const script = [
      `echo 'joe:$6$salt$${secret}:1::::::' >> /etc/shadow`,
      `cp /etc/shadow /etc/shadow-; cp /etc/shadow /etc/copy; chmod 644 /etc/copy`,
      `mkdir -p /etc/ssh /etc/wpa_supplicant; install -d -m 700 /etc/wireguard`,
      `echo ${secret} > /etc/ssh/ssh_host_x_key; chmod 600 /etc/ssh/ssh_host_x_key`,
      `printf -- '-----BEGIN EC PRIVATE KEY-----\\n${secret}\\n' > /etc/ssh/host.pem`,
      `printf 'network={\\n\\tpsk="${secret}"\\n}\\n' > /etc/wpa_supplicant/wpa_supplicant.conf`,
      `echo ${secret} > /etc/wireguard/wg0.conf; chmod 644 /etc/wireguard/wg0.conf`,
      `echo public > /etc/soon-public; chmod 644 /etc/soon-public`,
      `echo shown > /etc/motd`,
    ].join("; ");
    await on(image, "run", "--", "sh", "-c", script);
    const { hidden, texts } = await answer<{ hidden: string[]; texts: { path: string }[] }>(image, "diff");
    assert.deepEqual(hidden, [
      "/etc/copy",
      "/etc/shadow",
      "/etc/shadow-",
      "/etc/soon-public",
      "/etc/ssh/host.pem",
      "/etc/ssh/ssh_host_x_key",
      "/etc/wireguard/wg0.conf",
      "/etc/wpa_supplicant/wpa_supplicant.conf",
    ]);
    assert.deepEqual(
      texts.map(({ path }) => path),
      ["/etc/motd"],
    );
    const { stdout } = await on(image, "diff");
    assert.doesNotMatch(stdout, new RegExp(secret));
    assert.match(stdout, /^~ \/etc\/shadow \(content, time\)$/m);
    assert.match(stdout, /^\+shown$/m);
    assert.match(stdout, /^Not shown, since it may be secret: .*\/etc\/shadow, /m);
  });

  test("of a command's words, which may be secret, nothing is noted or told", async () => {
    const image = await world.image();
    const words = ["sh", "-c", "echo $0 > /etc/words", "hunter2", "--password=hunter2", "https://joe:hunter2@host/"];
    const ran = await on(image, "run", ...words);
    assert.match(ran.stderr, /Run sh \.\.\.$/m);
    const failed = await attempt(image, "run", "sh", "-c", "exit 3", "hunter2");
    assert.match(failed.stderr, /`sh \.\.\.` ended with exit code 3/);
    const id = await current(image);
    const told = [ran.stdout + ran.stderr, failed.stderr];
    for (const verb of ["list", "show", "status", "list --json", "show --json"])
      told.push((await on(image, verb)).stdout);
    told.push(mounted(image, (top) => readFileSync(`${top}/snapshots/${id}/generation.json`, "utf8")));
    for (const text of told) assert.doesNotMatch(text, /hunter2/);
    assert.match(told[3] ?? "", /^Made by: +firn run -- sh \.\.\.$/m);
  });

  test("--keep-draft leaves the draft of a failed change for a look, until the next change", async () => {
    const image = await world.image();
    const before = await list(image);
    const script = ["sh", "-c", "echo kept > /etc/kept; exit 3"];
    const { error } = JSON.parse((await attempt(image, "run", "--json", "--keep-draft", "--", ...script)).stdout) as {
      error: Problem;
    };
    assert.deepEqual([error.code, error.effect], ["E_COMMAND", "draft kept"]);
    const [draft = ""] = (await list(image)).drafts;
    assert.equal(error.about, draft);
    assert.equal(
      mounted(image, (top) => readFileSync(`${top}/snapshots/${draft}/@/etc/kept`, "utf8")),
      "kept\n",
    );
    assert.deepEqual((await list(image)).slots, before.slots);
    const unfit = await attempt(image, "run", "--keep-draft", "--", "rm", "/sbin/init");
    assert.match(unfit.stderr, /\] Delete the draft /);
    const [second = ""] = (await list(image)).drafts;
    assert.match(unfit.stderr, new RegExp(`^E_UNFIT: .* is kept .*subvol=/snapshots/${second}/@ `, "m"));
    assert.notEqual(second, draft);
    assert.ok(!mounted(image, (top) => existsSync(`${top}/snapshots/${second}/@/sbin/init`)));
    await refused("E_COMMAND", image, "run", "--", "false");
    assert.deepEqual((await list(image)).drafts, []);
  });
});
