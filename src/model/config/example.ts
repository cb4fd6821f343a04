/**
 * What `firn config --example` prints: every key of machine.toml. Lines that are not comments say the defaults; a key
 * that has none stands behind "# " with an example. A test holds it against the schema. The hash and the key fit
 * nobody's password and nobody's private key: both were thrown away.
 */
export function exampleToml(): string {
  return `# machine.toml: what firn install and firn image build.
#   firn install /dev/sda --config machine.toml --dry-run
# Every key may be left out. What is not commented out here is the default.
# Flags say the same things, and a flag wins. Sizes count in 1024s: 200M, 4G, 1.5GiB.

[disk]
# Size of an image. A disk is used whole.
# size = "4G"
# Without it: 200M, or what FAT32 needs on a disk with large sectors when that is more.
# esp-size = "200M"
# Without it: the least of RAM, 8G and a tenth of the disk; none for an image. "none" makes none.
# swap-size = "2G"
# Entries of the boot menu, 1 to 16.
slots = 4
# zstd, zstd:1 to zstd:15, zlib, zlib:1 to zlib:9, none
compression = "zstd"
# Writable paths that all generations share, beside those that always are:
# /home /root /srv /var/cache /var/lib /var/log /var/spool /var/tmp.
# Below /var/lib a path becomes a subvolume of its own.
commons = []
# commons = ["/var/lib/docker", "/var/lib/flatpak"]

[system]
arch = "x86_64"
# A branch: v3.20, latest-stable, edge.
release = "latest-stable"
mirror = "https://dl-cdn.alpinelinux.org/alpine"
# As for apk -X: addresses or folders, with a tag if you like. Without release and mirror, these alone are used.
repositories = []
# repositories = ["/srv/packages", "@testing https://dl-cdn.alpinelinux.org/alpine/edge/testing"]
# Public keys to trust. Without it: those of the host, or Alpine's own.
# keys-dir = "/etc/apk/keys"
# The kernel: lts, virt (for virtual machines), stable.
flavor = "lts"
# "none", or packages: a machine with wireless or graphics usually needs some.
firmware = "none"
# firmware = ["linux-firmware-i915", "linux-firmware-rtw88"]
# As apk add spells them: name, name=1.2-r0, name~1.2, name@tag.
packages = []
# packages = ["openssh", "doas", "chrony"]
# Further kernel parameters. firn sets root=, rootflags= and rootfstype= itself.
cmdline = "quiet"
# Kernel messages and a login on a serial line.
# serial = "ttyS0,115200"
# A folder with rEFInd and its drivers, instead of the package.
# refind = "/usr/share/refind"

[identity]
hostname = "alpine"
timezone = "UTC"
# Layout and variant, as for setup-keymap.
keymap = "none"
# keymap = "us us"

# Root. Without a password hash no password fits; keys still do.
[identity.root]
locked = true
ssh-keys = []
# Made with: openssl passwd -6
# password-hash = "$6$c885ff4198a5$N86QQXS3aK1G6uitngt6LuFLe0DusnyK5ekINtoey2De4RP/hkZ7FrShgLummt5QCm6gbPNuhfF/rMJV2XXlQ/"

# One such table for each user.
# [[identity.users]]
# name = "alex"
# full-name = "Alex Example"
# groups = ["wheel", "audio", "video", "netdev"]
# ssh-keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA7XVgXmM2jsfH4nrM92MTPCPaO/QXxtggsPIcMROuGx alex@example.com"]
# password-hash = "$6$c885ff4198a5$N86QQXS3aK1G6uitngt6LuFLe0DusnyK5ekINtoey2De4RP/hkZ7FrShgLummt5QCm6gbPNuhfF/rMJV2XXlQ/"
# shell = "/bin/ash"

[network]
# With dhcp, the lease's name servers are used when there are none here.
dns = []
# dns = ["192.0.2.53", "2001:db8::53"]
search = []
# search = ["example.org"]

[[network.interfaces]]
name = "eth0"
method = "dhcp"

# [[network.interfaces]]
# name = "eth1"
# method = "static"
# addresses = ["192.0.2.10/24", "2001:db8::10/64"]
# gateways = ["192.0.2.1", "fe80::1"]

# Services beyond those that every Alpine starts, by runlevel; "!name" takes one out.
[services]
sysinit = []
boot = []
default = []
shutdown = []
# default = ["sshd", "chronyd", "!acpid"]
`;
}

/** The same for firn.toml; it is also what an installation writes to /etc/firn/firn.toml. */
export function exampleFirnToml(): string {
  return `# /etc/firn/firn.toml: how this system keeps and makes its generations.
# Every key may be left out. What is not commented out here is the default.

# What firn gc keeps beside the generations that it never deletes: those in a slot, pinned, booted, on
# trial, or last known good.
[retention]
# Generations in all, counting those.
keep-count = 10
# Younger ones are kept beyond that: 30d, 4w, 6m, 1y.
keep-days = 0
# While less than this is free, neither count nor age protects: 2G or 10%.
min-free = "10%"
# Whether an upgrade that lacks space runs gc first.
auto-gc = false

[upgrade]
# Used beside /etc/apk/repositories.
repositories = []
# Public keys to trust beside those in /etc/apk/keys.
# keys-dir = "/srv/keys"
`;
}
