import type { ChangeContext } from "../apply/change/change-context.ts";
import { changeExecutors } from "../apply/change/executors.ts";
import { prepareChange, unprepared, type PreparedChange } from "../apply/change/prepare-change.ts";
import type { SourceWish } from "../model/packages/wish.ts";
import { withMounted } from "../host/volume/inspect-volume.ts";
import type { Volume } from "../host/volume/open-volume.ts";
import { generationRoot, templateFor, templateIn } from "../host/volume/roots.ts";
import { awaitFreed } from "../host/volume/space.ts";
import type { Within } from "../host/kernel/within.ts";
import { ownVariable, workingDirectory } from "../host/kernel/process.ts";
import { isLocalRepository, repositoryPlace } from "../model/packages/conf.ts";
import { isPackageFile } from "../model/packages/constraint.ts";
import { absolutePath } from "../model/text/absolute-path.ts";
import { parseRelease } from "../model/packages/release.ts";
import { defaultFirnConfig, type FirnConfig } from "../model/machine/firn-toml.ts";
import { quoted } from "../model/text/complaint.ts";
import { withoutWords } from "../model/text/secrets.ts";
import { approximateSize } from "../model/text/size.ts";
import type { GenerationId } from "../model/volume/ids.ts";
import { FirnError, isRefusal, orThrow, type Refusal } from "../model/problem.ts";
import { select } from "../model/volume/selector.ts";
import { leftOut, type Generation, type VolumeState } from "../model/volume/state.ts";
import {
  GENERATION_OVERHEAD,
  describeStep,
  lacksSpace,
  planChange,
  planEdit,
  planPackages,
  type Change,
  type ChangeStep,
} from "../plan/change.ts";
import type { Plan } from "../plan/step.ts";
import { changeText } from "../report/format.ts";
import { waiting } from "./list.ts";
import { repositoryFrom } from "./session/machine-config.ts";
import { planned } from "./session/planned.ts";
import type { Result } from "../report/result.ts";
import { writing, type WriteFlags, type WriteSession } from "./session/session.ts";
import { given } from "../model/given.ts";

export interface ChangeFlags extends WriteFlags {
  repository?: readonly string[];
  keysDir?: string;
  save?: boolean;
  base?: string;
  description?: string;
  force?: boolean;
  allowDowngrade?: boolean;
  hostDevices?: boolean;
  keepDraft?: boolean;
}

/** apk reads a repository as a line, and what follows a blank as something else. Throws E_USAGE. */
function wholeRepository(repository: string): string {
  const place = repositoryPlace(repository);
  if (isLocalRepository(repository) || !/\s/.test(place)) return repository;
  throw new FirnError("E_USAGE", `-X ${quoted(place)}: an address has no blanks.`, "Repeat -X for each repository.");
}

function sourceWish(flags: ChangeFlags, { upgrade: own }: FirnConfig, { running }: Volume): SourceWish {
  const here = workingDirectory();
  return {
    repositories: (flags.repository ?? []).map((one) => wholeRepository(repositoryFrom(here, one))),
    keysDir: flags.keysDir === undefined ? undefined : absolutePath(flags.keysDir, here),
    // Relative to the file: /etc/firn.
    own: {
      repositories: own.repositories.map((one) => repositoryFrom("/etc/firn", one)),
      ...given({ keysDir: own.keysDir === undefined ? undefined : absolutePath(own.keysDir, "/etc/firn") }),
    },
    foldersOf: running ? "host" : "root",
    save: flags.save === true,
    allowOlder: flags.allowDowngrade === true,
    dryRun: flags.dryRun === true,
  };
}

/** For changes that can mend a firn.toml with a mistake in it. */
function configOrDefault({ config, report }: WriteSession): FirnConfig {
  try {
    return config();
  } catch (error) {
    if (!(error instanceof FirnError)) throw error;
    const { message, details = [] } = error.problem;
    for (const line of [message, ...details, "The defaults hold for this run."]) report.note(line);
    return defaultFirnConfig();
  }
}

/**
 * What was deleted a moment ago may still take its space: before space is called short, the kernel gets the time to
 * give it back.
 */
function withFreedSpace({ volume, state }: WriteSession, needed: number): VolumeState {
  if (!lacksSpace(state, needed) || volume.access === "read") return state;
  const free = awaitFreed(volume.path, needed + GENERATION_OVERHEAD);
  return { ...state, space: { ...state.space, used: state.space.total - free, free } };
}

/** What a change that is not made from slot 0 leaves behind. */
function without(lost: readonly Generation[]): string[] {
  const what = ({ id, record }: Generation): string =>
    `  ${id} ${record.description ?? record.command ?? ""}`.trimEnd();
  return lost.length === 0 ? [] : ["What slot 0 has of these will not be in it:", ...lost.map(what)];
}

function dryRun(
  prepared: PreparedChange,
  plan: Plan<ChangeStep>,
  id: GenerationId,
  lost: readonly Generation[],
): Result {
  const { simulation, neededBytes, fetchBytes } = prepared;
  const changes = simulation?.changes ?? [];
  const fetched = fetchBytes === 0 ? "" : `, of which ${approximateSize(fetchBytes)} are fetched first`;
  const left = lost.length === 0 ? {} : { leftOut: lost.map((one) => one.id) };
  return planned(plan, { generation: id, changes, neededBytes, fetchedBytes: fetchBytes, ...left }, [
    ...changes.map((change) => `  ${changeText(change)}`),
    ...(simulation === undefined ? [] : [`Writes ${approximateSize(neededBytes)}${fetched}.`]),
    ...without(lost),
  ]);
}

