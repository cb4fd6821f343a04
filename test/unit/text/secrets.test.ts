import assert from "node:assert/strict";
import { test } from "node:test";
import { holdsSecret, withoutWords } from "../../../src/model/text/secrets.ts";

test("private keys, passphrases and hashes of passwords are secrets, public keys and settings are none", () => {
  const secrets = [
    "# mine\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl",
    "-----BEGIN PRIVATE KEY-----",
    'network={\n\tssid="a"\n\tpsk="b"\n}',
    "#psk=0123",
    "username=a\npassword=b\n",
    "root:$6$salt$usFpHs1YxeqchMPqD4N8:1::::::",
    "x:$y$j9T$abcdefgh$",
    "$2b$10$abcdefghij",
    "psk = x",
    'network={ ssid="a" psk="x" }',
    "[Interface]\nPrivateKey = aGVsbG8=",
    "[Peer]\nPresharedKey=aGVsbG8=",
    "[Security]\nPassphrase=x",
    "kim:$apr1$abcdefgh$ijk",
    "kim:{SHA}aGVsbG8gd29ybGQ=",
    "userPassword: {SSHA}aGVsbG8gd29ybGQ=",
    "machine a\nlogin b\npassword x\n",
  ];
  for (const text of secrets) assert.ok(holdsSecret(text), text);
  const open = [
    "",
    "-----BEGIN PUBLIC KEY-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
    "PasswordAuthentication no\nPS1='$1$PWD'\n",
    "root:x:0:0:root:/root:/bin/ash",
  ];
  for (const text of open) assert.ok(!holdsSecret(text), text);
});

test("a command is named by its program alone", () => {
  assert.equal(withoutWords(["mysql", "-psecret"]), "mysql ...");
  assert.equal(withoutWords(["reboot"]), "reboot");
});
