/* Names below an open directory, which openat2(2) keeps there. `resolve` says what they may lead through. Calls that
 * write are named in -at where they fail: src/host/kernel/failure.ts knows by it that a path is none of the machine's.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "firn.h"

/* Times that a path with ".." is tried anew when a rename anywhere came between (EAGAIN). */
#define PATIENCE 64

static int open_within(int dir, const char *path, int flags, int mode, uint64_t resolve) {
    struct open_how how = {.flags = flags | O_CLOEXEC, .mode = flags & O_CREAT ? mode : 0, .resolve = resolve};
    int fd = -1;
    for (int tries = 0; tries < PATIENCE; tries++)
        if ((fd = syscall(SYS_openat2, dir, path, &how, sizeof how)) >= 0 || errno != EAGAIN) break;
    return fd;
}

/* Closes, and leaves errno as the call before has set it. */
static void let_go(int *fd) {
    int err = errno;
    if (*fd >= 0) close(*fd);
    errno = err;
}
#define OPENED(name, expression) __attribute__((cleanup(let_go))) int name = expression

static int missing(void) { return errno == ENOENT || errno == ENOTDIR; }

#define DIR_AND_PATH       \
    int dir = arg_int(ctx, argv[0]); \
    TEXT(path, 1)

/* openAt(dir, path, flags, mode, resolve) */
static FN(at_open) {
    DIR_AND_PATH;
    int fd = open_within(dir, path, arg_int(ctx, argv[2]), arg_int(ctx, argv[3]), arg_int(ctx, argv[4]));
    return fd < 0 ? throw_errno(ctx, errno, "openat", path) : JS_NewInt32(ctx, fd);
}

/* statAt(dir, path, follow, resolve): null when nothing is there. */
static FN(at_stat) {
    DIR_AND_PATH;
    int flags = O_PATH | (JS_ToBool(ctx, argv[2]) ? 0 : O_NOFOLLOW);
    OPENED(fd, open_within(dir, path, flags, 0, arg_int(ctx, argv[3])));
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0) return stat_object(ctx, &st);
    return fd < 0 && missing() ? JS_NULL : throw_errno(ctx, errno, "stat", path);
}

/* existsAt(dir, path, resolve): a symlink at its end counts, wherever it leads; what leads out, or in circles, is not
 * there. */
static FN(at_exists) {
    DIR_AND_PATH;
    OPENED(fd, open_within(dir, path, O_PATH | O_NOFOLLOW, 0, arg_int(ctx, argv[2])));
    if (fd >= 0) return JS_TRUE;
    return missing() || errno == ELOOP || errno == EXDEV ? JS_FALSE : throw_errno(ctx, errno, "stat", path);
}

/* readlinkAt(dir, path, resolve): null where there is no symlink. */
static FN(at_readlink) {
    DIR_AND_PATH;
    char target[PATH_MAX];
    OPENED(fd, open_within(dir, path, O_PATH | O_NOFOLLOW, 0, arg_int(ctx, argv[2])));
    ssize_t length = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof target);
    if (length >= 0) return text_new(ctx, target, length);
    return errno == EINVAL || missing() ? JS_NULL : throw_errno(ctx, errno, "readlink", path);
}

/* textAt(dir, path, max, resolve): the text of a regular file of at most `max` bytes, null where there is none.
 * Never waits: what lies there need not be what firn wrote. A list reads a thousand small ones: they fit the buffer. */
static FN(at_text) {
    static char small[1 << 16];
    DIR_AND_PATH;
    int64_t max = arg_int64(ctx, argv[2]);
    OPENED(fd, open_within(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, arg_int(ctx, argv[3])));
    if (fd < 0 && missing()) return JS_NULL;
    /* What cannot be opened may be a device: looked at without opening it. */
    int denied = fd < 0 ? errno : 0;
    OPENED(seen, denied ? open_within(dir, path, O_PATH, 0, arg_int(ctx, argv[3])) : -1);
    struct stat st;
    if (fstat(denied ? seen : fd, &st) < 0 || (denied && S_ISREG(st.st_mode)))
        return throw_errno(ctx, denied ? denied : errno, "open", path);
    int err = S_ISDIR(st.st_mode) ? EISDIR : !S_ISREG(st.st_mode) ? EINVAL : st.st_size > max ? EFBIG : 0;
    if (err) return throw_errno(ctx, err, "read", path);
    /* One more than it is long: the read that meets the end. */
    size_t room = st.st_size + 1, length = 0;
    char *bytes = room <= sizeof small ? small : malloc(room);
    if (!bytes) return JS_ThrowOutOfMemory(ctx);
    while (!err && length < room) {
        ssize_t got = read(fd, bytes + length, room - length);
        if (got == 0) break;
        if (got > 0) length += got;
        else if (errno != EINTR) err = errno;
    }
    JSValue text = err ? throw_errno(ctx, err, "read", path) : text_new(ctx, bytes, length);
    if (bytes != small) free(bytes);
    return text;
}

