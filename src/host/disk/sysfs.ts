import { isSysError } from "../kernel/failure.ts";
import { names, readLink, readLinkIfAny, readTextIfAny } from "../kernel/files.ts";

/** "8:1" from a device number, as linux/kdev_t.h packs it for user space. */
export function deviceNumber(rdev: number): string {
  return `${(rdev >>> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >>> 12) & 0xfff00)}`;
}

/** A block device as sysfs has it. `folder` is its folder in sysfs. */
export interface KernelDevice {
  /** `sda1`; a `!` stands for a slash. */
  name: string;
  /** The disk's name when this is a partition. */
  disk: string | undefined;
  folder: string;
}

/** The name of the disk that a partition is on; undefined for what is no partition. */
export function diskOf(name: string): string | undefined {
  const folder = `/sys/class/block/${name}`;
  if (readTextIfAny(`${folder}/partition`) === undefined) return undefined;
  return readLink(folder).split("/").at(-2);
}

/** What the kernel calls the block device with this number; undefined when sysfs does not know it. */
export function kernelDevice(rdev: number): KernelDevice | undefined {
  const target = readLinkIfAny(`/sys/dev/block/${deviceNumber(rdev)}`);
  if (target === undefined) return undefined;
  const name = target.slice(target.lastIndexOf("/") + 1);
  return { name, disk: diskOf(name), folder: `/sys/class/block/${name}` };
}

/** `cciss!c0d0` is `/dev/cciss/c0d0`. */
export function devicePath(name: string): string {
  return `/dev/${name.replaceAll("!", "/")}`;
}

/** An attribute's text, trimmed; "" where there is none. */
export function attribute(folder: string, name: string): string {
  return (attributeText(`${folder}/${name}`) ?? "").trim();
}

/** The text of a file of sysfs; undefined when the device, or just what the file tells, has gone meanwhile. */
function attributeText(path: string): string | undefined {
  try {
    return readTextIfAny(path);
  } catch (error) {
    if (isSysError(error, "ENODEV", "ENXIO", "EINVAL", "EIO")) return undefined;
    throw error;
  }
}

/** A partition that the kernel shows. */
export interface KernelPartition {
  name: string;
  number: number;
  startByte: number;
  bytes: number;
}

/** sysfs counts in 512 bytes, whatever the disk's sectors are. */
export const SYSFS_SECTOR = 512;

/** The partitions of the disk `name` that the kernel shows now. */
export function kernelPartitions(name: string): KernelPartition[] {
  const folder = `/sys/class/block/${name}`;
  return names(folder).flatMap((entry) => {
    const number = readTextIfAny(`${folder}/${entry}/partition`);
    if (number === undefined) return [];
    return [
      {
        name: entry,
        number: Number(number),
        startByte: Number(attribute(folder, `${entry}/start`)) * SYSFS_SECTOR,
        bytes: Number(attribute(folder, `${entry}/size`)) * SYSFS_SECTOR,
      },
    ];
  });
}

/** A loop device that is attached to something. */
export interface LoopDevice {
  name: string;
  backingFile: string;
  offset: number;
  /** 0: to the end. */
  sizeLimit: number;
  readonly: boolean;
}

export function loopDevice(name: string): LoopDevice | undefined {
  const folder = `/sys/class/block/${name}`;
  const backingFile = attributeText(`${folder}/loop/backing_file`);
  if (backingFile === undefined) return undefined;
  return {
    name,
    backingFile: backingFile.replace(/\n$/, ""),
    offset: Number(attribute(folder, "loop/offset")),
    sizeLimit: Number(attribute(folder, "loop/sizelimit")),
    readonly: attribute(folder, "ro") === "1",
  };
}

export function loopDevices(): LoopDevice[] {
  return names("/sys/class/block")
    .filter((name) => /^loop\d+$/.test(name))
    .flatMap((name) => loopDevice(name) ?? []);
}
