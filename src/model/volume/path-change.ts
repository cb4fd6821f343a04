/** How one path of two roots differs. Open to the other doors: what makes a generation, and what can be a fault. */
export interface PathChange {
  /** Without a leading slash; the root itself is "". */
  readonly path: string;
  /** "changed" is whatever was written, though it may not differ in anything. */
  readonly kind: "added" | "removed" | "changed";
  /**
   * In what it differs, looked for when it is asked for: type, mode, owner, device, content, links, flags, time, or an
   * extended attribute by name.
   */
  readonly what: () => readonly string[];
}
