import { CPIO_END, CPIO_HEADER, cpioAligned, cpioEntry } from "../../model/boot/cpio.ts";
import { initramfsContent, initramfsFormat, type InitramfsContent } from "../../model/boot/kernel-image.ts";
import { FirnError } from "../../model/problem.ts";
import { enterRoot } from "../kernel/chroot.ts";
import { decode, type Fd } from "../kernel/files.ts";
import { run, runPiped } from "../kernel/run.ts";
import type { Within } from "../kernel/within.ts";

/** Bytes that are read at a time in search of the next archive. */
const CHUNK = 4096;

/** What stands in front of the packed archive: microcode, as a rule. */
interface Front {
  names: string[];
  /** Where the packed one begins, or the file ends. */
  end: number;
}

/** Reads one archive that is not packed. Gives where it ends; undefined when it is cut short. */
function readArchive(fd: Fd, start: number, names: string[]): number | undefined {
  for (let at = start; ;) {
    const entry = cpioEntry(fd.read(CPIO_HEADER, at));
    if (entry === undefined) return undefined;
    const name = decode(fd.read(Math.max(0, entry.nameBytes - 1), at + CPIO_HEADER));
    at = cpioAligned(cpioAligned(at + CPIO_HEADER + entry.nameBytes) + entry.bytes);
    if (name === CPIO_END) return at;
    names.push(name);
  }
}

/** Where something other than zeros begins. */
function skipZeros(fd: Fd, from: number): number {
  for (let at = from; ; at += CHUNK) {
    const bytes = fd.read(CHUNK, at);
    const found = bytes.findIndex((byte) => byte !== 0);
    if (found >= 0 || bytes.length === 0) return at + Math.max(0, found);
  }
}

/** Archives follow one another, as the kernel takes them; undefined when one is cut short. */
function readFront(fd: Fd): Front | undefined {
  const names: string[] = [];
  let end = 0;
  while (initramfsFormat(fd.read(16, end)) === "cpio") {
    const next = readArchive(fd, end, names);
    if (next === undefined) return undefined;
    end = skipZeros(fd, next);
  }
  return { names, end };
}

/** A descriptor that stands there, for a program to read on. */
function openAt(root: Within, path: string, offset: number): number {
  const fd = root.ownFile(path);
  if (offset > 0) fd.read(offset);
  return fd.number;
}

/** Read by the generation's own programs, to the end; undefined where they cannot. */
export function readInitramfs(top: Within, root: Within, path: string, release: string): InitramfsContent | undefined {
  using fd = root.ownFile(path);
  const front = readFront(fd);
  if (front === undefined) return undefined;
  const { names, end } = front;
  const builtin = root.text(`/lib/modules/${release}/modules.builtin`) ?? "";
  const content = (packed: string): InitramfsContent =>
    initramfsContent([...names, packed].join("\n"), release, builtin);
  if (end > 0 && end >= fd.stat().size) return content("");
  const format = initramfsFormat(fd.read(16, end));
  if (format === undefined) return undefined;
  // busybox's programs want a /dev, which the root of a generation made by hand need not have.
  using chroot = enterRoot({ top, root, commons: [], readonly: true });
  const packed = () => ({ chroot: chroot.path, stdin: openAt(root, path, end) });
  try {
    run([format, "-t"], packed());
    return content(runPiped([format, "-dc"], ["cpio", "-t"], packed()).stdout);
  } catch (error) {
    // It is damaged, or cpio met the end of the file before the end of the archive.
    if (error instanceof FirnError && error.problem.code === "E_PROGRAM_FAILED") return undefined;
    throw error;
  }
}