function answer({ record, draft, state }: ChangeContext): Result {
  if (draft === undefined || record === undefined) {
    const lines = ["Nothing changed, so no generation was made.", ...waiting(state)];
    return { data: { changed: false, default: state.slots[0] }, lines };
  }
  const conflicts = record.conflicts ?? [];
  return {
    data: { changed: true, generation: draft.id, ...record },
    lines: [
      ...(record.changes ?? []).map(changeText),
      ...(conflicts.length === 0
        ? []
        : ["Configuration files to merge (`firn edit`):", ...conflicts.map((path) => `  ${path}`)]),
      `${draft.id} boots next. What runs now was not touched.`,
    ],
  };
}

/** `root`: of the generation that the change starts from, undefined where there is none. */
type Choose = (state: VolumeState, root: Within | undefined) => Change | Refusal;

/** The one way of every change: plan, and unless it is a dry run, draft, seal and commit. */
export function change(flags: ChangeFlags, command: string, choose: Choose): Result {
  return writing(flags, command, (session) => {
    const { volume, store, state, report, carryOut } = session;
    const chosen = flags.base === undefined ? undefined : orThrow(select(state, flags.base));
    const base = chosen ?? state.slots[0];
    const root = base && generationRoot(volume.top, base);
    // What is shared is what the base shares.
    const template = chosen && root ? templateFor(templateIn(root), state.templateEdit) : state.template;
    const wanted = orThrow(choose({ ...state, template }, root));
    const config = wanted.kind === "packages" ? session.config() : configOrDefault(session);
    const from = sourceWish(flags, config, volume);
    const note = (line: string): void => report.note(line);
    const prepared =
      base === undefined ? unprepared : prepareChange({ top: volume.top, state, change: wanted, base, from, note });
    const { neededBytes, fetchBytes } = prepared;
    const id = store.newId(state.generations.map((generation) => generation.id));
    const now = withFreedSpace(session, neededBytes);
    // Every process is asked for what it has mounted, so only when something may have to go.
    const steps = planChange(lacksSpace(now, neededBytes) ? withMounted(volume, now) : now, {
      change: wanted,
      ...given({ base: chosen }),
      id,
      force: flags.force === true,
      neededBytes,
      fetchBytes,
      autoGc: config.retention.autoGc,
      unasked: prepared.simulation?.unasked ?? [],
      allowDowngrade: flags.allowDowngrade === true,
    });
    const plan = { steps: orThrow(steps), describe: describeStep };
    const lost = chosen === undefined ? [] : leftOut(state, chosen);
    if (flags.dryRun) return dryRun(prepared, plan, id, lost);
    for (const line of without(lost)) report.note(line);
    if (state.chosenAtBoot && base !== state.booted)
      report.note(`This is made from ${base}, not from what runs. --base booted starts from that.`);
    const context: ChangeContext = {
      store,
      state,
      report,
      freed: [],
      command,
      description: flags.description,
      prepared,
      json: flags.json === true,
      hostDevices: flags.hostDevices === true,
      keepDraft: flags.keepDraft === true,
      draft: undefined,
      base: undefined,
      indexes: [],
      files: [],
      kernel: undefined,
      record: undefined,
    };
    carryOut(plan, changeExecutors, context);
    return answer(context);
  });
}

/** `firn upgrade [--release v3.20]` */
export function upgrade(flags: ChangeFlags & { release?: string }): Result {
  const release = flags.release === undefined ? undefined : parseRelease(flags.release);
  if (isRefusal(release)) throw new FirnError("E_USAGE", `--release: ${release.problem.message}`, release.problem.hint);
  const command = `firn upgrade${release === undefined ? "" : ` --release ${release}`}`;
  return change(flags, command, () => ({
    kind: "packages",
    verb: "upgrade",
    packages: [],
    ...given({ release }),
  }));
}

/** `firn add PKG…`, of which some may be files of packages. */
export function add(flags: ChangeFlags, packages: readonly string[]): Result {
  const here = workingDirectory();
  const words = packages.map((word) => (isPackageFile(word) && !word.startsWith("/") ? `${here}/${word}` : word));
  return change(flags, `firn add ${packages.join(" ")}`, () => planPackages("add", words));
}

/** `firn del PKG…` */
export function del(flags: ChangeFlags, packages: readonly string[]): Result {
  return change(flags, `firn del ${packages.join(" ")}`, () => planPackages("del", packages));
}

/** `firn run -- CMD…` */
export function runCommand(flags: ChangeFlags, argv: readonly string[]): Result {
  return change(flags, `firn run -- ${withoutWords(argv)}`, () => ({ kind: "command", argv }));
}

/** `firn shell` */
export function shell(flags: ChangeFlags): Result {
  return change(flags, "firn shell", () => ({ kind: "shell" }));
}

/** `firn edit FILE` */
export function edit(flags: ChangeFlags, [file = ""]: readonly string[]): Result {
  const words = (name: string): string[] => (ownVariable(name) ?? "").split(/\s+/).filter((word) => word !== "");
  const editor = [words("VISUAL"), words("EDITOR"), ["vi"]].find((named) => named.length > 0) ?? [];
  return change(flags, `firn edit ${file}`, (state, root) => {
    // Links in the generation may lead into what is shared.
    const meant = root === undefined || !file.startsWith("/") ? file : root.leads(file);
    return planEdit(state, meant, editor);
  });
}
