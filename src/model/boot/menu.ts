/** A serial console as the configuration has it. */
interface SerialConsole {
  /** Below /dev. */
  readonly port: string;
  /** Baud. */
  readonly speed: number;
}

export type Arch = "x86_64" | "aarch64";

/** The boot menu, all of it: written at installation and never again. */
export interface BootMenu {
  /** How many entries, from slot 0. */
  slots: number;
  /** The kernel's flavour: lts, virt, stable. */
  flavor: string;
  /** The volume's filesystem UUID, for the kernel's `root=`. */
  rootUuid: string;
  /** ROOT's partition GUID: what rEFInd finds the volume by. */
  partitionGuid: string;
  /** Further kernel parameters, without quotes or line breaks (parseCmdline sees to that). */
  cmdline: string;
  serial?: SerialConsole;
  /** Seconds until slot 0 boots. */
  timeoutSeconds: number;
  /** Modules that the initramfs loads before it looks for the root. */
  modules: readonly string[];
}

/** What Alpine's setup-disk writes for a btrfs root, with nvme always, since a disk moves between machines. */
export const bootModules: readonly string[] = ["sd-mod", "usb-storage", "btrfs", "nvme"];

/** Seconds. */
export const MENU_TIMEOUT = 5;

/** What stands in the menu for a slot. */
function entryTitle(slot: number): string {
  return `Alpine ${slot}`;
}

/** The kernel command line of a slot, without the `initrd=` that rEFInd appends. */
export function kernelCommandLine(menu: BootMenu, slot: number): string {
  const { serial } = menu;
  const words = [
    `root=UUID=${menu.rootUuid}`,
    "rootfstype=btrfs",
    // mkinitfs's init ignores a bare `ro` once there are rootflags.
    `rootflags=subvol=current/${slot}/@,ro`,
    `modules=${menu.modules.join(",")}`,
    // The last console is /dev/console: who asked for a serial line wants OpenRC's messages there.
    ...(serial ? ["console=tty0", `console=${serial.port},${serial.speed}`] : []),
    ...menu.cmdline.split(/\s+/),
  ];
  return words.filter((word) => word !== "").join(" ");
}

/** A token of refind.conf: in quotes, a quote inside doubled. Throws on a line break, which would end the line. */
function quoted(text: string): string {
  if (/[\r\n\0]/.test(text)) throw new Error(`a line break in the boot menu: ${JSON.stringify(text)}`);
  return `"${text.replaceAll('"', '""')}"`;
}

function entry(menu: BootMenu, slot: number): string {
  const boot = `/current/${slot}/@/boot`;
  // `volume` must come before `loader`: rEFInd looks for the loader where it is when it reads that line.
  return `menuentry ${quoted(entryTitle(slot))} {
    volume ${menu.partitionGuid.toUpperCase()}
    loader ${boot}/vmlinuz-${menu.flavor}
    initrd ${boot}/initramfs-${menu.flavor}
    options ${quoted(kernelCommandLine(menu, slot))}
}
`;
}

/**
 * The whole refind.conf. It names slots, not generations, so an upgrade never touches it. `textonly` needs no icons and
 * shows on a serial console where the firmware does; `use_nvram false` keeps rEFInd's variables out of the firmware's
 * memory; `default_selection 1` is the first entry, without which rEFInd boots what was booted last.
 */
export function renderRefindConf(menu: BootMenu): string {
  const entries = Array.from({ length: menu.slots }, (_, slot) => entry(menu, slot));
  return `# Written by firn at installation. Which generation a slot boots is decided on the volume, by /current.
timeout ${menu.timeoutSeconds === 0 ? -1 : menu.timeoutSeconds}
textonly
use_nvram false
scanfor manual
default_selection 1

${entries.join("\n")}`;
}
