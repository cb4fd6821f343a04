import legacyX86 from "../../../../system/keys/alpine-devel@lists.alpinelinux.org-4a6a0840.rsa.pub";
import olderX86 from "../../../../system/keys/alpine-devel@lists.alpinelinux.org-5261cecb.rsa.pub";
import olderArm from "../../../../system/keys/alpine-devel@lists.alpinelinux.org-58199dcc.rsa.pub";
import x86 from "../../../../system/keys/alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub";
import arm from "../../../../system/keys/alpine-devel@lists.alpinelinux.org-616ae350.rsa.pub";
import { FirnError } from "../../../model/problem.ts";
import { makeDirectories, writeText } from "../../kernel/files.ts";
import { Within, removeTree } from "../../kernel/within.ts";

/**
 * Alpine's own keys for x86_64 and aarch64, of its package alpine-keys 2.4-r1. The file names are what signatures refer
 * to.
 */
const shipped: Readonly<Record<string, string>> = {
  "alpine-devel@lists.alpinelinux.org-4a6a0840.rsa.pub": legacyX86,
  "alpine-devel@lists.alpinelinux.org-5261cecb.rsa.pub": olderX86,
  "alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub": x86,
  "alpine-devel@lists.alpinelinux.org-58199dcc.rsa.pub": olderArm,
  "alpine-devel@lists.alpinelinux.org-616ae350.rsa.pub": arm,
};

/** Bytes. A key of 4096 bits has 800. */
const LARGEST_KEY = 1 << 16;

export interface KeySources {
  /** A folder of its own: what it held before goes, every trusted key ends up here. */
  into: string;
  /**
   * Folders of keys; one that is not there is passed over. A later one wins where names collide. Default:
   * /etc/apk/keys.
   */
  from?: readonly string[];
  /** The root in which `from` lies, and in which its symlinks lead. Default: the host's. */
  root?: Within;
  /** What a person gave besides: trusted as well, and it wins where names collide. It must be there and hold a key. */
  keysDir?: string | undefined;
  /** The root in which that lies. Default: the host's. */
  keysRoot?: Within;
}

/**
 * Puts every trusted public key (those of `from` and the user's) into one folder for apk's --keys-dir and gives their
 * file names, sorted. Alpine's own, which firn carries, count only where `from` holds none: whoever took a key out of
 * there does not trust it. Throws E_SIGNATURE when the user's folder is missing or has no key.
 */
export function assembleKeys(sources: KeySources): string[] {
  using host = Within.root("/");
  const { into, from = ["/etc/apk/keys"], root = host, keysDir, keysRoot = host } = sources;
  removeTree(into);
  makeDirectories(into, 0o755);
  const keys = new Map<string, string>();
  const collect = (at: Within, folder: string): number => {
    const found = at.names(folder).filter((name) => name.endsWith(".pub") && at.isFile(`${folder}/${name}`));
    for (const name of found) keys.set(name, at.text(`${folder}/${name}`, LARGEST_KEY) ?? "");
    return found.length;
  };
  for (const folder of from) collect(root, folder);
  if (keys.size === 0) for (const [name, text] of Object.entries(shipped)) keys.set(name, text);
  if (keysDir !== undefined && collect(keysRoot, keysDir) === 0)
    throw new FirnError(
      "E_SIGNATURE",
      `${keysDir}: there is no public key (*.pub) in this folder.`,
      "--keys-dir takes a folder of public keys such as /etc/apk/keys.",
    );
  for (const [name, text] of keys) writeText(`${into}/${name}`, text, 0o644);
  return [...keys.keys()].sort();
}
