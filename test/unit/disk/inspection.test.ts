import assert from "node:assert/strict";
import { test } from "node:test";
import {
  describeDisk,
  holdsData,
  refuseChanged,
  refuseDisk,
  type Disk,
  type DiskUser,
} from "../../../src/model/disk/inspection.ts";

const disk: Disk = {
  kind: "disk",
  path: "/dev/sda",
  bytes: 500_107_862_016,
  sectorBytes: 512,
  model: "ATA Samsung SSD 860",
  removable: false,
  readonly: false,
  partitions: [],
  content: undefined,
  users: [],
};

test("a free disk is not refused", () => {
  assert.equal(refuseDisk(disk), undefined);
});

test("a busy disk is refused with each use, and a way to end it", () => {
  const table: [DiskUser, string, RegExp][] = [
    [{ how: "mount", device: "/dev/sda2", where: "/home" }, "/dev/sda2 is mounted on /home", /umount \/home/],
    [{ how: "mount", device: "/dev/sda2", where: "/" }, "/dev/sda2 holds the running system", /another disk/],
    [{ how: "swap", device: "/dev/sda3" }, "/dev/sda3 is in use as swap", /swapoff \/dev\/sda3/],
    [
      { how: "holder", device: "/dev/sda2", holder: "/dev/mapper/vg-home", kind: "LVM" },
      "/dev/sda2 is in use by LVM (/dev/mapper/vg-home)",
      /vgchange/,
    ],
    [
      { how: "holder", device: "/dev/sda1", holder: "/dev/md0", kind: "RAID" },
      "/dev/sda1 is in use by RAID (/dev/md0)",
      /mdadm --stop \/dev\/md0/,
    ],
    [
      { how: "loop", device: "/dev/sda", holder: "/dev/loop0" },
      "/dev/sda is in use by the loop device /dev/loop0",
      /losetup -d \/dev\/loop0/,
    ],
    [
      { how: "unknown", device: "/dev/sda" },
      "/dev/sda is in use by something that the kernel does not name",
      /another disk/,
    ],
  ];
  for (const [user, said, hint] of table) {
    const problem = refuseDisk({ ...disk, users: [user] })?.problem;
    assert.equal(problem?.code, "E_DISK_BUSY");
    assert.equal(problem.message, `${said}.`);
    assert.match(problem.hint ?? "", hint);
  }
});

test("that the running system is on a disk says all", () => {
  const users: DiskUser[] = [
    { how: "mount", device: "/dev/sda2", where: "/var/log" },
    { how: "swap", device: "/dev/sda3" },
    { how: "mount", device: "/dev/sda2", where: "/" },
  ];
  const message = refuseDisk({ ...disk, users })?.problem.message;
  assert.equal(message, "/dev/sda2 holds the running system.");
});

test("a partition is refused with its disk's name, a missing disk with near names", () => {
  const partition = refuseDisk({ kind: "partition", path: "/dev/nvme0n1p2", disk: "/dev/nvme0n1" })?.problem;
  assert.equal(partition?.code, "E_DISK_PARTITION");
  assert.match(partition.hint ?? "", /firn install \/dev\/nvme0n1\./);
  const missing = refuseDisk({ kind: "missing", path: "/dev/sdc", disks: ["/dev/sda", "/dev/nvme0n1"] })?.problem;
  assert.equal(missing?.code, "E_DISK_MISSING");
  assert.equal(missing.hint, "Did you mean /dev/sda?");
  const far = refuseDisk({ kind: "missing", path: "/dev/mmcblk0", disks: ["/dev/sda"] })?.problem;
  assert.equal(far?.hint, "There are: /dev/sda.");
  const none = refuseDisk({ kind: "missing", path: "/dev/sda", disks: [] })?.problem;
  assert.equal(none?.hint, "The kernel shows no disk at all.");
  assert.match(refuseDisk({ ...disk, readonly: true })?.problem.message ?? "", /write-protected/);
});

test("the user sees which disk it is and what would be lost", () => {
  assert.deepEqual(describeDisk(disk), ["/dev/sda: 500.1 GB, ATA Samsung SSD 860", "  empty"]);
  assert.equal(holdsData(disk), false);
  const full: Disk = {
    ...disk,
    removable: true,
    partitions: [
      {
        ...{ number: 1, path: "/dev/sda1", name: "Windows", startByte: 2 ** 20, bytes: 250_000_000_000 },
        content: { kind: "NTFS", label: "" },
      },
      { number: 2, path: undefined, name: "", startByte: 2 ** 38, bytes: 1_500_000, content: undefined },
    ],
  };
  assert.equal(holdsData(full), true);
  assert.deepEqual(describeDisk(full), [
    "/dev/sda: 500.1 GB, ATA Samsung SSD 860, removable",
    '  /dev/sda1 "Windows": 250.0 GB, NTFS',
    "  partition 2: 1.5 MB, nothing known",
  ]);
});

test("a disk that changed since it was shown is refused; the same one is not", () => {
  assert.equal(refuseChanged(disk, { ...disk }), undefined);
  const others: Partial<Disk>[] = [
    { bytes: disk.bytes - 512 },
    { sectorBytes: 4096 },
    { model: "USB stick" },
    {
      partitions: [
        { number: 1, path: "/dev/sda1", name: "new", startByte: 2 ** 20, bytes: 2 ** 30, content: undefined },
      ],
    },
    { users: [{ how: "mount", device: "/dev/sda1", where: "/mnt" }] },
  ];
  for (const other of others)
    assert.equal(refuseChanged(disk, { ...disk, ...other })?.problem.code, "E_DISK_BUSY", JSON.stringify(other));
  assert.equal(refuseChanged(disk, { kind: "missing", path: disk.path, disks: [] })?.problem.code, "E_DISK_MISSING");
});
