/** One boot entry of the firmware, as `efibootmgr -v` shows it. */
export interface BootEntry {
  /** Four hexadecimal digits: `0003`. */
  number: string;
  label: string;
  /** Lower case; undefined for entries that name no GPT partition. */
  partitionGuid: string | undefined;
  /** `\EFI\firn\refind_x64.efi`; undefined for entries that name no file. */
  loader: string | undefined;
}

export interface BootEntries {
  /** BootOrder. */
  order: string[];
  entries: BootEntry[];
}

/**
 * Parses `efibootmgr -v`, both spellings: up to 17 `HD(1,GPT,…)/File(\EFI\…)` and the load options right behind, from
 * 18 on `HD(1,GPT,…)/\EFI\…`.
 */
export function parseBootEntries(text: string): BootEntries {
  const lines = text.split("\n");
  const order = lines.find((line) => line.startsWith("BootOrder:"))?.slice("BootOrder:".length) ?? "";
  const entries = lines.flatMap((line): BootEntry[] => {
    const match = /^Boot([0-9A-Fa-f]{4})[* ] ?([^\t]*)(?:\t(.*))?$/.exec(line);
    if (match === null) return [];
    const [, number = "", label = "", path = ""] = match;
    const loader = /\/File\(([^)]*)\)/.exec(path)?.[1] ?? /\)\/(\\[^\s]*)/.exec(path)?.[1];
    return [
      {
        number: number.toUpperCase(),
        label: label.trim(),
        partitionGuid: /HD\(\d+,GPT,([0-9A-Fa-f-]{36})/.exec(path)?.[1]?.toLowerCase(),
        loader,
      },
    ];
  });
  return {
    order: order
      .split(",")
      .map((number) => number.trim().toUpperCase())
      .filter((number) => number !== ""),
    entries,
  };
}
