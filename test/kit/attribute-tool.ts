/** A static program that sets an extended attribute inside a draft, where Alpine has none that does. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { muslCompiler } from "../../scripts/quickjs.ts";

/** PATH NAME HEX: the bytes of a value as hexadecimal digits. */
const source = `
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
int main(int argc, char **argv) {
    unsigned char value[4096];
    size_t length = strlen(argv[3]) / 2;
    for (size_t i = 0; i < length; i++) sscanf(argv[3] + 2 * i, "%2hhx", value + i);
    if (lsetxattr(argv[1], argv[2], value, length, 0) == 0) return 0;
    perror(argv[1]);
    return 1;
}
`;

export function buildAttributeTool(folder: string): string {
  const program = join(folder, "set-attribute");
  execFileSync(muslCompiler(), ["-static", "-x", "c", "-o", program, "-"], { input: source });
  return program;
}

/** A value of security.capability: CAP_NET_RAW, permitted and effective (linux/capability.h, revision 2). */
export const NET_RAW = "0100000200200000000000000000000000000000";
/** A value of system.posix_acl_access: user::rw- user:1000:rw- group::r-- mask::rw- other::r--. */
export const ACL = "0200000001000600ffffffff02000600e803000004000400ffffffff10000600ffffffff20000400ffffffff";
