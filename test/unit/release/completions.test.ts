import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { bashCompletion } from "../../../scripts/completions/bash.ts";
import { fishCompletion } from "../../../scripts/completions/fish.ts";
import { commandTree, GENERATION_WORDS, type Tree } from "../../../scripts/completions/tree.ts";
import { zshCompletion } from "../../../scripts/completions/zsh.ts";
import { requires } from "../../kit/requires.ts";

const IDS = ["20260101000000aaaaaaaa", "20260102000000bbbbbbbb"];
const ELSEWHERE = "20250101000000cccccccc";

/** Answers `list --json` as firn does; with --volume for another volume. */
const FIRN = `#!/bin/sh
case "$*" in
"list --json") echo '{"generations":[{"id":"${IDS[0]}"},{"id":"${IDS[1]}"}]}' ;;
"list --json --volume other.img") echo '{"generations":[{"id":"${ELSEWHERE}"}]}' ;;
*) exit 2 ;;
esac
`;

const root = process.getuid?.() === 0;

describe("the completions", () => {
  let work: string;
  let tree: Tree;
  const environment = () => ({
    ...process.env,
    PATH: `${join(work, "bin")}:${process.env["PATH"]}`,
    HOME: work,
    TERM: "dumb",
  });

  before(async () => {
    work = mkdtempSync(join(tmpdir(), "firn-completions-"));
    tree = await commandTree();
    mkdirSync(join(work, "bin"));
    writeFileSync(join(work, "bin/firn"), FIRN);
    chmodSync(join(work, "bin/firn"), 0o755);
    mkdirSync(join(work, "site"));
    writeFileSync(join(work, "firn.bash"), bashCompletion(tree));
    writeFileSync(join(work, "site/_firn"), zshCompletion(tree));
    writeFileSync(join(work, "firn.fish"), fishCompletion(tree));
    writeFileSync(join(work, "other.img"), "");
  });
  after(() => rmSync(work, { recursive: true, force: true }));

  const below = (...path: string[]) =>
    [...tree.verbs, ...tree.groups]
      .filter((one) => one.path.length === path.length + 1 && path.every((word, i) => one.path[i] === word))
      .map((one) => one.path.at(-1)!);
  const flagsOf = (name: string) =>
    tree.verbs.find(({ path }) => path.join(" ") === name)!.flags.map((flag) => flag.name);

  const SHELLS = {
    bash: (words: readonly string[]) => {
      const script =
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _firn; printf "%s\\n" "${COMPREPLY[@]}"';
      const args = ["--norc", "-c", script, "bash", join(work, "firn.bash"), ...words];
      return execFileSync("bash", args, { encoding: "utf8", cwd: work, env: environment() });
    },
    fish: (words: readonly string[]) => {
      const args = [
        "--no-config",
        "-c",
        'source $argv[1]; complete -C "$argv[2]"',
        join(work, "firn.fish"),
        words.join(" "),
      ];
      return execFileSync("fish", args, { encoding: "utf8", cwd: work, env: environment() }).replace(/\t.*/g, "");
    },
  };

  for (const shell of ["bash", "fish"] as const) {
    const run = SHELLS[shell];
    const complete = (...words: string[]) =>
      run(words)
        .split("\n")
        .filter((word) => word !== "")
        .sort();

    describe(`for ${shell}`, { skip: requires(shell) }, () => {
      it("offer the commands, those of a group, and those that begin so", () => {
        assert.deepEqual(complete("firn", ""), below().sort());
        assert.deepEqual(complete("firn", "commons", ""), below("commons").sort());
        assert.deepEqual(complete("firn", "commons", "re"), ["remove"]);
        assert.deepEqual(complete("firn", "st"), ["status"]);
      });

      it("offer each command's own flags", () => {
        for (const { path } of tree.verbs) {
          const offered = complete("firn", ...path, "--");
          assert.deepEqual(offered, flagsOf(path.join(" ")).sort(), path.join(" "));
        }
      });

      it("offer what a flag takes, and then the argument again", () => {
        assert.deepEqual(complete("firn", "image", "--flavor", ""), ["lts", "stable", "virt"]);
        assert.deepEqual(complete("firn", "install", "--config", "other"), ["other.img"]);
        assert.deepEqual(complete("firn", "install", "--hostname", ""), []);
        assert.deepEqual(complete("firn", "install", "--hostname", "web", "other"), ["other.img"]);
      });

      it("offer generations where one belongs, and nowhere else", () => {
        const all = [...GENERATION_WORDS, ...(root ? IDS : [])].sort();
        assert.deepEqual(complete("firn", "switch", ""), all);
        assert.deepEqual(complete("firn", "add", "--base", ""), all);
        assert.deepEqual(complete("firn", "diff", "booted", "cu"), ["current"]);
        assert.deepEqual(complete("firn", "diff", "booted", "current", "p"), []);
        assert.deepEqual(complete("firn", "gc", "a", "b", "cu"), ["current"]);
        if (root) assert.deepEqual(complete("firn", "show", "2026010200"), [IDS[1]]);
      });

      it("look into the volume that the command line names", { skip: requires("root") }, () => {
        const expected = [ELSEWHERE, ...GENERATION_WORDS].sort();
        assert.deepEqual(complete("firn", "show", "--volume", "other.img", ""), expected);
      });

      it("offer a command and its files after --", () => {
        assert.ok(complete("firn", "run", "--", "slee").includes("sleep"));
        assert.deepEqual(complete("firn", "run", "--", "sleep", "oth"), ["other.img"]);
      });
    });
  }

  it(
    "for bash complete what follows an equals sign, which bash makes a word of its own",
    { skip: requires("bash") },
    () => {
      assert.deepEqual(SHELLS.bash(["firn", "image", "--flavor", "=", "v"]).trim(), "virt");
      assert.deepEqual(SHELLS.bash(["firn", "image", "--flavor", "="]).trim().split("\n"), ["lts", "virt", "stable"]);
    },
  );

  it("for zsh load through compinit and complete commands, flags and generations", { skip: requires("zsh") }, () => {
    // zsh completes only in a line editor: one is run on a pseudo terminal, and lists what it would offer.
    const script = `
zmodload zsh/zpty
zpty line zsh -f -i
zpty -w line "unset zle_bracketed_paste; PS1= PS2= PROMPT_EOL_MARK=; stty cols 200; fpath=($SITE \\$fpath); autoload -U compinit; compinit -u -D; zstyle ':completion:*' list-prompt ''; LISTMAX=10000; bindkey '^I' list-choices; cd $WORK; zle-line-init() { print REA''DY }; zle -N zle-line-init"
for text in "$@"; do
  # What is typed before the line editor runs is text to it, not keys.
  while zpty -r line out; do [[ $out == *READY* ]] && break; done
  zpty -w -n line "$text"$'\\t'$'\\C-u'"print DO''NE"$'\\n'
  while zpty -r line out; do print -r -- "$out"; [[ $out == *DONE* ]] && break; done
  print -r -- "--------"
done
zpty -d line
`;
    const args = ["-f", "-c", script, "zsh", "firn ", "firn switch ", "firn image --fl", "firn commons "];
    const { stdout, stderr } = spawnSync("zsh", args, {
      encoding: "utf8",
      cwd: work,
      timeout: 30_000,
      env: { ...environment(), SITE: join(work, "site"), WORK: work },
    });
    const [commands = "", generations = "", flags = "", commons = ""] = stdout.split("--------");
    for (const word of below()) assert.match(commands, new RegExp(`\\b${word}\\b`), stdout + stderr);
    for (const word of [...GENERATION_WORDS, ...(root ? IDS : [])]) assert.ok(generations.includes(word), stdout);
    assert.match(flags, /--flavor/);
    for (const word of below("commons")) assert.match(commons, new RegExp(`\\b${word}\\b`), stdout);
  });

  it("are read by their shells without complaint", () => {
    for (const [shell, file] of [
      ["bash", "firn.bash"],
      ["zsh", "site/_firn"],
      ["fish", "firn.fish"],
    ] as const)
      if (requires(shell) === false) execFileSync(shell, ["-n", join(work, file)]);
  });

  it("know the words that mean a generation, as the selector does", () => {
    const selector = readFileSync(resolve(import.meta.dirname, "../../../src/model/volume/selector.ts"), "utf8");
    const known = [...selector.matchAll(/word === "([a-z]+)"/g)].map(([, word]) => word!);
    assert.deepEqual(known.sort(), [...GENERATION_WORDS].sort());
  });
});
