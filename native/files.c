/* Files, directories, text. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "firn.h"

static FN(fs_open) {
    TEXT(path, 0);
    int fd = open(path, arg_int(ctx, argv[1]) | O_CLOEXEC, arg_int(ctx, argv[2]));
    return fd < 0 ? throw_errno(ctx, errno, "open", path) : JS_NewInt32(ctx, fd);
}

static FN(fs_close) { RESULT("close", NULL, close(arg_int(ctx, argv[0]))); }

static void free_bytes(JSRuntime *runtime, void *opaque, void *bytes) { free(bytes); }

/* read(fd, max[, offset]): ArrayBuffer, empty at the end of the file. */
static FN(fs_read) {
    size_t max = arg_int64(ctx, argv[1]);
    uint8_t *bytes = malloc(max ? max : 1);
    if (!bytes) return JS_ThrowOutOfMemory(ctx);
    ssize_t got = argc > 2 && !JS_IsUndefined(argv[2])
        ? pread(arg_int(ctx, argv[0]), bytes, max, arg_int64(ctx, argv[2]))
        : read(arg_int(ctx, argv[0]), bytes, max);
    if (got < 0) {
        int err = errno;
        free(bytes);
        return throw_errno(ctx, err, "read", NULL);
    }
    uint8_t *fit = realloc(bytes, got ? got : 1);
    return JS_NewArrayBuffer(ctx, fit ? fit : bytes, got, free_bytes, NULL, 0);
}

/* write(fd, text | ArrayBuffer[, offset]): all of it, or an exception. */
static FN(fs_write) {
    size_t length;
    const char *text = NULL;
    const uint8_t *bytes;
    if (JS_IsString(argv[1])) {
        text = text_bytes(ctx, &length, argv[1]);
        bytes = (const uint8_t *)text;
    } else {
        bytes = JS_GetArrayBuffer(ctx, &length, argv[1]);
    }
    if (!bytes) return JS_EXCEPTION;
    int fd = arg_int(ctx, argv[0]);
    int positioned = argc > 2 && !JS_IsUndefined(argv[2]);
    int64_t offset = positioned ? arg_int64(ctx, argv[2]) : 0;
    int err = 0;
    for (size_t done = 0; done < length;) {
        ssize_t put = positioned ? pwrite(fd, bytes + done, length - done, offset + done)
                                 : write(fd, bytes + done, length - done);
        if (put < 0) {
            if (errno == EINTR || errno == EAGAIN) continue;
            err = errno;
            break;
        }
        done += put;
    }
    if (text) JS_FreeCString(ctx, text);
    return err ? throw_errno_of(ctx, err, "write", fd) : JS_UNDEFINED;
}

/* copy(from fd, to fd): by read and write, because reflinks and copy_file_range may keep holes. */
static FN(fs_copy) {
    static uint8_t buffer[1 << 17];
    int from = arg_int(ctx, argv[0]), to = arg_int(ctx, argv[1]);
    for (;;) {
        ssize_t got = read(from, buffer, sizeof buffer);
        if (got < 0) return throw_errno(ctx, errno, "read", NULL);
        if (got == 0) return JS_UNDEFINED;
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(to, buffer + done, got - done);
            if (put < 0) return throw_errno_of(ctx, errno, "write", to);
            done += put;
        }
    }
}

/* equal(fd, fd): whether two files hold the same bytes, from where they stand. */
static FN(fs_equal) {
    static uint8_t first[1 << 16], second[1 << 16];
    int a = arg_int(ctx, argv[0]), b = arg_int(ctx, argv[1]);
    for (;;) {
        ssize_t got = read(a, first, sizeof first);
        if (got < 0) return throw_errno(ctx, errno, "read", NULL);
        for (ssize_t have = 0; have < got;) {
            ssize_t more = read(b, second + have, got - have);
            if (more < 0) return throw_errno(ctx, errno, "read", NULL);
            if (more == 0) return JS_FALSE;
            have += more;
        }
        if (got == 0) {
            ssize_t more = read(b, second, 1);
            return more < 0 ? throw_errno(ctx, errno, "read", NULL) : JS_NewBool(ctx, more == 0);
        }
        if (memcmp(first, second, got)) return JS_FALSE;
    }
}

