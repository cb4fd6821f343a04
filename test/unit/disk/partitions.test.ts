import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  MiB,
  fatSectorsPerCluster,
  guidFrom,
  minimumEspBytes,
  partitionPath,
  sgdiskArguments,
  type DiskLayout,
} from "../../../src/model/disk/partitions.ts";
import { planDisk, type DiskTarget, type DiskWish } from "../../../src/plan/disk.ts";
import { isRefusal, type Refusal } from "../../../src/model/problem.ts";

const GiB = 1024 * MiB;
const guids = {
  disk: "00000000-0000-4000-8000-000000000000",
  EFI: "11111111-1111-4111-8111-111111111111",
  ROOT: "22222222-2222-4222-8222-22222222ABCD",
  SWAP: "33333333-3333-4333-8333-333333333333",
};
const wish: DiskWish = { espBytes: "auto", swapBytes: "auto", minimumRootBytes: GiB };
const disk = (bytes: number, sectorBytes = 512): DiskTarget => ({
  kind: "disk",
  bytes,
  sectorBytes,
  memoryBytes: 4 * GiB,
});

function layoutOf(planned: DiskLayout | Refusal): DiskLayout {
  assert.ok(!isRefusal(planned), JSON.stringify(planned));
  return planned;
}

const sizes = (planned: DiskLayout | Refusal): (string | number)[] =>
  layoutOf(planned).partitions.flatMap(({ name, bytes }) => [name, bytes / MiB]);

test("a disk gets EFI, ROOT and SWAP; automatic swap is the least of RAM, 8 GiB and a tenth", () => {
  assert.deepEqual(sizes(planDisk(disk(20 * GiB), wish, guids)), [
    "EFI",
    200,
    "ROOT",
    20480 - 2 - 200 - 2048,
    "SWAP",
    2048,
  ]);
  assert.deepEqual(sizes(planDisk(disk(500 * GiB), wish, guids)).slice(4), ["SWAP", 4096]);
  const large = { ...disk(500 * GiB), memoryBytes: 64 * GiB };
  assert.deepEqual(sizes(planDisk(large, wish, guids)).slice(4), ["SWAP", 8192]);
});

test("an image gets swap only when a size is given, and none when none is wanted", () => {
  const image: DiskTarget = { ...disk(4 * GiB), kind: "image" };
  assert.deepEqual(sizes(planDisk(image, wish, guids)), ["EFI", 200, "ROOT", 4096 - 2 - 200]);
  assert.deepEqual(sizes(planDisk(image, { ...wish, swapBytes: 256 * MiB }, guids)).slice(4), ["SWAP", 256]);
  assert.equal(layoutOf(planDisk(disk(20 * GiB), { ...wish, swapBytes: 0 }, guids)).partitions.length, 2);
});

test("every layout is on whole mebibytes, in order, without overlap, and clear of both tables", () => {
  fc.assert(
    fc.property(
      fc.record({
        bytes: fc.integer({ min: 3 * 2048, max: 2 ** 33 }).map((sectors) => sectors * 4096),
        sectorBytes: fc.constantFrom(512, 4096),
        kind: fc.constantFrom("disk" as const, "image" as const),
        memoryBytes: fc.integer({ min: 0, max: 2 ** 40 }),
      }),
      fc.record({
        espBytes: fc.oneof(fc.constant("auto" as const), fc.integer({ min: 257 * MiB, max: 2 * GiB })),
        swapBytes: fc.oneof(fc.constant("auto" as const), fc.constant(0), fc.integer({ min: 1, max: 8 * GiB })),
        minimumRootBytes: fc.integer({ min: 1, max: 8 * GiB }),
      }),
      (target, wanted) => {
        const planned = planDisk(target, wanted, guids);
        if (isRefusal(planned)) return;
        const table = 128 * 128;
        let free = 2 * target.sectorBytes + table;
        for (const part of planned.partitions) {
          assert.equal(part.startByte % MiB, 0);
          assert.equal(part.bytes % MiB, 0);
          assert.ok(part.bytes > 0 && part.startByte >= free);
          assert.equal(part.firstSector * target.sectorBytes, part.startByte);
          assert.equal((part.lastSector + 1) * target.sectorBytes, part.startByte + part.bytes);
          free = part.startByte + part.bytes;
        }
        assert.ok(free <= target.bytes - table - target.sectorBytes);
        assert.deepEqual(planned.partitions.map(({ name }) => name).slice(0, 2), ["EFI", "ROOT"]);
        assert.ok((planned.partitions[1]?.bytes ?? 0) >= wanted.minimumRootBytes);
      },
    ),
  );
});

