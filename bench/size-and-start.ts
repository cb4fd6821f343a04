import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { baseImage, machineFlags } from "../test/kit/image.ts";
import { installed, interleave, median, must, printTable, ratio, row, type Series, type Subject } from "./measure.ts";
import { time, trace, type Trace } from "./stopwatch.ts";
import { bootedFirn, bootedVolume, firnSubjects, type Bench } from "./volume.ts";

const MEBIBYTE = 1024;

function only(series: readonly Series[], name: string): Series {
  const found = series.find((one) => one.name === name);
  if (found === undefined) throw new Error(`${name} was not measured`);
  return found;
}

function starts({ tools, firn, before }: Bench): void {
  const programs: [name: string, argv: string[]][] = [
    ["true", ["true"]],
    ["firn --version", [firn, "--version"]],
    ...(before === undefined ? [] : [["firn --version, before", [before, "--version"]] as [string, string[]]]),
    ["snapper --version", ["snapper", "--version"]],
    ["ostree --version", ["ostree", "--version"]],
    ["node -e 0", ["node", "-e", "0"]],
  ];
  const present = programs.filter(([, [program = ""]]) => installed(program));
  const subjects = present.map(([name, argv]): Subject => ({ name, run: () => time(tools, argv).milliseconds }));
  const series = interleave(subjects, 31);
  const own = only(series, "firn --version");
  const snapper = series.find(({ name }) => name === "snapper --version");
  printTable(
    "Start (ratio: to firn)",
    "ms",
    series.map((one) => {
      if (one === own) {
        const ahead = snapper === undefined || ratio(own, snapper) < 1;
        return row(one, own, { text: "≤ 6 ms, ahead of snapper", met: median(own.values) <= 6 && ahead });
      }
      return row(one, own);
    }),
  );
  for (const [name] of programs.filter((program) => !present.includes(program))) console.log(`${name}: not installed`);
}

async function reading(bench: Bench): Promise<void> {
  const volume = await bootedVolume(bench, "reading", "2G");
  const image = join(bench.folder, "reading-image.img");
  // Its own copy: the booted one is mounted, and an image that is not is what --volume is for.
  must(["cp", "--sparse=always", await baseImage("2G"), image]);
  const series = interleave(
    [
      ...firnSubjects(bench, "firn status, booted", (each) => bootedFirn(each, volume, "status").milliseconds),
      ...firnSubjects(bench, "firn list, booted", (each) => bootedFirn(each, volume, "list").milliseconds),
      {
        name: "firn status --volume IMAGE",
        run: () => time(bench.tools, [bench.firn, "status", "--volume", image]).milliseconds,
      },
      {
        name: "firn list --volume IMAGE",
        run: () => time(bench.tools, [bench.firn, "list", "--volume", image]).milliseconds,
      },
    ],
    21,
  );
  printTable(
    "Looking",
    "ms",
    series.map((one) => {
      const goal = one.name.endsWith("booted") ? { text: "≤ 10 ms", met: median(one.values) <= 10 } : undefined;
      return row(one, undefined, goal);
    }),
  );
  const peak = trace(bench.tools, [bench.firn, "status", "--volume", image]).peak;
  const values = [peak / MEBIBYTE];
  printTable("firn's own peak memory: status", "MiB", [
    row({ name: "firn status --volume IMAGE", values }, undefined, { text: "≤ 16 MiB", met: peak <= 16 * MEBIBYTE }),
  ]);
}

async function installation({ tools, firn, folder }: Bench): Promise<void> {
  const flags = await machineFlags();
  const traces: Trace[] = [];
  for (let round = 0; round < 3; round++) {
    const image = join(folder, `installation-${round}.img`);
    traces.push(trace(tools, [firn, "image", image, "--size", "2G", ...flags]));
    rmSync(image, { force: true });
  }
  const whole = { name: "firn image", values: traces.map(({ milliseconds }) => milliseconds) };
  const children = { name: "the programs that it runs", values: traces.map((one) => one.children) };
  const times = ratio(whole, children);
  const peak = Math.max(...traces.map((one) => one.peak));
  printTable("Installation into an image", "ms", [
    row(children),
    row(whole, children, { text: "≤ 1.15 × its programs", met: times <= 1.15 }),
  ]);
  printTable("firn's own peak memory: installation", "MiB", [
    row({ name: "firn image", values: traces.map((one) => one.peak / MEBIBYTE) }, undefined, {
      text: "≤ 48 MiB",
      met: peak <= 48 * MEBIBYTE,
    }),
  ]);
}

/** Size, start, memory, and what an installation costs beside its programs. */
export async function sizeAndStart(bench: Bench): Promise<void> {
  const bytes = statSync(bench.firn).size;
  printTable("Size of the binary", "MiB", [
    row({ name: "dist/firn", values: [bytes / 1024 ** 2] }, undefined, { text: "≤ 2 MB", met: bytes <= 2e6 }),
  ]);
  starts(bench);
  await reading(bench);
  await installation(bench);
}