JSValue stat_object(JSContext *ctx, const struct stat *st) {
    JSValue object = JS_NewObject(ctx);
    set_int(ctx, object, "mode", st->st_mode);
    set_int(ctx, object, "ino", st->st_ino);
    set_int(ctx, object, "dev", st->st_dev);
    set_int(ctx, object, "rdev", st->st_rdev);
    set_int(ctx, object, "nlink", st->st_nlink);
    set_int(ctx, object, "uid", st->st_uid);
    set_int(ctx, object, "gid", st->st_gid);
    set_int(ctx, object, "size", st->st_size);
    set_int(ctx, object, "blocks", st->st_blocks);
    set_int(ctx, object, "mtime", st->st_mtim.tv_sec);
    set_int(ctx, object, "mtimeNanoseconds", st->st_mtim.tv_nsec);
    set_int(ctx, object, "ctime", st->st_ctim.tv_sec);
    set_int(ctx, object, "ctimeNanoseconds", st->st_ctim.tv_nsec);
    return object;
}

/* stat(path, follow): null when nothing is there. */
static FN(fs_stat) {
    TEXT(path, 0);
    struct stat st;
    if (fstatat(AT_FDCWD, path, &st, JS_ToBool(ctx, argv[1]) ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT || errno == ENOTDIR ? JS_NULL : throw_errno(ctx, errno, "stat", path);
    return stat_object(ctx, &st);
}

/* exists(path): without following a symlink at its end, and without the cost of a stat object. */
static FN(fs_exists) {
    TEXT(path, 0);
    if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0) return JS_TRUE;
    return errno == ENOENT || errno == ENOTDIR ? JS_FALSE : throw_errno(ctx, errno, "access", path);
}

/* text(path): a whole file as text, null where there is none. A list reads a thousand small ones: they fit
 * the buffer. The largest that firn reads, an index of Alpine's community, has some 10 MiB: one without an end, as
 * /dev/zero, is EFBIG. */
static FN(fs_text) {
    static char small[1 << 16];
    const size_t most = 64 << 20;
    TEXT(path, 0);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT || errno == ENOTDIR ? JS_NULL : throw_errno(ctx, errno, "open", path);
    size_t room = sizeof small, length = 0;
    char *bytes = small;
    ssize_t got;
    while ((got = read(fd, bytes + length, room - length)) > 0) {
        length += got;
        if (length < room) continue;
        char *more = room < most ? malloc(room * 2) : NULL;
        if (!more) {
            if (room >= most) errno = EFBIG;
            got = -1;
            break;
        }
        memcpy(more, bytes, length);
        if (bytes != small) free(bytes);
        bytes = more;
        room *= 2;
    }
    int err = errno;
    close(fd);
    JSValue text = got < 0 ? throw_errno(ctx, err, "read", path) : text_new(ctx, bytes, length);
    if (bytes != small) free(bytes);
    return text;
}

static FN(fs_fstat) {
    struct stat st;
    if (fstat(arg_int(ctx, argv[0]), &st) < 0) return throw_errno(ctx, errno, "fstat", NULL);
    return stat_object(ctx, &st);
}

JSValue names_in(JSContext *ctx, DIR *dir, const char *path) {
    JSValue names = JS_NewArray(ctx);
    uint32_t count = 0;
    struct dirent *entry;
    errno = 0;
    while ((entry = readdir(dir))) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") && strcmp(name, "..")) JS_SetPropertyUint32(ctx, names, count++, text_of(ctx, name));
    }
    int err = errno;
    closedir(dir);
    if (!err) return names;
    JS_FreeValue(ctx, names);
    return throw_errno(ctx, err, "readdir", path);
}

