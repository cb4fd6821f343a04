/** A private key, the passphrase of a network, the hash of a password (crypt(5)): nobody wants to have shown one. */
const SECRET = [
  /-----BEGIN [A-Z ]*PRIVATE KEY/,
  // wpa_supplicant, hostapd, NetworkManager; WireGuard; iwd.
  /(?:^|[{\s;#])(?:psk|password|sae_password|wpa_passphrase|wep_key\d|PrivateKey|PresharedKey|Passphrase)[ \t]*=/im,
  // netrc(5): `machine a login b password c`.
  /(?:^|\s)machine\s+\S+[^]*?\spassword\s+\S/,
  // crypt(5), and Apache's.
  /\$(?:1|2[abxy]|5|6|7|y|gy|apr1)\$[./0-9A-Za-z$=,]{8}/,
  /\{S?SHA(?:256|512)?\}[A-Za-z0-9+/]{8}/i,
];

/** Whether the text of a file that everybody may read holds a secret all the same. */
export function holdsSecret(text: string): boolean {
  return SECRET.some((secret) => secret.test(text));
}

/**
 * A command as it is noted and told: any of its words may be a secret, which the record and a log would keep, so only
 * its program is named.
 */
export function withoutWords([program = "", ...words]: readonly string[]): string {
  return words.length === 0 ? program : `${program} ...`;
}
