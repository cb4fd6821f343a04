import { listPeers } from "./list-peers.ts";
import { endPeers, peers } from "./peers.ts";
import {
  interleave,
  median,
  must,
  printTable,
  ratio,
  row,
  type Goal,
  type Row,
  type Series,
  type Subject,
} from "./measure.ts";
import { limit } from "./stopwatch.ts";
import {
  CHANGED,
  bootedFirn,
  bootedVolume,
  countNames,
  fill,
  firnSubjects,
  manyFiles,
  newIds,
  overwrite,
  prune,
  settle,
  slot,
  type Bench,
  type BenchVolume,
} from "./volume.ts";

/** Rounds; slow peers get fewer on the large root. */
const ROUNDS = 21;
const SLOW_ROUNDS = 3;

const LIMIT = "bare system calls";
const FIRN = "firn";

function find(series: readonly Series[], name: string): Series {
  const found = series.find((one) => one.name === name);
  if (found === undefined) throw new Error(`${name} was not measured`);
  return found;
}

/** firn within `factor` times the limit, and faster than the named peers, or all of them. */
function judge(series: readonly Series[], factor: number, ahead: (name: string) => boolean, who: string): Row[] {
  const [bare, own] = [find(series, LIMIT), find(series, FIRN)];
  const rivals = series.filter(
    ({ name, values }) => name !== LIMIT && !name.startsWith(FIRN) && values.length > 0 && ahead(name),
  );
  const goal: Goal = {
    text: `≤ ${factor}, ahead of ${who}`,
    met: ratio(own, bare) <= factor && rivals.every((rival) => ratio(own, rival) < 1),
  };
  return series.map((one) => row(one, bare, one === own ? goal : undefined));
}

/** A new generation with one changed file, and a rollback, on one root. Gives both for the comparison of the roots. */
async function oneRoot(
  bench: Bench,
  name: string,
  size: string,
  change?: (root: string) => void,
): Promise<{ made: Series[]; back: Series[] }> {
  const volume = await bootedVolume(bench, name, size, change);
  const { top, base } = volume;
  const files = countNames(`${top}/snapshots/${base}/@`);
  const others = peers(bench, volume, size);
  const slow = (program: string): { rounds?: number } =>
    change !== undefined && ["ostree", "rsync"].includes(program) ? { rounds: SLOW_ROUNDS } : {};
  const made = interleave(
    [
      {
        name: LIMIT,
        run: () => {
          prune(bench, volume);
          return limit(bench.tools, "generation", top, base, newIds(1)[0] ?? "", CHANGED);
        },
      },
      ...firnSubjects(
        bench,
        FIRN,
        (each) => bootedFirn(each, volume, "run", "--base", base, "--", ...overwrite(`/${CHANGED}`)).milliseconds,
      ),
      ...others.map((peer): Subject => ({ name: peer.name, run: peer.generation, ...slow(peer.program) })),
    ],
    ROUNDS,
  );
  printTable(
    `One changed file: a whole generation, ${name} root (${files} names)`,
    "ms",
    judge(made, 2.5, () => true, "every peer"),
  );
  prune(bench, volume);
  const both = [slot(top, 0), slot(top, 1)];
  const back = interleave(
    [
      { name: LIMIT, run: (round) => limit(bench.tools, "switch", top, both[round % 2] ?? base) },
      ...firnSubjects(bench, FIRN, (each) => bootedFirn(each, volume, "rollback").milliseconds),
      ...others.map((peer): Subject => ({ name: peer.name, run: peer.rollback, ...slow(peer.program) })),
    ],
    ROUNDS,
  );
  printTable(
    `Rollback, ${name} root`,
    "ms",
    judge(back, 2.5, (peer) => peer === "snapper", "snapper"),
  );
  prune(bench, volume);
  collect(bench, volume, name);
  endPeers(bench);
  end(volume);
  return { made, back };
}

/** Deleting one generation and a hundred. */
function collect(bench: Bench, volume: BenchVolume, name: string): void {
  for (const [count, rounds] of [
    [1, ROUNDS],
    [100, 5],
  ] as const) {
    const fresh = (): string[] => {
      const ids = fill(bench, volume, count);
      settle(volume);
      return ids;
    };
    const series = interleave(
      [
        { name: LIMIT, run: () => limit(bench.tools, "gc", volume.top, ...fresh()) },
        ...firnSubjects(bench, FIRN, (each) => bootedFirn(each, volume, "gc", ...fresh()).milliseconds),
      ],
      rounds,
    );
    printTable(
      `gc of ${count}, ${name} root`,
      "ms",
      series.map((one) => row(one, find(series, LIMIT))),
    );
  }
}

/** The list of 10, 100 and 1,000 generations. */
async function lists(bench: Bench): Promise<void> {
  const volume = await bootedVolume(bench, "list", "2G");
  let there = 1;
  for (const count of [10, 100, 1000]) {
    fill(bench, volume, count - there);
    there = count;
    settle(volume);
    const others = count === 1000 ? listPeers(bench) : [];
    const series = interleave(
      [
        { name: LIMIT, run: () => limit(bench.tools, "list", volume.top) },
        ...firnSubjects(bench, FIRN, (each) => bootedFirn(each, volume, "list").milliseconds),
        ...others,
      ],
      ROUNDS,
    );
    const own = find(series, FIRN);
    const rivals = series.filter(({ name, values }) => others.some((peer) => peer.name === name) && values.length > 0);
    const goal =
      count === 1000
        ? {
            text: "≤ 20 ms, ahead of every peer",
            met: median(own.values) <= 20 && rivals.every((rival) => ratio(own, rival) < 1),
          }
        : undefined;
    printTable(
      `List of ${count}`,
      "ms",
      series.map((one) => row(one, find(series, LIMIT), one === own ? goal : undefined)),
    );
  }
  endPeers(bench);
  end(volume);
}

/** Unmounts and removes a volume. */
function end({ root, top, image }: BenchVolume): void {
  must(["umount", "--recursive", root]);
  must(["umount", top]);
  must(["rm", image]);
}

/** The cost of a generation, of a rollback and of looking, on a small root and on one of more than 100,000 files. */
export async function generations(bench: Bench): Promise<void> {
  await lists(bench);
  const small = await oneRoot(bench, "small", "2G");
  const large = await oneRoot(bench, "large", "8G", manyFiles);
  for (const [what, kind] of [
    ["generation", "made"],
    ["rollback", "back"],
  ] as const) {
    const growth = (name: string): number =>
      median(find(large[kind], name).values) / median(find(small[kind], name).values);
    const [bare, own] = [growth(LIMIT), growth(FIRN)];
    console.log(
      `\nGrowth of a ${what} from the small to the large root: bare ${bare.toFixed(2)}, firn ${own.toFixed(2)} (goal: no more than the bare one's, within a tenth): ${own <= bare * 1.1 ? "met" : "missed"}`,
    );
  }
}
