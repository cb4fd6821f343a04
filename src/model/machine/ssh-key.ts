import type { Refusal } from "../problem.ts";
import { decodeBase64 } from "../text/base64.ts";
import { bad, quoted } from "../text/complaint.ts";

/**
 * Public key types that OpenSSH 9 accepts by default (sshd_config(5), PubkeyAcceptedAlgorithms, without certificates).
 */
const KEY_TYPES = [
  "ssh-ed25519",
  "ssh-rsa",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "sk-ssh-ed25519@openssh.com",
  "sk-ecdsa-sha2-nistp256@openssh.com",
];

/** Whether a word is what a key begins with. */
export function isKeyType(word: string): boolean {
  return [...KEY_TYPES, "ssh-dss"].includes(word);
}

/** The length-prefixed fields of a key blob (RFC 4251 section 5), or undefined when it ends early or has a rest. */
function fields(blob: Uint8Array): Uint8Array[] | undefined {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const found: Uint8Array[] = [];
  let at = 0;
  while (at < blob.length) {
    if (at + 4 > blob.length) return undefined;
    const end = at + 4 + view.getUint32(at);
    if (end > blob.length) return undefined;
    found.push(blob.subarray(at + 4, end));
    at = end;
  }
  return found;
}

/** Options in front of a key (sshd(8), AUTHORIZED_KEYS FILE FORMAT): `from="10.0.0.0/8",no-pty `. */
const OPTIONS = /^[A-Za-z0-9-]+(?:="(?:[^"\\]|\\.)*")?(?:,[A-Za-z0-9-]+(?:="(?:[^"\\]|\\.)*")?)*[ \t]+/;

/** A line without its options. */
function withoutOptions(line: string): string {
  const isKey = (text: string): boolean => isKeyType(text.split(/[ \t]/)[0] ?? "");
  const rest = line.replace(OPTIONS, "");
  return !isKey(line) && isKey(rest) ? rest : line;
}

/**
 * A line of authorized_keys: options perhaps, type, base64, and perhaps a comment. The base64 must hold a whole key of
 * the type that the line names, so that a line cut by a paste is found here and not at the first login. What is no key
 * may be a secret, and is not repeated.
 */
export function parseSshKey(text: string): string | Refusal {
  const line = text.trim();
  const hint = 'Give the one line of a .pub file, for example "ssh-ed25519 AAAA... name".';
  if (line === "") return bad("is empty.", hint);
  if (line.includes("PRIVATE KEY")) return bad("is a private key, which must stay where it is.", hint);
  if (/^https?:\/\//.test(line)) return bad(`${quoted(line)} is an address, not a key.`, hint);
  if (/[\p{Cc}]/u.test(line.replaceAll("\t", " ")))
    return bad("has more than one line.", `${hint} Repeat for more keys.`);
  const [type = "", body = ""] = withoutOptions(line).split(/[ \t]+/);
  if (type === "ssh-dss")
    return bad("is a DSA key, which OpenSSH no longer accepts.", "Make one with `ssh-keygen -t ed25519`.");
  if (!KEY_TYPES.includes(type)) return bad("begins with no type of key that firn knows.", hint);
  if (body === "") return bad("has a type but no key.", hint);
  const blob = decodeBase64(body);
  if (blob === undefined) return bad("is damaged: its second word is not base64.", hint);
  const parts = fields(blob);
  if (parts === undefined) return bad("is damaged: the key is cut off, or something follows it.", hint);
  const inner = String.fromCharCode(...(parts[0] ?? []).slice(0, 64));
  if (inner !== type) return bad(`says ${quoted(type)} but holds ${quoted(inner)}.`, hint);
  // ed25519: type, key; rsa: type, exponent, modulus; ecdsa: type, curve, point; sk-: one more, the application.
  const wanted = (type.includes("ed25519") ? 2 : 3) + (type.startsWith("sk-") ? 1 : 0);
  if (parts.length !== wanted) return bad("is damaged: a part of the key is missing.", hint);
  return line;
}
