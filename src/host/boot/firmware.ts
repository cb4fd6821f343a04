import {
  entryNumber,
  parseBootOrder,
  parseLoadOption,
  renderBootOrder,
  renderLoadOption,
  replaced,
  type BootEntry,
  type HardDrive,
} from "../../model/boot/firmware-entries.ts";
import { parseMountinfo } from "../../model/kernel/mountinfo.ts";
import { FirnError } from "../../model/problem.ts";
import { everyPartition } from "../disk/map.ts";
import { isSysError } from "../kernel/failure.ts";
import { isDirectory, names, readText } from "../kernel/files.ts";
import { readVariable, removeVariable, writeVariable } from "../kernel/devices.ts";

const EFIVARS = "/sys/firmware/efi/efivars";

/** EFI_GLOBAL_VARIABLE: whose variables these are. */
const GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

/**
 * What became of the firmware's boot entry. Without one the disk still boots by `\EFI\BOOT\`, after the firmware's
 * older entries.
 */
export type BootEntryResult = { status: "added"; number: string } | { status: "skipped"; reason: string };

export interface BootEntryWish {
  label: string;
  /** The EFI system partition. */
  partition: HardDrive;
  /** `\EFI\firn\refind_x64.efi` */
  loader: string;
}

interface Machine {
  /** Of the variables. */
  readonly folder: string;
  /** PARTUUIDs of its partitions; undefined where nobody knows them. */
  readonly guids: ReadonlySet<string> | undefined;
}

const skipped = (reason: string): BootEntryResult => ({ status: "skipped", reason });

function whyNot(): string | undefined {
  if (!isDirectory("/sys/firmware/efi")) return "this system was not started by EFI firmware";
  const mounted = parseMountinfo(readText("/proc/self/mountinfo")).findLast(({ path }) => path === EFIVARS);
  if (mounted === undefined) return `the firmware's variables are not mounted on ${EFIVARS}`;
  if (mounted.options.includes("ro")) return `the firmware's variables (${EFIVARS}) are mounted read-only`;
  return undefined;
}

const variable = (folder: string, name: string): string => `${folder}/${name}-${GLOBAL}`;

function readEntries(folder: string): BootEntry[] {
  return names(folder).flatMap((name) => {
    const [, number = "", owner = ""] = /^Boot([0-9A-F]{4})-(.*)$/.exec(name) ?? [];
    const value = owner === GLOBAL ? readVariable(`${folder}/${name}`) : undefined;
    const option = value && parseLoadOption(value);
    return option === undefined ? [] : [{ number, ...option }];
  });
}

function readOrder(folder: string): string[] {
  const value = readVariable(variable(folder, "BootOrder"));
  return value === undefined ? [] : parseBootOrder(value);
}

/** PARTUUIDs of this machine's partitions; undefined when a disk cannot be read, and nobody knows what is on it. */
function partitionGuids(): Set<string> | undefined {
  try {
    return new Set(everyPartition().map(({ guid }) => guid.toLowerCase()));
  } catch (error) {
    if (isSysError(error) || error instanceof FirnError) return undefined;
    throw error;
  }
}

/**
 * Adds an entry to the firmware's boot menu, first in its order, in place of those that it replaces, and reads back
 * what the firmware kept. Never fails an installation: what cannot be done is said in the result. Throws only
 * E_INTERRUPTED. `from`: in place of what Linux mounts and sees.
 */
export function addBootEntry(wish: BootEntryWish, from?: Machine): BootEntryResult {
  try {
    const why = from === undefined ? whyNot() : undefined;
    return why === undefined ? add(wish, from ?? { folder: EFIVARS, guids: partitionGuids() }) : skipped(why);
  } catch (error) {
    if (error instanceof FirnError && error.problem.code !== "E_INTERRUPTED") return skipped(error.message);
    if (isSysError(error)) return skipped(error.message);
    throw error;
  }
}

function firstFree(folder: string): string {
  const taken = new Set(names(folder));
  for (let number = 0; number < 0xffff; number++) {
    if (!taken.has(`Boot${entryNumber(number)}-${GLOBAL}`)) return entryNumber(number);
  }
  throw new FirnError("E_BOOT_LOADER", "The firmware has no number left for a boot entry.");
}

function add(wish: BootEntryWish, { folder, guids }: Machine): BootEntryResult {
  const { label, partition, loader } = wish;
  const entries = readEntries(folder);
  const everyone = new Set(entries.flatMap((entry) => entry.partition?.guid ?? []));
  const old = replaced(entries, wish, guids ?? everyone).map(({ number }) => number);
  // Some firmware has room for few entries: the new one takes the place of an old one.
  const number = old[0] ?? firstFree(folder);
  const value = renderLoadOption(label, partition, loader);
  writeVariable(variable(folder, `Boot${number}`), value);
  const rest = readOrder(folder).filter((other) => other !== number && !old.includes(other));
  writeVariable(variable(folder, "BootOrder"), renderBootOrder([number, ...rest]));
  for (const other of old.slice(1)) removeVariable(variable(folder, `Boot${other}`));
  const kept = readEntries(folder).find((entry) => entry.number === number);
  if (kept?.loader !== loader || kept.partition?.guid !== partition.guid.toLowerCase()) {
    return skipped("the firmware did not keep the new boot entry");
  }
  if (!readOrder(folder).includes(number)) return skipped(`the firmware left Boot${number} out of its boot order`);
  return { status: "added", number };
}
