import type { PathChange } from "../../model/volume/path-change.ts";
import type { Within } from "../../host/kernel/within.ts";
import type { GenerationRecord } from "../../model/volume/generation.ts";
import type { GenerationId } from "../../model/volume/ids.ts";
import type { VolumeState } from "../../model/volume/state.ts";
import type { GcContext } from "../gc.ts";
import type { Draft } from "../store/volume-store.ts";
import type { IndexStamp } from "../../model/packages/index.ts";
import type { PreparedChange } from "./prepare-change.ts";

/** What the steps of one change work on, and what they have found so far. */
export interface ChangeContext extends GcContext {
  readonly state: VolumeState;
  readonly command: string;
  readonly description: string | undefined;
  readonly prepared: PreparedChange;
  /** Stdout is for one JSON object: what a command or shell prints goes to stderr. */
  readonly json: boolean;
  /** What a command or shell sees in /dev is the host's. */
  readonly hostDevices: boolean;
  /** A change that fails leaves its draft, for a look. */
  readonly keepDraft: boolean;
  draft: Draft | undefined;
  base: GenerationId | undefined;
  /** Of when the indexes are that its packages came from. */
  indexes: readonly IndexStamp[];
  /** How the draft differs from its base. */
  files: readonly PathChange[];
  /** `uname -r` of its first kernel, once its boot files were checked. */
  kernel: string | undefined;
  /** The draft's record, once it is sealed. */
  record: GenerationRecord | undefined;
}

export function opened({ draft }: ChangeContext): Draft {
  if (draft === undefined) throw new Error("no draft is open");
  return draft;
}

export function baseRoot({ store, base }: ChangeContext): Within {
  if (base === undefined) throw new Error("no draft is open");
  return store.root(base);
}
