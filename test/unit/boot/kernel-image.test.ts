import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { initramfsFormat, kernelRelease, unreadable, type Extent } from "../../../src/model/boot/kernel-image.ts";

const bytes = (text: string): number[] => [...Buffer.from(text, "latin1")];

/** The head of a bzImage with an EFI stub, as Documentation/arch/x86/boot.rst lays it out. */
function bzImage(version: string, { pointer = 0x3000, size = 0x10000 } = {}): Uint8Array {
  const head = new Uint8Array(size);
  head.set(bytes("MZ"));
  head.set([0xeb, 0x66], 0x200);
  head.set(bytes("HdrS"), 0x202);
  new DataView(head.buffer).setUint16(0x20e, pointer, true);
  head.set(bytes(`${version}\0`), 0x200 + pointer);
  return head;
}

test("the kernel's release is the first word of its version string", () => {
  const version = "6.6.100-0-lts (buildozer@build) #1-Alpine SMP";
  assert.equal(kernelRelease(bzImage(version)), "6.6.100-0-lts");
  assert.equal(kernelRelease(bzImage("6.1.0-18-cloud-amd64", { pointer: 0x12fe })), "6.1.0-18-cloud-amd64");
});

test("a kernel that says no version has no release in its header", () => {
  const head = bzImage("6.6.1");
  new DataView(head.buffer).setUint16(0x20e, 0, true);
  assert.equal(kernelRelease(head), "");
});

test("a PE file without Linux's x86 header may be a kernel of another architecture", () => {
  const head = new Uint8Array(4096);
  head.set(bytes("MZ"));
  assert.equal(kernelRelease(head), "");
});

test("a file that UEFI cannot start, or that ends before its version, is no kernel", () => {
  assert.equal(kernelRelease(new Uint8Array()), undefined);
  assert.equal(kernelRelease(new Uint8Array(0x10000)), undefined);
  assert.equal(kernelRelease(new Uint8Array(bytes("\x7fELF"))), undefined);
  assert.equal(kernelRelease(bzImage("6.6.1").subarray(0, 0x3100)), undefined);
  assert.equal(kernelRelease(bzImage("")), undefined);
});

test("garbage never throws, and never gives a release with a blank, a slash or a control character", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 0x400 }), fc.uint8Array({ maxLength: 200 }), (rubbish, version) => {
      const head = bzImage("", { pointer: 0x100, size: 0x1000 });
      head.set(version, 0x300);
      for (const any of [rubbish, head]) assert.match(kernelRelease(any) ?? "", /^[!-.0-~]*$/);
    }),
  );
});

test("the program that unpacks an initramfs is known by the first bytes", () => {
  const table = [
    [[0x1f, 0x8b, 8], "gzip"],
    [[0x28, 0xb5, 0x2f, 0xfd, 4], "zstd"],
    [[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], "xz"],
    [[0x02, 0x21, 0x4c, 0x18], "lz4"],
    [[0x04, 0x22, 0x4d, 0x18], "lz4"],
    [bytes("070701"), "cpio"],
    [bytes("07080"), undefined],
    [[0x28, 0xb5, 0x2f], undefined],
    [[], undefined],
    [[0, 0, 0, 0], undefined],
  ] as const;
  for (const [head, format] of table) assert.equal(initramfsFormat(new Uint8Array(head)), format, String(head));
});

const K = 1024;
const data = (offset: number, length: number, compression = 0): Extent => [offset, 1, compression, 1 << 20, length];

test("a file of plain, zlib or zstd extents without gaps can be read by the boot loader", () => {
  assert.equal(unreadable([data(0, 128 * K), data(128 * K, 128 * K, 1), data(256 * K, 4 * K, 3)], 257 * K), undefined);
  assert.equal(unreadable([[0, 0, 0, -1, 300]], 300), undefined, "inline");
  assert.equal(unreadable([[0, 0, 3, -1, 2000]], 2000), undefined, "inline, zstd");
  assert.equal(unreadable([], 0), undefined, "empty");
});

test("a hole is seen at the start, in the middle and at the end, with and without an extent of its own", () => {
  const hole = (offset: number, length: number): Extent => [offset, 1, 0, 0, length];
  const table: readonly (readonly Extent[])[] = [
    [data(4 * K, 8 * K)],
    [hole(0, 4 * K), data(4 * K, 8 * K)],
    [data(0, 4 * K), data(8 * K, 4 * K)],
    [data(0, 4 * K), hole(4 * K, 4 * K), data(8 * K, 4 * K)],
    [data(0, 8 * K)],
    [data(0, 8 * K), hole(8 * K, 4 * K)],
    [],
  ];
  for (const extents of table) assert.equal(unreadable(extents, 12 * K), "it has holes", JSON.stringify(extents));
});

test("preallocated blocks are seen, also behind the end of the file, and so is LZO", () => {
  assert.equal(unreadable([data(0, 4 * K), [4 * K, 2, 0, 1 << 20, 4 * K]], 4 * K), "it has preallocated blocks");
  assert.equal(unreadable([[0, 2, 0, 1 << 20, 4 * K]], 4 * K), "it has preallocated blocks");
  assert.equal(unreadable([data(0, 4 * K), data(4 * K, 4 * K, 2)], 8 * K), "it is compressed with LZO");
  assert.equal(unreadable([[0, 0, 2, -1, 100]], 100), "it is compressed with LZO");
});

test("of a file cut into any extents, each one that is taken away leaves a hole", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 32 }), { minLength: 1, maxLength: 12 }), fc.nat(), (sizes, at) => {
      let end = 0;
      const extents = sizes.map((size) => data((end += size * 4 * K) - size * 4 * K, size * 4 * K));
      assert.equal(unreadable(extents, end), undefined);
      assert.equal(unreadable(extents.toSpliced(at % sizes.length, 1), end), "it has holes");
    }),
  );
});
