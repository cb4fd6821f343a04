import { newGenerationId } from "../apply/draft.ts";
import { changeMaker } from "../apply/make-change.ts";
import type { PackageWish } from "../apply/packages.ts";
import { prepareChange, type PreparedChange } from "../apply/prepare-change.ts";
import { Transaction, type Outcome } from "../apply/transaction.ts";
import { awaitFreed } from "../host/volume/space.ts";
import { environment, workingDirectory } from "../host/machine/terminal.ts";
import { normaliseRepository } from "../model/packages/conf.ts";
import { parseRelease } from "../model/packages/release.ts";
import { defaultFirnConfig, type FirnConfig } from "../model/machine/firn-toml.ts";
import { approximateSize } from "../model/text/size.ts";
import { commonsOf } from "../model/volume/fstab.ts";
import type { GenerationId } from "../model/volume/ids.ts";
import { FirnError, isRefusal, orThrow } from "../model/problem.ts";
import { select } from "../model/volume/selector.ts";
import type { VolumeState } from "../model/volume/state.ts";
import { GENERATION_OVERHEAD, describeStep, planChange, type Change } from "../plan/change.ts";
import { changeText } from "../report/format.ts";
import type { Result } from "../report/result.ts";
import { writing, type WriteFlags, type WriteSession } from "./session.ts";

export interface ChangeFlags extends WriteFlags {
  repository?: readonly string[];
  keysDir?: string;
  save?: boolean;
  base?: string;
  description?: string;
  force?: boolean;
}

function absolute(path: string): string {
  return normaliseRepository(path, workingDirectory()) ?? path;
}

function packageWish(flags: ChangeFlags, config: FirnConfig): PackageWish {
  const given = flags.keysDir ?? config.upgrade.keysDir;
  return {
    repositories: [...config.upgrade.repositories, ...(flags.repository ?? [])].map(absolute),
    keysDir: given === undefined ? undefined : absolute(given),
    save: flags.save === true,
  };
}

/** For changes that can mend a firn.toml with a mistake in it. */
function configOrDefault({ config, report }: WriteSession): FirnConfig {
  try {
    return config();
  } catch (error) {
    if (!(error instanceof FirnError)) throw error;
    report.note(`${error.message} The defaults hold for this run.`);
    return defaultFirnConfig();
  }
}

/** What was deleted a moment ago may still take its space: before space is called short, the kernel gets the time to give it back. */
function withFreedSpace({ volume, state }: WriteSession, needed: number): VolumeState {
  const enough = needed + GENERATION_OVERHEAD;
  if (state.space.free >= enough) return state;
  const free = awaitFreed(volume.path, enough);
  return { ...state, space: { ...state.space, used: state.space.total - free, free } };
}

function dryRun(prepared: PreparedChange | undefined, steps: readonly string[], id: GenerationId): Result {
  const changes = prepared?.simulation?.changes ?? [];
  const fetched = prepared?.simulation?.downloadBytes ?? 0;
  const sizes = `Writes ${approximateSize(prepared?.neededBytes ?? 0)}${fetched === 0 ? "" : `, of which ${approximateSize(fetched)} are fetched first`}.`;
  return {
    data: {
      dryRun: true,
      generation: id,
      steps,
      changes,
      neededBytes: prepared?.neededBytes ?? 0,
      fetchedBytes: fetched,
    },
    lines: [
      ...steps,
      ...changes.map((change) => `  ${changeText(change)}`),
      ...(prepared?.simulation === undefined ? [] : [sizes]),
    ],
  };
}

function answer(outcome: Outcome, next: GenerationId | undefined): Result {
  const { generation, record } = outcome;
  if (generation === undefined || record === undefined) {
    return { data: { changed: false, default: next }, lines: ["Nothing changed, so no generation was made."] };
  }
  const conflicts = record.conflicts ?? [];
  return {
    data: { changed: true, generation, ...record },
    lines: [
      ...(record.changes ?? []).map(changeText),
      ...(conflicts.length === 0
        ? []
        : ["Configuration files to merge (`firn edit`):", ...conflicts.map((path) => `  ${path}`)]),
      `${generation} boots next. What runs now was not touched.`,
    ],
  };
}

