import { join } from "node:path";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { alpineMirror, fixtures } from "../test/fixtures/fixtures.ts";
import { interleave, must, printTable, ratio, row } from "./measure.ts";
import { time } from "./stopwatch.ts";
import { bootedFirn, bootedVolume, type Bench, type BenchVolume } from "./volume.ts";

const ROUNDS = 7;
/** Folders of the mirror, as the booted system sees it: those of the installation, and the new release. */
const INSTALLED = ["extras", "v3.19.1", "stand-ins"].map((name) => `/run/mirror/${name}`);
const RELEASE = "/run/mirror/v3.20.3";
const lines = (words: readonly string[]): string => words.map((word) => `${word}\n`).join("");

/** Mounts for the duration of `use`, in order, and undoes it. */
function mounted<T>(mounts: readonly (readonly string[])[], use: () => T): T {
  const done: string[] = [];
  try {
    for (const args of mounts) {
      must(["mount", ...args]);
      done.push(args.at(-1) ?? "");
    }
    return use();
  } finally {
    for (const path of done.toReversed()) must(["umount", "--recursive", path]);
  }
}

/**
 * apk alone, in a chroot of a snapshot that is mounted as firn mounts its draft: milliseconds of apk and the sync after
 * it.
 */
function bareUpgrade(bench: Bench, { top, base }: BenchVolume, mirror: string, round: number): number {
  const draft = join(top, `bare-${round}`);
  must(["btrfs", "-q", "subvolume", "snapshot", join(top, "snapshots", base, "@"), draft]);
  const mounts = [
    ["-t", "proc", "proc", join(draft, "proc")],
    ["--rbind", "/dev", join(draft, "dev")],
    ["-t", "tmpfs", "run", join(draft, "run")],
    ["-t", "tmpfs", "tmp", join(draft, "tmp")],
    ["--bind", join(top, "commons/@var@cache"), join(draft, "var/cache")],
    ["--bind", join(top, "commons/@var@log"), join(draft, "var/log")],
  ];
  return mounted(mounts, () => {
    const inside = join(draft, "run/mirror");
    mkdirSync(inside);
    return mounted([["--rbind", mirror, inside]], () => {
      const argv = ["apk", "--no-progress", "--no-network", "--keys-dir", "/run/mirror/keys", "upgrade", "--available"];
      writeFileSync(join(draft, "etc/apk/repositories"), lines([...INSTALLED, RELEASE]));
      const apk = time(bench.tools, argv, { root: draft }).milliseconds;
      const flush = time(bench.tools, ["sync", "-f", top]).milliseconds;
      const release = readFileSync(join(draft, "etc/alpine-release"), "utf8").trim();
      if (release !== "3.20.3") throw new Error(`apk upgraded to ${release}`);
      return apk + flush;
    });
  });
}

/** 3.19.1 to 3.20.3 with the real packages: firn beside apk alone. */
export async function upgrade(bench: Bench): Promise<void> {
  const { keysDir, v1 } = await fixtures();
  const volume = await bootedVolume(bench, "upgrade", "4G", (root) =>
    writeFileSync(join(root, "etc/apk/repositories"), lines(INSTALLED)),
  );
  const mirror = join(bench.folder, "mirror");
  for (const [name, from] of [
    ...["extras", "v3.19.1", "v3.20.3"].map((folder) => [folder, join(alpineMirror, folder)] as const),
    ["stand-ins", v1] as const,
    ["keys", keysDir] as const,
  ]) {
    mkdirSync(join(mirror, name), { recursive: true });
    must(["mount", "--bind", from, join(mirror, name)]);
  }
  const inside = join(volume.root, "run/mirror");
  mkdirSync(inside);
  must(["mount", "--rbind", mirror, inside]);
  const series = interleave(
    [
      { name: "apk upgrade --available, sync", run: (round) => bareUpgrade(bench, volume, mirror, round) },
      {
        name: "firn upgrade --release v3.20",
        run: () =>
          bootedFirn(
            bench,
            volume,
            ...[
              "upgrade",
              "--base",
              volume.base,
              "--release",
              "v3.20",
              "-X",
              RELEASE,
              "--keys-dir",
              "/run/mirror/keys",
            ],
          ).milliseconds,
      },
    ],
    ROUNDS,
  );
  const [bare, own] = series;
  if (bare === undefined || own === undefined) throw new Error("nothing was measured");
  const times = ratio(own, bare);
  printTable("A release upgrade, Alpine 3.19.1 to 3.20.3", "ms", [
    row(bare, bare),
    row(own, bare, { text: "≤ 1.1 × bare apk", met: times <= 1.1 }),
  ]);
}