/* namesAt(dir, path, resolve) */
static FN(at_names) {
    DIR_AND_PATH;
    int fd = open_within(dir, path, O_RDONLY | O_DIRECTORY, 0, arg_int(ctx, argv[2]));
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder) return names_in(ctx, folder, path);
    int err = errno;
    if (fd >= 0) close(fd);
    return throw_errno(ctx, err, "readdir", path);
}

/* The directory that holds the last name of a path, which is no "." or "..". */
static int open_holder(int dir, const char *path, uint64_t resolve, const char **name) {
    const char *slash = strrchr(path, '/');
    char holder[PATH_MAX] = ".";
    *name = slash ? slash + 1 : path;
    size_t length = *name - path;
    errno = length >= sizeof holder ? ENAMETOOLONG : EINVAL;
    if (length >= sizeof holder || !**name || !strcmp(*name, ".") || !strcmp(*name, "..")) return -1;
    if (slash) {
        memcpy(holder, path, length);
        holder[length] = 0;
    }
    return open_within(dir, holder, O_PATH | O_DIRECTORY, 0, resolve);
}

#define HOLDER(resolve)                                              \
    const char *name;                                                \
    OPENED(holder, open_holder(dir, path, arg_int(ctx, resolve), &name))

/* mkdirAt(dir, path, mode, resolve) */
static FN(at_mkdir) {
    DIR_AND_PATH;
    HOLDER(argv[3]);
    RESULT("mkdirat", path, holder < 0 ? -1 : mkdirat(holder, name, arg_int(ctx, argv[2])));
}

/* unlinkAt(dir, path, resolve) */
static FN(at_unlink) {
    DIR_AND_PATH;
    HOLDER(argv[2]);
    RESULT("unlinkat", path, holder < 0 ? -1 : unlinkat(holder, name, 0));
}

/* rmdirAt(dir, path, resolve) */
static FN(at_rmdir) {
    DIR_AND_PATH;
    HOLDER(argv[2]);
    RESULT("unlinkat", path, holder < 0 ? -1 : unlinkat(holder, name, AT_REMOVEDIR));
}

/* symlinkAt(dir, path, target, resolve) */
static FN(at_symlink) {
    DIR_AND_PATH;
    TEXT(target, 2);
    HOLDER(argv[3]);
    RESULT("symlinkat", path, holder < 0 ? -1 : symlinkat(target, holder, name));
}

/* renameAt(dir, from, to, flags, resolve): flags as of renameat2(2); 0 replaces the target. */
static FN(at_rename) {
    DIR_AND_PATH;
    TEXT(to, 2);
    HOLDER(argv[4]);
    const char *last;
    OPENED(target, holder < 0 ? -1 : open_holder(dir, to, arg_int(ctx, argv[4]), &last));
    RESULT("renameat", to, target < 0 ? -1 : syscall(SYS_renameat2, holder, name, target, last, arg_int(ctx, argv[3])));
}

static FN(at_fchmod) { RESULT("chmod", NULL, fchmod(arg_int(ctx, argv[0]), arg_int(ctx, argv[1]))); }

static FN(at_fchown) {
    RESULT("chown", NULL, fchown(arg_int(ctx, argv[0]), arg_int(ctx, argv[1]), arg_int(ctx, argv[2])));
}

#define RESOLVE_RULE(name) JS_PROP_INT32_DEF(#name, RESOLVE_##name, JS_PROP_ENUMERABLE)
static const JSCFunctionListEntry resolve_rules[] = {
    RESOLVE_RULE(BENEATH),
    RESOLVE_RULE(IN_ROOT),
    RESOLVE_RULE(NO_SYMLINKS),
    RESOLVE_RULE(NO_XDEV),
};

const JSCFunctionListEntry within_functions[] = {
    JS_OBJECT_DEF("RESOLVE", resolve_rules, sizeof resolve_rules / sizeof *resolve_rules, JS_PROP_ENUMERABLE),
    JS_CFUNC_DEF("openAt", 5, at_open),       JS_CFUNC_DEF("statAt", 4, at_stat),
    JS_CFUNC_DEF("existsAt", 3, at_exists),   JS_CFUNC_DEF("readlinkAt", 3, at_readlink),
    JS_CFUNC_DEF("textAt", 4, at_text),       JS_CFUNC_DEF("namesAt", 3, at_names),
    JS_CFUNC_DEF("mkdirAt", 4, at_mkdir),     JS_CFUNC_DEF("unlinkAt", 3, at_unlink),
    JS_CFUNC_DEF("rmdirAt", 3, at_rmdir),     JS_CFUNC_DEF("symlinkAt", 4, at_symlink),
    JS_CFUNC_DEF("renameAt", 5, at_rename),   JS_CFUNC_DEF("fchmod", 2, at_fchmod),
    JS_CFUNC_DEF("fchown", 3, at_fchown),
};
const int within_function_count = sizeof within_functions / sizeof *within_functions;
