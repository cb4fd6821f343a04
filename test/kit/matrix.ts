/**
 * Every verb of the command tree with words that make it do its work, on a stage of its own: what holds for all verbs
 * is tried on each.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { commandTree, type Verb } from "../../scripts/completions/tree.ts";
import { alpineMirror, fixtures } from "../fixtures/fixtures.ts";
import { attached } from "./disk.ts";
import { behind, firnBinary, withLent, type Ran } from "./firn.ts";
import { baseImage, machineFlags } from "./image.ts";
import { on } from "./verbs.ts";
import { workFolder } from "./world.ts";

/** What a verb works on: a copy of the prepared volume, an empty disk, a name for an image, or nothing. */
type Kind = "volume" | "disk" | "file" | "none";

interface Row {
  readonly on?: Kind;
  readonly words?: readonly string[];
  readonly input?: string;
}

/** By verb, what follows it. The disk or file of an installation comes first by itself. */
const rows: Readonly<Record<string, Row>> = {
  install: { on: "disk", words: ["--yes"] },
  image: { on: "file", words: ["--size", "1G"] },
  list: {},
  status: {},
  show: { words: ["1"] },
  diff: { words: ["1", "0"] },
  upgrade: { words: ["-X", join(alpineMirror, "v3.19.4")] },
  add: { words: ["zstd"] },
  del: { words: ["jq"] },
  run: { words: ["--", "sh", "-c", "echo talk; echo >/etc/matrix"] },
  shell: { input: "echo talk; echo >/etc/matrix\n" },
  edit: { words: ["/etc/motd"] },
  rollback: {},
  switch: { words: ["2"] },
  pin: { words: ["1"] },
  unpin: { words: ["2"] },
  describe: { words: ["1", "for the matrix"] },
  confirm: {},
  gc: { words: ["--keep", "0"] },
  "commons list": {},
  "commons add": { words: ["/opt/matrix"] },
  "commons remove": { words: ["/opt/kept"] },
  "commons delete": { words: ["@opt@old", "--yes"] },
  config: { on: "none", words: ["--example"] },
};

const tree = await commandTree();

/** The tree's verbs by name. Throws when the table lacks one, or has one too many. */
export function verbs(): ReadonlyMap<string, Verb> {
  const named = new Map(tree.verbs.map((verb) => [verb.path.join(" "), verb]));
  const odd = [...new Set([...named.keys(), ...Object.keys(rows)])].filter((name) => !named.has(name) || !rows[name]);
  if (odd.length > 0) throw new Error(`test/kit/matrix.ts and the command tree differ: ${odd.join(", ")}`);
  return named;
}

export function has(verb: Verb, flag: string): boolean {
  return verb.flags.some(({ name }) => name === flag);
}

/** One verb, ready to run. */
export interface Stage extends Disposable {
  readonly name: string;
  readonly kind: Kind;
  /** The image, the file behind the disk, or the image to be made. */
  readonly file: string;
  readonly args: readonly string[];
  readonly input: string;
}

/** Stages and what lies around them, for the suite that asks. */
export class Matrix {
  readonly folder = workFolder("matrix");
  /** Lent as /run and /var/cache: nobody else's firn writes there. */
  readonly run = join(this.folder, "run");
  readonly cache = join(this.folder, "cache");
  private volume = "";
  private count = 0;

  constructor() {
    for (const path of [this.run, this.cache]) mkdirSync(path);
  }

  /**
   * A volume on which each verb finds something to do: a history, a pinned slot 2, a commons in use and one that is
   * not.
   */
  private async prepared(): Promise<string> {
    if (this.volume !== "") return this.volume;
    const image = join(this.folder, "volume.img");
    execFileSync("cp", ["--sparse=always", "--reflink=auto", await baseImage(), image]);
    await on(image, "commons add", "/opt/kept");
    await on(image, "commons add", "/opt/old");
    await on(image, "commons remove", "/opt/old");
    await on(image, "add", "jq");
    for (const number of [1, 2]) await on(image, "run", "--", "touch", `/etc/number-${number}`);
    await on(image, "pin", "2");
    this.volume = image;
    return image;
  }

  async stage(name: string): Promise<Stage> {
    const { on: kind = "volume", words = [], input = "" } = rows[name] ?? {};
    const file = join(this.folder, `${++this.count}.img`);
    const stage = (args: readonly string[], release?: Disposable): Stage => ({
      ...{ name, kind, file, input, args: withLent([...name.split(" "), ...args]) },
      [Symbol.dispose]: () => {
        release?.[Symbol.dispose]();
        rmSync(file, { force: true });
      },
    });
    switch (kind) {
      case "volume": {
        execFileSync("cp", ["--sparse=always", "--reflink=auto", await this.prepared(), file]);
        const keys = name === "upgrade" ? ["--keys-dir", (await fixtures()).keysDir] : [];
        return stage(["--volume", file, ...keys, ...words]);
      }
      case "disk": {
        writeFileSync(file, "");
        truncateSync(file, 2 ** 30);
        const disk = attached(file);
        return stage([disk.device, ...(await machineFlags()), ...words], disk);
      }
      case "file":
        return stage([file, ...(await machineFlags()), ...words]);
      case "none":
        return stage(words);
      default:
        return kind satisfies never;
    }
  }

  /** What a command line begins with so that it sees this matrix's /run and /var/cache as the machine's. */
  within(script = ":"): string[] {
    return behind(`mount --bind ${this.run} /run; mount --bind ${this.cache} /var/cache; ${script}`);
  }

  /** Runs a stage, `more` being flags, and `wrapper` what firn is started by. */
  async perform({ args, input }: Stage, more: readonly string[] = [], wrapper: readonly string[] = []): Promise<Ran> {
    return this.execute([...wrapper, await firnBinary(), ...withFlags(args, more)], input);
  }

  async execute(argv: readonly string[], input = ""): Promise<Ran> {
    const [program = "", ...rest] = [...this.within(), ...argv];
    const { status, stdout, stderr } = spawnSync(program, rest, {
      encoding: "utf8",
      input,
      maxBuffer: 1 << 28,
      env: { ...process.env, EDITOR: "cp /etc/hostname" },
    });
    return { status: status ?? 128, stdout, stderr };
  }
}

/** Flags come before `--`, behind which words are the command's. */
export function withFlags(args: readonly string[], more: readonly string[]): string[] {
  const end = args.indexOf("--");
  return end < 0 ? [...args, ...more] : [...args.slice(0, end), ...more, ...args.slice(end)];
}
