import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bootCheckNames,
  bootChecks,
  releaseOf,
  type BootFacts,
  type BootSubject,
} from "../../../src/model/boot/checks.ts";
import { initramfsContent } from "../../../src/model/boot/kernel-image.ts";
import type { Refusal } from "../../../src/model/problem.ts";

const draft: BootSubject = { flavor: "lts", draft: true, unchanged: false };

function refuses(refusal: Refusal | undefined, message: string): void {
  assert.deepEqual(refusal?.problem, {
    code: "E_BOOT_FILES",
    message,
    hint: "Look at the kernel package linux-lts and mkinitfs.",
  });
}

const found = (kind: string | undefined, bytes: number): BootFacts["files"][number] => ({
  name: "/boot/vmlinuz-lts",
  kind,
  bytes,
});

test("a boot file must be there, regular and not empty", () => {
  const { judge } = bootChecks.files;
  const initramfs = { name: "/boot/initramfs-lts", kind: "file", bytes: 1 };
  assert.equal(judge([found("file", 1), initramfs], draft), undefined);
  refuses(
    judge([found(undefined, 0), initramfs], draft),
    "The generation has no /boot/vmlinuz-lts, which the boot menu names.",
  );
  for (const kind of ["directory", "other"])
    refuses(judge([found(kind, 9), initramfs], draft), "/boot/vmlinuz-lts is no regular file.");
  refuses(judge([found("file", 0), initramfs], draft), "/boot/vmlinuz-lts is empty.");
  refuses(judge([found("file", 1), { ...initramfs, bytes: 0 }], draft), "/boot/initramfs-lts is empty.");
});

const kernel: BootFacts["kernel"] = {
  name: "/boot/vmlinuz-lts",
  bytes: 100,
  peBytes: 100,
  stated: "6.6.1-0-lts",
  noted: "6.6.0",
};

test("a kernel must be a whole EFI program of a known release", () => {
  const { judge } = bootChecks.kernel;
  assert.equal(judge(kernel, draft), undefined);
  assert.equal(judge({ ...kernel, peBytes: 99 }, draft), undefined, "something behind its last section");
  for (const none of [{ stated: undefined }, { peBytes: undefined }])
    refuses(judge({ ...kernel, ...none }, draft), "/boot/vmlinuz-lts is no kernel that UEFI can start.");
  refuses(judge({ ...kernel, bytes: 99 }, draft), "/boot/vmlinuz-lts is cut short.");
  assert.equal(judge({ ...kernel, stated: "" }, draft), undefined, "its package says");
  for (const noted of [undefined, ""])
    refuses(judge({ ...kernel, stated: "", noted }, draft), "Nothing says of which release /boot/vmlinuz-lts is.");
});

test("a kernel's own word for its release counts, and its package's only without that", () => {
  assert.equal(releaseOf(kernel), "6.6.1-0-lts");
  assert.equal(releaseOf({ ...kernel, stated: "" }), "6.6.0");
  assert.equal(releaseOf({ ...kernel, stated: "", noted: "" }), undefined);
});

test("a kernel needs its modules", () => {
  const { judge } = bootChecks.modules;
  assert.equal(judge({ release: "6.6.1", present: true }, draft), undefined);
  refuses(
    judge({ release: "6.6.1", present: false }, draft),
    "The kernel is 6.6.1, but /lib/modules/6.6.1 is missing, or has no modules.dep.",
  );
});

test("an initramfs must be whole, and have init, btrfs and the kernel's modules", () => {
  const { judge } = bootChecks.initramfs;
  const whole = { init: true, modules: true, btrfs: true };
  const facts = (content: BootFacts["initramfs"]["content"]): BootFacts["initramfs"] => ({
    name: "/boot/initramfs-lts",
    release: "6.6.1",
    content,
  });
  assert.equal(judge(facts(whole), draft), undefined);
  refuses(judge(facts(undefined), draft), "/boot/initramfs-lts is damaged.");
  refuses(judge(facts({ ...whole, init: false }), draft), "/boot/initramfs-lts lacks init.");
  refuses(judge(facts({ ...whole, btrfs: false }), draft), "/boot/initramfs-lts lacks btrfs.");
  refuses(
    judge(facts({ init: false, modules: false, btrfs: false }), draft),
    "/boot/initramfs-lts lacks init, btrfs, modules for the kernel 6.6.1.",
  );
});

test("what an initramfs holds is read from its list of files, and btrfs may be built into the kernel", () => {
  const listing = "init\nlib/modules/6.6.1/kernel/fs/btrfs/btrfs.ko.gz\n";
  assert.deepEqual(initramfsContent(listing, "6.6.1", ""), { init: true, modules: true, btrfs: true });
  assert.deepEqual(initramfsContent(listing, "6.6.2", ""), { init: true, modules: false, btrfs: true });
  assert.deepEqual(initramfsContent("./init\n", "6.6.1", "kernel/fs/btrfs/btrfs.ko\n"), {
    init: true,
    modules: false,
    btrfs: true,
  });
  assert.deepEqual(initramfsContent("usr/init\ninit.d\n", "6.6.1", ""), { init: false, modules: false, btrfs: false });
});

test("a file that the boot loader cannot read is refused, by name", () => {
  const { judge } = bootChecks.readable;
  const plain = { name: "/boot/vmlinuz-lts", bytes: 4096, extents: [[0, 1, 0, 1 << 20, 4096]] as const };
  assert.equal(judge([plain], draft), undefined);
  refuses(
    judge([plain, { ...plain, name: "/boot/initramfs-lts", bytes: 8192 }], draft),
    "/boot/initramfs-lts: it has holes, which the boot loader cannot read.",
  );
});

test("a sealed generation is only looked at, and what a base was checked for is not checked again", () => {
  const asked = (subject: BootSubject): string[] => bootCheckNames.filter((name) => bootChecks[name].when(subject));
  assert.deepEqual(asked(draft), ["folder", "files", "kernel", "modules", "initramfs", "readable"]);
  assert.deepEqual(asked({ ...draft, unchanged: true }), ["folder", "files", "kernel", "modules"]);
  assert.deepEqual(asked({ flavor: "lts", draft: false, unchanged: false }), ["folder", "files", "kernel"]);
});