test("what the refusal says is enough is enough, and a sector less is not", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(512, 4096),
      fc.integer({ min: 257, max: 600 }),
      fc.oneof(
        fc.constant("auto" as const),
        fc.integer({ min: 0, max: 900 }).map((size) => size * MiB),
      ),
      fc.integer({ min: 1, max: 9000 }),
      (sectorBytes, esp, swapBytes, root) => {
        const wanted: DiskWish = { espBytes: esp * MiB, swapBytes, minimumRootBytes: root * MiB };
        const refused = planDisk(disk(sectorBytes, sectorBytes), wanted, guids);
        assert.ok(isRefusal(refused));
        assert.equal(refused.problem.code, "E_DISK_SMALL");
        const enough = Number(/\((\d+) bytes\) is enough/.exec(refused.problem.message)?.[1]);
        assert.ok(!isRefusal(planDisk(disk(enough, sectorBytes), wanted, guids)));
        assert.ok(isRefusal(planDisk(disk(enough - sectorBytes, sectorBytes), wanted, guids)));
      },
    ),
  );
});

test("an EFI partition with too few clusters for FAT32 is refused with the size that does", () => {
  assert.equal(minimumEspBytes(512), 33 * MiB);
  assert.equal(minimumEspBytes(4096), 257 * MiB);
  const refused = planDisk(disk(20 * GiB), { ...wish, espBytes: 32 * MiB }, guids);
  assert.ok(isRefusal(refused));
  assert.match(refused.problem.message, /65525 clusters, which is 33 MiB/);
  assert.equal(refused.problem.hint, "Use --esp-size 33M or more.");
  assert.ok(isRefusal(planDisk(disk(20 * GiB, 4096), { ...wish, espBytes: 200 * MiB }, guids)));
  assert.deepEqual(sizes(planDisk(disk(20 * GiB, 4096), wish, guids)).slice(0, 2), ["EFI", 257]);
});

test("every EFI partition that is accepted has clusters enough", () => {
  for (const sectorBytes of [512, 4096]) {
    for (let size = minimumEspBytes(sectorBytes); size < 2 * GiB; size += MiB) {
      const cluster = fatSectorsPerCluster(size, sectorBytes) * sectorBytes;
      const clusters = (size - 32 * sectorBytes - 2 * (4 * (size / cluster) + sectorBytes)) / cluster;
      assert.ok(clusters >= 65_525, `${size / MiB} MiB at ${sectorBytes}: ${clusters}`);
    }
  }
});

test("partitions of NVMe, MMC and loop devices have a p in their names", () => {
  assert.equal(partitionPath("/dev/sda", 1), "/dev/sda1");
  assert.equal(partitionPath("/dev/vdaa", 12), "/dev/vdaa12");
  assert.equal(partitionPath("/dev/nvme0n1", 1), "/dev/nvme0n1p1");
  assert.equal(partitionPath("/dev/mmcblk0", 2), "/dev/mmcblk0p2");
  assert.equal(partitionPath("/dev/loop0", 3), "/dev/loop0p3");
});

test("one call of sgdisk writes the whole table", () => {
  const layout = layoutOf(planDisk(disk(4 * GiB), { ...wish, swapBytes: 0 }, guids));
  assert.deepEqual(sgdiskArguments(layout, "/dev/sda"), [
    ...["sgdisk", "--clear", `--disk-guid=${guids.disk}`, "--set-alignment=1"],
    ...["--new=1:2048:411647", "--typecode=1:ef00", "--change-name=1:EFI", `--partition-guid=1:${guids.EFI}`],
    ...["--new=2:411648:8386559", "--typecode=2:8300", "--change-name=2:ROOT"],
    `--partition-guid=2:${guids.ROOT.toLowerCase()}`,
    "/dev/sda",
  ]);
});

test("GUIDs are random ones, of version 4", () => {
  assert.equal(guidFrom(new Uint8Array(16)), "00000000-0000-4000-8000-000000000000");
  assert.equal(guidFrom(new Uint8Array(16).fill(255)), "ffffffff-ffff-4fff-bfff-ffffffffffff");
});
