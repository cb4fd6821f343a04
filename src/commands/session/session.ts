import { runPlan, type Executors, type Standing } from "../../apply/run-plan.ts";
import { VolumeStore } from "../../apply/store/volume-store.ts";
import { cleanUp, isSysError, problemOf } from "../../host/kernel/failure.ts";
import { inspect, volumeUuid } from "../../host/volume/inspect-volume.ts";
import { filledUp, requireRoom } from "../../host/disk/image.ts";
import { mediaOf, mediaOfFilesystem, placeOf } from "../../host/disk/medium.ts";
import { isolate, privateMounts } from "../../host/kernel/process.ts";
import { keepOthersOut, lockMedia } from "../../host/kernel/lock.ts";
import { remount } from "../../host/kernel/mounts.ts";
import { Within } from "../../host/kernel/within.ts";
import { explainFull } from "../../host/volume/space.ts";
import { openVolume, type Volume } from "../../host/volume/open-volume.ts";
import { generationRoot } from "../../host/volume/roots.ts";
import { parseFstab } from "../../model/volume/fstab.ts";
import type { FirnConfig } from "../../model/machine/firn-toml.ts";
import { defaultFirnConfig, parseFirnToml } from "../../model/machine/firn-toml.ts";
import { fail } from "../../report/finish.ts";
import { FirnError, orThrow, settled, type Problem } from "../../model/problem.ts";
import type { VolumeState } from "../../model/volume/state.ts";
import type { Plan, Step } from "../../plan/step.ts";
import { terminalReport, type Report } from "../../report/report.ts";
import type { Result } from "../../report/result.ts";

export interface ReadFlags {
  json?: boolean;
  volume?: string;
}

export interface WriteFlags extends ReadFlags {
  dryRun?: boolean;
  wait?: boolean;
}

export interface ReadSession {
  volume: Volume;
  state: VolumeState;
}

export interface WriteSession extends ReadSession {
  readonly store: VolumeStore;
  readonly report: Report;
  /**
   * firn.toml, read when it is asked for: a mistake in it must not stop `firn rollback`, nor `firn edit` from mending
   * it.
   */
  readonly config: () => FirnConfig;
  /** Carries a plan out. Not to be called with --dry-run. */
  readonly carryOut: <S extends Step, Context>(
    plan: Plan<S>,
    executors: Executors<S, Context>,
    context: Context,
  ) => void;
}

/** Looks at a volume: no lock, no write, no program. */
export function reading(flags: ReadFlags, use: (session: ReadSession) => Result): Result {
  privateMounts();
  using volume = openVolume(flags.volume, "read");
  return use({ volume, state: inspect(volume) });
}

/** Throws E_CONFIG_FILE where something is there that cannot be read, which some commands can do without. */
function configText(root: Within): string | undefined {
  try {
    return root.text("/etc/firn/firn.toml");
  } catch (error) {
    if (!isSysError(error)) throw error;
    const message = `/etc/firn/firn.toml cannot be read: ${error.reason}.`;
    throw new FirnError("E_CONFIG_FILE", message, "Make it a file, or remove it: `firn run`.");
  }
}

function firnConfig(volume: Volume, state: VolumeState): FirnConfig {
  const slot0 = state.slots[0];
  using host = Within.root("/");
  const root = volume.running ? host : slot0 && generationRoot(volume.top, slot0);
  const text = root && configText(root);
  return text === undefined ? defaultFirnConfig() : orThrow(parseFirnToml(text));
}

/**
 * A volume that is not the running system's is mounted by firn alone: it writes with the compression of its own fstab.
 */
function useCompression(volume: Volume, { template }: VolumeState, report: Report): void {
  const option = parseFstab(template ?? "").flatMap(({ options }) =>
    options.filter((word) => word.startsWith("compress")),
  )[0];
  if (volume.running || option === undefined) return;
  try {
    remount(volume.path, option);
  } catch (error) {
    if (!isSysError(error)) throw error;
    report.note(`The kernel does not take ${option}, which fstab says (${error.reason}). Correct it there.`);
  }
}

/** Ends the command where the installation of the volume was never finished. */
function requireFinished({ unfinished }: VolumeState): void {
  if (unfinished === undefined) return;
  throw new FirnError(
    "E_INSTALL_UNFINISHED",
    `The installation on this volume stopped at step "${unfinished}". It does not boot.`,
    "Install again.",
  );
}

/** What a command that changes something works with, whatever it changes. */
export interface Changing {
  readonly report: Report;
  readonly standing: Standing;
  /** Notes the answer, while what is held is still to be put away. */
  readonly answer: (result: Result) => Result;
}

/**
 * Runs a command that changes something, in namespaces of its own. What fails leaves with how things stand; what fails
 * once the answer is known, while things are put away, is a warning beside it.
 */
export function changing(flags: { json?: boolean }, use: (command: Changing) => Result): Result {
  const standing: Standing = { effect: "nothing changed" };
  const report = terminalReport(flags.json === true);
  let known: Result | undefined;
  try {
    isolate((problem) => fail(problem, flags.json === true));
    known = use({ report, standing, answer: (answered) => (known = answered) });
  } catch (error) {
    const problem = settled(problemOf(error), standing.effect, standing.about);
    if (known === undefined) throw FirnError.of(problem);
    report.note(`What was asked for is done, but: ${problem.message}`);
  }
  known.effect = standing.effect;
  return known;
}

/** Changes a volume, as its one writer. With --dry-run it only looks: no lock, no write mount. */
export function writing(flags: WriteFlags, command: string, use: (session: WriteSession) => Result): Result {
  return changing(flags, ({ report, standing, answer }) => {
    const dry = flags.dryRun === true;
    const lock = (media: readonly string[]): Disposable =>
      lockMedia(media, command, flags.wait === true, (text) => report.note(text));
    // What was named is locked before it is attached, by its medium: two copies of one image have the same UUID.
    const target = dry ? undefined : flags.volume;
    const named = target === undefined ? [] : mediaOf(target);
    using _named = lock(named);
    const place = target === undefined ? undefined : placeOf(target);
    using _others = place && keepOthersOut(place.path);
    const cramped = place && requireRoom(place.path);
    if (cramped !== undefined) throw FirnError.of(cramped.problem);
    using volume = openVolume(flags.volume, dry ? "read" : "write");
    using store = new VolumeStore(volume.path);
    using _volume = lock(dry || named.length > 0 ? [] : mediaOfFilesystem(volumeUuid(volume)));
    const state = inspect(volume);
    requireFinished(state);
    // On a full volume it cannot: then it stays a generation like others, which stops nothing, a rollback least.
    if (!dry) cleanUp(() => store.settle(state.interrupted));
    if (!dry) useCompression(volume, state, report);
    const explain = (cause: Problem): Problem => {
      const full = target !== undefined && cause.code !== "E_INTERRUPTED" ? filledUp(target)?.problem : undefined;
      return full === undefined ? explainFull(volume.path, cause) : { ...cause, ...full };
    };
    const session = {
      volume,
      state,
      report,
      store,
      config: () => firnConfig(volume, state),
      carryOut: (plan, executors, context) => runPlan({ plan, executors, context, report, standing, explain }),
    } satisfies WriteSession;
    try {
      return answer(use(session));
    } catch (error) {
      const problem = problemOf(error);
      // What has an effect was explained while it stood so.
      throw FirnError.of(problem.effect === undefined ? explain(problem) : problem);
    }
  });
}
