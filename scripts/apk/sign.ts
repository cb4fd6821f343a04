import { createPrivateKey, createPublicKey, generateKeyPairSync, sign as rsaSign } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { tarBlocks } from "./tar.ts";

/** What signs packages and indexes. */
export interface Signer {
  /** The file name under which `/etc/apk/keys` must hold the public key: `firn.rsa.pub`. */
  readonly keyName: string;
  /** PEM, SubjectPublicKeyInfo: what goes into that file. */
  readonly publicKey: string;
  /** The member name's prefix: apk 2.10 and later take both, older ones only `RSA` (SHA-1). */
  readonly scheme: "RSA" | "RSA256";
  sign(data: Uint8Array): Buffer;
}

export interface KeyOptions {
  readonly scheme?: "RSA" | "RSA256";
}

/** Reads `NAME.rsa` (PEM). The key's name is the file's name with `.pub`. Throws when it is no RSA key. */
export function loadKey(privateFile: string, options: KeyOptions = {}): Signer {
  const key = createPrivateKey(readFileSync(privateFile));
  if (key.asymmetricKeyType !== "rsa") throw new Error(`${privateFile} is not an RSA key`);
  const scheme = options.scheme ?? "RSA256";
  return {
    keyName: `${basename(privateFile)}.pub`,
    publicKey: createPublicKey(key).export({ type: "spki", format: "pem" }) as string,
    scheme,
    sign: (data) => rsaSign(scheme === "RSA" ? "sha1" : "sha256", data, key),
  };
}

/**
 * Makes `DIR/NAME.rsa` (0600) and `DIR/NAME.rsa.pub` (0644) and loads them. Never replaces a key: throws EEXIST.
 * `bits`: 4096 as abuild-keygen has it; tests take less.
 */
export function createKey(dir: string, name: string, options: KeyOptions & { bits?: number } = {}): Signer {
  mkdirSync(dir, { recursive: true });
  const file = join(dir, `${name}.rsa`);
  const pair = generateKeyPairSync("rsa", {
    modulusLength: options.bits ?? 4096,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  writeFileSync(file, pair.privateKey, { mode: 0o600, flag: "wx" });
  writeFileSync(`${file}.pub`, pair.publicKey, { mode: 0o644 });
  return loadKey(file, options);
}

/** The first gzip member of a package or index: the signature over the raw bytes of the member that follows. */
export function signatureMember(signer: Signer, signed: Uint8Array): Buffer {
  const entry = {
    type: "file",
    path: `.SIGN.${signer.scheme}.${signer.keyName}`,
    source: { bytes: signer.sign(signed) },
  } as const;
  return gzipSync(Buffer.concat([...tarBlocks([entry], { mtime: 0, checksums: false })]), { level: 9 });
}
