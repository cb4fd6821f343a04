import { parseBootEntries, type BootEntries } from "../../model/boot/firmware-entries.ts";
import { parseMountinfo } from "../../model/kernel/mountinfo.ts";
import { FirnError } from "../../model/problem.ts";
import { isDirectory, readText } from "../kernel/files.ts";
import { tryRun, type Finished } from "../kernel/run.ts";
import { isSysError } from "../kernel/failure.ts";

const EFIVARS = "/sys/firmware/efi/efivars";

/**
 * What became of the firmware's boot entry. Without one the disk still boots by `\EFI\BOOT\`, after the firmware's
 * older entries.
 */
export type BootEntryResult = { status: "added"; number: string } | { status: "skipped"; reason: string };

const skipped = (reason: string): BootEntryResult => ({ status: "skipped", reason });

function whyNot(): string | undefined {
  if (!isDirectory("/sys/firmware/efi")) return "this system was not started by EFI firmware";
  const mounted = parseMountinfo(readText("/proc/self/mountinfo")).findLast(({ path }) => path === EFIVARS);
  if (mounted === undefined) return `the firmware's variables are not mounted on ${EFIVARS}`;
  if (mounted.options.includes("ro")) return `the firmware's variables (${EFIVARS}) are mounted read-only`;
  return undefined;
}

const saidBy = (finished: Finished): string =>
  `efibootmgr failed with exit code ${finished.status}: ${finished.stderr.trim().split("\n").at(-1) ?? ""}`;

function readEntries(): BootEntries | string {
  const listed = tryRun(["efibootmgr", "-v"]);
  return listed.status === 0 ? parseBootEntries(listed.stdout) : saidBy(listed);
}

/**
 * Adds an entry to the firmware's boot menu, first in its order, removes older ones with the same label and partition,
 * and reads back what the firmware kept. `loaderPath` as `\EFI\firn\refind_x64.efi`. Never fails an installation: what
 * cannot be done is said in the result. Throws only E_INTERRUPTED.
 */
export function addBootEntry(wish: {
  disk: string;
  partitionNumber: number;
  partitionGuid: string;
  label: string;
  loaderPath: string;
}): BootEntryResult {
  try {
    const why = whyNot();
    return why === undefined ? add(wish) : skipped(why);
  } catch (error) {
    if (error instanceof FirnError && error.problem.code !== "E_INTERRUPTED") return skipped(error.message);
    if (isSysError(error)) return skipped(error.message);
    throw error;
  }
}

function add(wish: Parameters<typeof addBootEntry>[0]): BootEntryResult {
  const before = readEntries();
  if (typeof before === "string") return skipped(before);
  const ours = (entries: BootEntries): BootEntries["entries"] =>
    entries.entries.filter(
      ({ label, partitionGuid }) => label === wish.label && partitionGuid === wish.partitionGuid.toLowerCase(),
    );
  // The old ones go first: some firmware has room for few, and refuses two that are alike.
  for (const { number } of ours(before)) {
    const removed = tryRun(["efibootmgr", "-q", "-b", number, "-B"]);
    if (removed.status !== 0) return skipped(saidBy(removed));
  }
  const place = ["-d", wish.disk, "-p", String(wish.partitionNumber)];
  const created = tryRun(["efibootmgr", "-q", "-c", ...place, "-L", wish.label, "-l", wish.loaderPath]);
  if (created.status !== 0) return skipped(saidBy(created));
  const after = readEntries();
  if (typeof after === "string") return skipped(after);
  const kept = ours(after).find(({ loader }) => loader?.toLowerCase() === wish.loaderPath.toLowerCase());
  if (kept === undefined) return skipped("the firmware did not keep the new boot entry");
  if (!after.order.includes(kept.number)) return skipped(`the firmware left Boot${kept.number} out of its boot order`);
  return { status: "added", number: kept.number };
}
