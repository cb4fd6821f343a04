import { packageManager } from "../host/packages/package-manager.ts";
import { compareFolder } from "../host/volume/compare-trees.ts";
import type { PathChange } from "../model/volume/path-change.ts";
import type { Within } from "../host/kernel/within.ts";
import { generationRoot, templateIn } from "../host/volume/roots.ts";
import { openrcServices, runningProcesses } from "../host/machine/processes.ts";
import { diffPackages } from "../model/packages/changes.ts";
import { approximateSize } from "../model/text/size.ts";
import { impactOf, type Impact } from "../model/packages/impact.ts";
import type { GenerationId } from "../model/volume/ids.ts";
import { bootsNext, createdAt, generationOf, type VolumeState } from "../model/volume/state.ts";
import { age } from "../report/format.ts";
import type { Result } from "../report/result.ts";
import { danglingSlots, faults, generationData, waiting } from "./list.ts";
import { reading, type ReadFlags, type ReadSession } from "./session/session.ts";

/**
 * What the default generation would change for what runs now; undefined when they are the same or nothing is booted.
 */
function pendingImpact({ volume, state }: ReadSession): Impact | undefined {
  const next = bootsNext(state);
  // Who left slot 0 for another one waits for nothing.
  if (state.booted === undefined || next === undefined || state.booted === next || state.chosenAtBoot) return undefined;
  const before = generationRoot(volume.top, state.booted);
  const after = generationRoot(volume.top, next);
  const packages = diffPackages(packageManager.installed(before), packageManager.installed(after));
  const changes = packages.map(({ name }) => name);
  const files = packageManager.changedFiles(before, after, new Set(changes));
  const config = configChanges(before, after);
  return impactOf({ packages: changes, files, config }, runningProcesses(), openrcServices());
}

/** Absolute paths of the configuration that differs: it is read at a start, by whom nobody can say. */
function configChanges(before: Within, after: Within): string[] {
  const sameFstab = templateIn(before) === templateIn(after);
  const differs = ({ kind, what }: PathChange): boolean => kind !== "changed" || what().some((one) => one !== "time");
  const paths = compareFolder(before.locate("/"), after.locate("/"), "etc").flatMap((change) =>
    (change.path === "etc/fstab" && sameFstab) || change.path.startsWith("etc/apk/") || !differs(change)
      ? []
      : [`/${change.path}`],
  );
  const beside = new Set(packageManager.conflicts(paths));
  return paths.filter((path) => !beside.has(path));
}

const advice: Record<Impact["action"], string> = {
  nothing: "the next boot brings it; nothing that runs uses what it changes",
  "restart-services": "the next boot brings it; services use what it changes",
  reboot: "reboot to use it",
};

function line(state: VolumeState, id: GenerationId | undefined): string {
  const generation = generationOf(state, id);
  if (generation === undefined) return "none";
  const { record } = generation;
  const parts = [
    age(Date.now() - createdAt(generation), createdAt(generation)),
    ...(record.release === undefined ? [] : [`Alpine ${record.release}`]),
    ...(record.kernel === undefined ? [] : [`kernel ${record.kernel}`]),
    ...(record.description === undefined ? [] : [record.description]),
  ];
  return `${generation.id} (${parts.join(", ")})`;
}

/** `firn status` */
export function status(flags: ReadFlags): Result {
  return reading(flags, (session) => {
    const { state, volume } = session;
    const next = bootsNext(state);
    const byDefault = generationOf(state, next);
    const impact = pendingImpact(session);
    const data = {
      volume: state.uuid,
      device: volume.device,
      booted: state.booted ?? null,
      next: next ?? null,
      slots: state.slots,
      generations: state.generations.length,
      default: byDefault === undefined ? null : generationData(state, byDefault),
      pending: impact ?? null,
      drafts: state.drafts,
      space: state.space,
      unfinished: state.unfinished ?? null,
    };
    if (state.unfinished !== undefined) {
      return {
        data,
        lines: [
          `The installation on this volume stopped at step "${state.unfinished}". It does not boot; install again.`,
        ],
      };
    }
    const lines = [
      `Booted: ${state.booted === undefined ? "not this volume" : line(state, state.booted)}`,
      `Next:   ${next === undefined ? "nothing: slot 0 of `current` leads to no generation" : next === state.booted ? "the same" : line(state, next)}`,
      ...(impact === undefined ? [] : impactLines(impact)),
      ...(state.chosenAtBoot ? waiting(state) : []),
      `Slots:  ${state.slots.length}, ${state.generations.length} ${state.generations.length === 1 ? "generation" : "generations"}, ${approximateSize(state.space.free)} of ${approximateSize(state.space.total)} free`,
      ...danglingSlots(state),
      ...faults(state),
      ...state.drafts.map(
        (name) =>
          `Draft:  ${name}: being made, kept by --keep-draft, or left by a run that ended early; the next change deletes it`,
      ),
    ];
    return { data, lines };
  });
}

function impactLines({ action, services, reasons }: Impact): string[] {
  return [
    `Change: ${advice[action]}${reasons.length === 0 ? "" : ` (${reasons.join("; ")})`}`,
    ...services.map(
      ({ name, files }) =>
        `        ${name} uses ${files.slice(0, 3).join(", ")}${files.length > 3 ? `, and ${files.length - 3} more` : ""}`,
    ),
  ];
}
