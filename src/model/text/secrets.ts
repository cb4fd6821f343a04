/** A private key, the passphrase of a network, the hash of a password (crypt(5)): nobody wants to have shown one. */
const SECRET = [
  /-----BEGIN [A-Z ]*PRIVATE KEY/,
  /^[ \t#]*(?:psk|password|sae_password|wpa_passphrase|wep_key\d)=/m,
  /\$(?:1|2[abxy]|5|6|7|y|gy)\$[./0-9A-Za-z$=,]{8}/,
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