static FN(fs_readdir) {
    TEXT(path, 0);
    DIR *dir = opendir(path);
    return dir ? names_in(ctx, dir, path) : throw_errno(ctx, errno, "readdir", path);
}

/* readlink(path): null where there is no symlink. */
static FN(fs_readlink) {
    TEXT(path, 0);
    char target[4097];
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length >= 0) return text_new(ctx, target, length);
    return errno == EINVAL || errno == ENOENT || errno == ENOTDIR ? JS_NULL : throw_errno(ctx, errno, "readlink", path);
}

static FN(fs_symlink) {
    TEXT(target, 0);
    TEXT(path, 1);
    RESULT("symlink", path, symlink(target, path));
}

static FN(fs_mkdir) {
    TEXT(path, 0);
    RESULT("mkdir", path, mkdir(path, arg_int(ctx, argv[1])));
}

static FN(fs_rmdir) {
    TEXT(path, 0);
    RESULT("rmdir", path, rmdir(path));
}

static FN(fs_unlink) {
    TEXT(path, 0);
    RESULT("unlink", path, unlink(path));
}

/* rename(from, to, flags): flags as of renameat2(2); 0 replaces the target. */
static FN(fs_rename) {
    TEXT(from, 0);
    TEXT(to, 1);
    RESULT("rename", to, syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, arg_int(ctx, argv[2])));
}

static FN(fs_chmod) {
    TEXT(path, 0);
    RESULT("chmod", path, chmod(path, arg_int(ctx, argv[1])));
}

static FN(fs_lchown) {
    TEXT(path, 0);
    RESULT("lchown", path, lchown(path, arg_int(ctx, argv[1]), arg_int(ctx, argv[2])));
}

/* copyTimes(from, to): last access and last change, without following symlinks. */
static FN(fs_copy_times) {
    TEXT(from, 0);
    TEXT(to, 1);
    struct stat st;
    if (lstat(from, &st) < 0) return throw_errno(ctx, errno, "stat", from);
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    RESULT("utimensat", to, utimensat(AT_FDCWD, to, times, AT_SYMLINK_NOFOLLOW));
}

static FN(fs_truncate) { RESULT("ftruncate", NULL, ftruncate(arg_int(ctx, argv[0]), arg_int64(ctx, argv[1]))); }

static FN(fs_fsync) { RESULT("fsync", NULL, fsync(arg_int(ctx, argv[0]))); }

/* pushOut(fd): what was written to a file is with the disk, though not yet part of the filesystem: the next commit
 * makes it so. No log tree is written, as fsync would. */
