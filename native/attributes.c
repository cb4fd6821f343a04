/* What a file has beside its content, and copies that keep all of it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "firn.h"

/* XATTR_LIST_MAX and XATTR_SIZE_MAX of linux/limits.h. */
static char names[1 << 16], value[1 << 16];

/* attributes(path): [[name, value], …] of its extended attributes, which ACLs, capabilities and btrfs's properties are;
 * of a symlink itself. */
static FN(at_list) {
    TEXT(path, 0);
    ssize_t size = llistxattr(path, names, sizeof names);
    /* A filesystem without any. */
    if (size < 0 && errno != EOPNOTSUPP) return throw_errno(ctx, errno, "listxattr", path);
    JSValue list = JS_NewArray(ctx);
    uint32_t count = 0;
    for (const char *name = names; name < names + size; name += strlen(name) + 1) {
        ssize_t length = lgetxattr(path, name, value, sizeof value);
        if (length < 0) {
            JS_FreeValue(ctx, list);
            return throw_errno(ctx, errno, "getxattr", path);
        }
        JSValue pair = JS_NewArray(ctx);
        JS_SetPropertyUint32(ctx, pair, 0, text_of(ctx, name));
        JS_SetPropertyUint32(ctx, pair, 1, text_new(ctx, value, length));
        JS_SetPropertyUint32(ctx, list, count++, pair);
    }
    return list;
}

/* setAttribute(path, name, value) */
static FN(at_set) {
    TEXT(path, 0);
    TEXT(name, 1);
    size_t length;
    __attribute__((cleanup(text_free))) Text held = {ctx, text_bytes(ctx, &length, argv[2])};
    if (!held.text) return JS_EXCEPTION;
    RESULT("setxattr", path, lsetxattr(path, name, held.text, length, 0));
}

static int open_for_flags(const char *path) {
    return open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* fileFlags(path): those of chattr(1), of a regular file or a directory; 0 where the filesystem has none. */
static FN(at_flags) {
    TEXT(path, 0);
    int flags = 0, fd = open_for_flags(path);
    if (fd < 0) return throw_errno(ctx, errno, "open", path);
    int err = ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 ? errno : 0;
    close(fd);
    if (err && err != ENOTTY && err != EOPNOTSUPP && err != EINVAL) return throw_errno(ctx, err, "file flags", path);
    return JS_NewInt32(ctx, err ? 0 : flags);
}

static FN(at_set_flags) {
    TEXT(path, 0);
    int flags = arg_int(ctx, argv[1]), fd = open_for_flags(path);
    if (fd < 0) return throw_errno(ctx, errno, "open", path);
    int err = ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ? errno : 0;
    close(fd);
    return err ? throw_errno(ctx, err, "file flags", path) : JS_UNDEFINED;
}

/* The bytes from `at` to `end`; 0, or an errno. */
static int copy_range(int from, int to, off_t at, off_t end) {
    static char buffer[1 << 17];
    while (at < end) {
        ssize_t got = pread(from, buffer, end - at < (off_t)sizeof buffer ? end - at : (off_t)sizeof buffer, at);
        if (got < 0) return errno;
        if (got == 0) return 0;
        for (ssize_t done = 0, put; done < got; done += put)
            if ((put = pwrite(to, buffer + done, got - done, at + done)) < 0) return errno;
        at += got;
    }
    return 0;
}

/* clone(from fd, to fd): makes an empty file share the other's blocks, holes and all; where the filesystem cannot,
 * copies what lies between its holes. */
static FN(at_clone) {
    int from = arg_int(ctx, argv[0]), to = arg_int(ctx, argv[1]);
    if (ioctl(to, FICLONE, from) == 0) return JS_UNDEFINED;
    if (errno == ENOSPC || errno == EIO || errno == EDQUOT) return throw_errno(ctx, errno, "clone", NULL);
    struct stat st;
    if (fstat(from, &st) < 0 || ftruncate(to, st.st_size) < 0) return throw_errno(ctx, errno, "clone", NULL);
    for (off_t at = 0, end; at < st.st_size; at = end) {
        at = lseek(from, at, SEEK_DATA);
        if (at < 0 && errno == ENXIO) break;
        end = at < 0 ? at : lseek(from, at, SEEK_HOLE);
        if (end < 0) return throw_errno(ctx, errno, "lseek", NULL);
        int err = copy_range(from, to, at, end);
        if (err) return throw_errno(ctx, err, "write", NULL);
    }
    return JS_UNDEFINED;
}

/* link(path, beside): another name of the same file, of a symlink itself. */
static FN(at_link) {
    TEXT(path, 0);
    TEXT(beside, 1);
    RESULT("link", beside, link(path, beside));
}

const JSCFunctionListEntry attribute_functions[] = {
    JS_CFUNC_DEF("attributes", 1, at_list),       JS_CFUNC_DEF("setAttribute", 3, at_set),
    JS_CFUNC_DEF("fileFlags", 1, at_flags),       JS_CFUNC_DEF("setFileFlags", 2, at_set_flags),
    JS_CFUNC_DEF("clone", 2, at_clone),           JS_CFUNC_DEF("link", 2, at_link),
};
const int attribute_function_count = sizeof attribute_functions / sizeof *attribute_functions;