/** The one way of every change: plan, and unless it is a dry run, draft, seal and commit. */
export function change(flags: ChangeFlags, command: string, choose: (state: VolumeState) => Change): Result {
  return writing(flags, command, (session) => {
    const { volume, state, report } = session;
    const wanted = choose(state);
    const config = wanted.kind === "apk" ? session.config() : configOrDefault(session);
    const chosen = flags.base === undefined ? undefined : orThrow(select(state, flags.base));
    const base = chosen ?? state.slots[0];
    const wish = packageWish(flags, config);
    const prepared = base === undefined ? undefined : prepareChange(volume.path, state, wanted, base, wish);
    const id = newGenerationId(
      volume.path,
      state.generations.map((generation) => generation.id),
    );
    const steps = orThrow(
      planChange(withFreedSpace(session, prepared?.neededBytes ?? 0), {
        change: wanted,
        ...(chosen === undefined ? {} : { base: chosen }),
        id,
        force: flags.force === true,
        neededBytes: prepared?.neededBytes ?? 0,
        autoGc: config.retention.autoGc,
      }),
    );
    if (flags.dryRun) return dryRun(prepared, steps.map(describeStep), id);
    const fetched = prepared?.simulation?.downloadBytes ?? 0;
    if (fetched > 0) {
      report.note(`Fetching ${approximateSize(fetched)}.`);
      prepared?.fetch();
    }
    using transaction = new Transaction({
      volume,
      state,
      report,
      command,
      description: flags.description,
      make: changeMaker(prepared?.sources, wish),
      binds: prepared?.sources?.binds ?? [],
    });
    return answer(transaction.run(steps), state.slots[0]);
  });
}

/** `firn upgrade [--release v3.20]` */
export function upgrade(flags: ChangeFlags & { release?: string }): Result {
  const release = flags.release === undefined ? undefined : parseRelease(flags.release);
  if (isRefusal(release)) throw new FirnError("E_USAGE", `--release: ${release.problem.message}`, release.problem.hint);
  const command = `firn upgrade${release === undefined ? "" : ` --release ${release}`}`;
  return change(flags, command, () => ({
    kind: "apk",
    verb: "upgrade",
    packages: [],
    ...(release === undefined ? {} : { release }),
  }));
}

/** `firn add PKG…` */
export function add(flags: ChangeFlags, packages: readonly string[]): Result {
  return change(flags, `firn add ${packages.join(" ")}`, () => ({ kind: "apk", verb: "add", packages }));
}

/** `firn del PKG…` */
export function del(flags: ChangeFlags, packages: readonly string[]): Result {
  return change(flags, `firn del ${packages.join(" ")}`, () => ({ kind: "apk", verb: "del", packages }));
}

/** `firn run -- CMD…` */
export function runCommand(flags: ChangeFlags, argv: readonly string[]): Result {
  return change(flags, `firn run -- ${argv.join(" ")}`, () => ({ kind: "command", argv }));
}

/** `firn shell` */
export function shell(flags: ChangeFlags): Result {
  return change(flags, "firn shell", () => ({ kind: "shell" }));
}

/** `firn edit FILE` */
export function edit(flags: ChangeFlags, [file = ""]: readonly string[]): Result {
  return change(flags, `firn edit ${file}`, (state) => {
    if (!file.startsWith("/") || file.split("/").includes("..")) {
      throw new FirnError(
        "E_FILE",
        `${file} is no absolute path. Nothing was changed.`,
        "Name the file as the running system does: /etc/hosts.",
      );
    }
    const common = commonsOf(state.template ?? "").find(({ path }) => file.startsWith(`${path}/`));
    if (common !== undefined) {
      throw new FirnError(
        "E_FILE",
        `${file} is shared between the generations. Nothing was changed.`,
        "Edit it directly: it is writable.",
      );
    }
    const editor = (environment("VISUAL") ?? environment("EDITOR") ?? "vi").split(" ").filter((word) => word !== "");
    return { kind: "edit", file, editor };
  });
}
