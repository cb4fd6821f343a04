import assert from "node:assert/strict";
import { test } from "node:test";
import { bootModules, kernelCommandLine, renderRefindConf, type BootMenu } from "../../../src/model/boot/menu.ts";

const menu: BootMenu = {
  slots: 2,
  flavor: "lts",
  rootUuid: "0a1b2c3d-0000-4000-8000-000000000000",
  partitionGuid: "22222222-2222-4222-8222-22222222abcd",
  cmdline: "quiet",
  timeoutSeconds: 5,
  modules: bootModules,
};

test("the menu is the one that was seen to boot, one entry a slot", () => {
  assert.equal(
    renderRefindConf(menu),
    `# Written by firn at installation. Which generation a slot boots is decided on the volume, by /current.
timeout 5
textonly
use_nvram false
scanfor manual
default_selection 1

menuentry "Alpine 0" {
    volume 22222222-2222-4222-8222-22222222ABCD
    loader /current/0/@/boot/vmlinuz-lts
    initrd /current/0/@/boot/initramfs-lts
    options "root=UUID=0a1b2c3d-0000-4000-8000-000000000000 rootfstype=btrfs rootflags=subvol=current/0/@,ro modules=sd-mod,usb-storage,btrfs,nvme quiet"
}

menuentry "Alpine 1" {
    volume 22222222-2222-4222-8222-22222222ABCD
    loader /current/1/@/boot/vmlinuz-lts
    initrd /current/1/@/boot/initramfs-lts
    options "root=UUID=0a1b2c3d-0000-4000-8000-000000000000 rootfstype=btrfs rootflags=subvol=current/1/@,ro modules=sd-mod,usb-storage,btrfs,nvme quiet"
}
`,
  );
});

test("with a serial console both consoles get messages, and the serial one is /dev/console", () => {
  const line = kernelCommandLine({ ...menu, serial: { port: "ttyS0", speed: 115200 }, cmdline: "" }, 0);
  assert.match(line, / console=tty0 console=ttyS0,115200$/);
  assert.doesNotMatch(kernelCommandLine(menu, 0), /console=/);
});

test("no wait is rEFInd's -1, since its 0 waits for ever", () => {
  assert.match(renderRefindConf({ ...menu, timeoutSeconds: 0 }), /^timeout -1$/m);
});

test("a command line cannot break out of its token", () => {
  const conf = renderRefindConf({ ...menu, cmdline: 'dyndbg="file a +p"' });
  assert.match(conf, /options ".* dyndbg=""file a \+p"""$/m);
  assert.equal(renderRefindConf({ ...menu, cmdline: "a\n}\nscanfor internal" }).match(/^scanfor/gm)?.length, 1);
});
