/**
 * One thing that happens. A kind of plan has a closed union of these, with a line for a person and an executor each.
 */
export interface Step {
  readonly kind: string;
}

/** What will happen, all of it: `--dry-run` prints it, the engine carries it out. */
export interface Plan<S extends Step> {
  readonly steps: readonly S[];
  /** One line for a person. */
  readonly describe: (step: S) => string;
}

/** What steps that several kinds of plan have are called. */
export const commonWords = {
  flush: "Bring it to disk",
  fstab: "Write its fstab",
  "hold-reserve": "Hold space in reserve, to go back on a full volume",
  "make-readable": "Write anew what the boot loader could not read",
  "boot-files": "Check the boot files",
  seal: "Seal it",
} as const;
