import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { before, describe, test } from "node:test";
import { firnBinary } from "../../kit/firn.ts";
import { requires } from "../../kit/requires.ts";
import { commandLine, on } from "../../kit/verbs.ts";
import { fileIn, has } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

const skip = requires("root", "loop", "mirror");

/** Milliseconds after which a dialogue has come to a stand. */
const STAND = 60_000;

describe("firn at a terminal", { skip }, () => {
  const world = ownWorld();
  let image = "";
  before(async () => {
    image = await world.image();
  });

  /** Runs `before; firn …; after` on a terminal of script(1)'s; types each answer once its question was printed. */
  async function dialogue(args: string[], answers: [question: RegExp, answer: string][], after = ""): Promise<string> {
    const line = [await firnBinary(), ...args].map((word) => `'${word}'`).join(" ");
    const child = spawn("script", ["-qec", `${line}; echo ended $?; ${after}`, "/dev/null"], {
      stdio: ["pipe", "pipe", "ignore"],
      env: { ...process.env, SHELL: "/bin/sh" },
    });
    let [said, seen] = ["", 0];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      const [next] = answers;
      const found = next?.[0].exec(said.slice(seen));
      if (next === undefined || !found) return;
      seen += found.index + found[0].length;
      answers.shift();
      child.stdin.write(`${next[1]}\n`);
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), STAND);
    await once(child, "close");
    clearTimeout(timer);
    assert.deepEqual(answers, [], said);
    return said;
  }

  test("a shell that ends non-zero is asked about, its prompt names the draft, and reboot says what it did", async () => {
    const prompt = /firn draft \d{14}\w{8} .*# /;
    const said = await dialogue(
      commandLine(image, "shell"),
      [
        [prompt, "reboot"],
        [/no init that could reboot/, "echo typed > /etc/typed"],
        [prompt, "exit 3"],
        [/Keep its changes\? \[y\/N\] /, "y"],
        [/ended 0/, "words"],
      ],
      "read line; echo read $line",
    );
    // Who uses the terminal next has it.
    assert.match(said, /^read words/m);
    assert.equal(fileIn(image, "etc/typed"), "typed\n");
  });

  test("^C at a command in the draft stops it, and firn undoes the draft", async () => {
    const argv = ["run", "--", "sh", "-c", "touch /etc/stopped; echo begun; sleep 50"];
    const said = await dialogue([...argv.slice(0, 1), "--volume", image, ...argv.slice(1)], [[/^begun/m, "\u0003"]]);
    assert.match(said, /^ended [1-9]/m);
    assert.ok(!has(image, "etc/stopped"));
  });

  test("words after the command of `run` are the command's; --json of firn's own is not among them", async () => {
    const ran = await on(image, "run", "sed", "-n", "s/^\\(root\\):.*/only \\1/p", "/etc/passwd");
    assert.match(ran.stdout, /^only root$/m);
    const flags = await on(image, "run", "--description", "x", "echo", "--json", "--", "--dry-run", "-X");
    assert.match(flags.stdout, /^--json -- --dry-run -X$/m);
    assert.match((await on(image, "run", "-n", "rm", "-n", "/etc/motd")).stdout, /rm -n \/etc\/motd|Make|generation/);
  });
});