static FN(fs_push_out) {
    RESULT("sync_file_range", NULL,
           sync_file_range(arg_int(ctx, argv[0]), 0, 0,
                           SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
}

static FN(fs_syncfs) { RESULT("syncfs", NULL, syncfs(arg_int(ctx, argv[0]))); }

/* flock(fd, operation): false when somebody else holds the lock. */
static FN(fs_flock) {
    if (flock(arg_int(ctx, argv[0]), arg_int(ctx, argv[1])) == 0) return JS_TRUE;
    return errno == EWOULDBLOCK ? JS_FALSE : throw_errno(ctx, errno, "flock", NULL);
}

/* lockRange(fd, take): false when somebody else holds a lock of fcntl(2) on any byte. A lock that is
 * taken is the descriptor's own, as QEMU's are. */
static FN(fs_lock_range) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int take = JS_ToBool(ctx, argv[1]);
    if (fcntl(arg_int(ctx, argv[0]), take ? F_OFD_SETLK : F_OFD_GETLK, &lock) == 0)
        return JS_NewBool(ctx, take || lock.l_type == F_UNLCK);
    return errno == EAGAIN || errno == EACCES ? JS_FALSE : throw_errno(ctx, errno, "lock", NULL);
}

/* fsetxattr(fd, name, value) */
static FN(fs_set_attribute) {
    TEXT(name, 1);
    TEXT(value, 2);
    RESULT("setxattr", name, fsetxattr(arg_int(ctx, argv[0]), name, value, strlen(value), 0));
}

static FN(fs_statfs) {
    TEXT(path, 0);
    struct statfs st;
    if (statfs(path, &st) < 0) return throw_errno(ctx, errno, "statfs", path);
    JSValue object = JS_NewObject(ctx);
    set_int(ctx, object, "type", st.f_type);
    set_int(ctx, object, "blockSize", st.f_bsize);
    set_int(ctx, object, "blocks", st.f_blocks);
    set_int(ctx, object, "available", st.f_bavail);
    return object;
}

static FN(text_decode) {
    size_t length;
    const uint8_t *bytes = JS_GetArrayBuffer(ctx, &length, argv[0]);
    return bytes ? text_new(ctx, (const char *)bytes, length) : JS_EXCEPTION;
}

/* Of open(2). They are handed over, because they differ: O_DIRECTORY and O_NOFOLLOW have other values on aarch64. */
#define OPEN_FLAG(name) JS_PROP_INT32_DEF(#name, O_##name, JS_PROP_ENUMERABLE)
static const JSCFunctionListEntry open_flags[] = {
    OPEN_FLAG(RDONLY), OPEN_FLAG(WRONLY), OPEN_FLAG(RDWR),      OPEN_FLAG(CREAT),
    OPEN_FLAG(EXCL),   OPEN_FLAG(TRUNC),  OPEN_FLAG(DIRECTORY), OPEN_FLAG(NOFOLLOW),
    OPEN_FLAG(PATH),   OPEN_FLAG(NOCTTY), OPEN_FLAG(NONBLOCK),
};

const JSCFunctionListEntry file_functions[] = {
    JS_OBJECT_DEF("O", open_flags, sizeof open_flags / sizeof *open_flags, JS_PROP_ENUMERABLE),
    JS_CFUNC_DEF("open", 3, fs_open),         JS_CFUNC_DEF("close", 1, fs_close),
    JS_CFUNC_DEF("read", 3, fs_read),         JS_CFUNC_DEF("write", 3, fs_write),
    JS_CFUNC_DEF("copy", 2, fs_copy),         JS_CFUNC_DEF("equal", 2, fs_equal),
    JS_CFUNC_DEF("exists", 1, fs_exists),     JS_CFUNC_DEF("text", 1, fs_text),
    JS_CFUNC_DEF("stat", 2, fs_stat),
    JS_CFUNC_DEF("fstat", 1, fs_fstat),       JS_CFUNC_DEF("readdir", 1, fs_readdir),
    JS_CFUNC_DEF("readlink", 1, fs_readlink), JS_CFUNC_DEF("symlink", 2, fs_symlink),
    JS_CFUNC_DEF("mkdir", 2, fs_mkdir),       JS_CFUNC_DEF("rmdir", 1, fs_rmdir),
    JS_CFUNC_DEF("unlink", 1, fs_unlink),     JS_CFUNC_DEF("rename", 3, fs_rename),
    JS_CFUNC_DEF("chmod", 2, fs_chmod),       JS_CFUNC_DEF("lchown", 3, fs_lchown),
    JS_CFUNC_DEF("copyTimes", 2, fs_copy_times),
    JS_CFUNC_DEF("truncate", 2, fs_truncate), JS_CFUNC_DEF("fsync", 1, fs_fsync),
    JS_CFUNC_DEF("syncfs", 1, fs_syncfs),     JS_CFUNC_DEF("flock", 2, fs_flock),
    JS_CFUNC_DEF("pushOut", 1, fs_push_out),  JS_CFUNC_DEF("lockRange", 2, fs_lock_range),
    JS_CFUNC_DEF("fsetxattr", 3, fs_set_attribute),
    JS_CFUNC_DEF("statfs", 1, fs_statfs),     JS_CFUNC_DEF("decode", 1, text_decode),
};
const int file_function_count = sizeof file_functions / sizeof *file_functions;
