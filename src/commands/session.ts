import { readTextIfAny } from "../host/kernel/files.ts";
import { inspect, volumeUuid } from "../host/volume/inspect-volume.ts";
import { withEffect } from "../host/kernel/failure.ts";
import { isolate, privateMounts } from "../host/kernel/isolate.ts";
import { imageIdentity, lockVolume } from "../host/kernel/lock.ts";
import { openVolume, remount, type Volume } from "../host/volume/open-volume.ts";
import { parseFstab } from "../model/volume/fstab.ts";
import { ROOT, layout } from "../model/volume/layout.ts";
import type { FirnConfig } from "../model/machine/firn-toml.ts";
import { defaultFirnConfig, parseFirnToml } from "../model/machine/firn-toml.ts";
import { FirnError, orThrow } from "../model/problem.ts";
import type { VolumeState } from "../model/volume/state.ts";
import { terminalReport, type Report } from "../report/report.ts";
import type { Result } from "../report/result.ts";

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
  report: Report;
  /** firn.toml, read when it is asked for: a mistake in it must not stop `firn rollback`, nor `firn edit` from mending it. */
  config: () => FirnConfig;
}

/** Looks at a volume: no lock, no write, no program. */
export function reading(flags: ReadFlags, use: (session: ReadSession) => Result): Result {
  privateMounts();
  using volume = openVolume(flags.volume, "read");
  return use({ volume, state: inspect(volume) });
}

function firnConfig(volume: Volume, state: VolumeState): FirnConfig {
  const slot0 = state.slots[0];
  const root = volume.running || slot0 === undefined ? "" : `${volume.path}/${layout.generation(slot0)}/${ROOT}`;
  const text = readTextIfAny(`${root}/etc/firn/firn.toml`);
  if (text === undefined) return defaultFirnConfig();
  return withEffect("nothing changed", () => orThrow(parseFirnToml(text)));
}

/** A volume that is not the running system's is mounted by firn alone: it writes with the compression of its own fstab. */
function useCompression(volume: Volume, { template }: VolumeState): void {
  const option = parseFstab(template ?? "").flatMap(({ options }) =>
    options.filter((word) => word.startsWith("compress")),
  )[0];
  if (!volume.running && option !== undefined) remount(volume.path, option);
}

/** Changes a volume, as its one writer, in namespaces of its own. With --dry-run it takes no lock. */
export function writing(flags: WriteFlags, command: string, use: (session: WriteSession) => Result): Result {
  isolate();
  const report = terminalReport(flags.json === true);
  const lock = (name: string): Disposable =>
    lockVolume(name, command, flags.wait === true, (text) => report.note(text));
  // An image is locked before it is attached, by the file itself: two copies of one image have the same UUID.
  const image = flags.volume === undefined || flags.dryRun ? undefined : imageIdentity(flags.volume);
  using _image = image === undefined ? undefined : lock(image);
  using volume = openVolume(flags.volume, "write");
  using _volume = image !== undefined || flags.dryRun ? undefined : lock(volumeUuid(volume));
  const state = inspect(volume, true);
  if (state.unfinished !== undefined) {
    throw new FirnError(
      "E_INSTALL_UNFINISHED",
      `The installation on this volume stopped at step "${state.unfinished}". It does not boot.`,
      "Install again.",
    );
  }
  useCompression(volume, state);
  return use({ volume, state, report, config: () => firnConfig(volume, state) });
}
