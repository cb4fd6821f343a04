/* btrfs's ioctls, loop devices, block devices. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "firn.h"

/* A value of linux/btrfs_tree.h that its older versions keep to the kernel. */
#define FS_TREE_EXTENT_DATA 108
#define ROOT_TREE 1ULL
#define ROOT_TREE_ITEM 132
#define ROOT_TREE_REF 156

#define NAME_FITS(name, args) \
    if (strlen(name) >= sizeof args.name) return throw_errno(ctx, ENAMETOOLONG, "btrfs", name)

static FN(bt_create) {
    TEXT(name, 1);
    struct btrfs_ioctl_vol_args_v2 args = {0};
    NAME_FITS(name, args);
    strcpy(args.name, name);
    RESULT("subvolume create", name, ioctl(arg_int(ctx, argv[0]), BTRFS_IOC_SUBVOL_CREATE_V2, &args));
}

/* snapshot(source fd, parent directory fd, name, readonly) */
static FN(bt_snapshot) {
    TEXT(name, 2);
    struct btrfs_ioctl_vol_args_v2 args = {.fd = arg_int(ctx, argv[0])};
    NAME_FITS(name, args);
    strcpy(args.name, name);
    if (JS_ToBool(ctx, argv[3])) args.flags |= BTRFS_SUBVOL_RDONLY;
    RESULT("subvolume snapshot", name, ioctl(arg_int(ctx, argv[1]), BTRFS_IOC_SNAP_CREATE_V2, &args));
}

static FN(bt_delete) {
    TEXT(name, 1);
    struct btrfs_ioctl_vol_args args = {0};
    NAME_FITS(name, args);
    strcpy(args.name, name);
    RESULT("subvolume delete", name, ioctl(arg_int(ctx, argv[0]), BTRFS_IOC_SNAP_DESTROY, &args));
}

static FN(bt_set_readonly) {
    int fd = arg_int(ctx, argv[0]);
    uint64_t flags;
    if (ioctl(fd, BTRFS_IOC_SUBVOL_GETFLAGS, &flags) < 0) return throw_errno(ctx, errno, "subvolume flags", NULL);
    flags = JS_ToBool(ctx, argv[1]) ? flags | BTRFS_SUBVOL_RDONLY : flags & ~(uint64_t)BTRFS_SUBVOL_RDONLY;
    RESULT("subvolume flags", NULL, ioctl(fd, BTRFS_IOC_SUBVOL_SETFLAGS, &flags));
}

typedef struct {
    struct btrfs_ioctl_search_args_v2 args;
    uint8_t space[1 << 16];
} Search;

/* The items of one type that an object of a tree has, from an offset on; tree 0 is the descriptor's own. */
static int search(int fd, Search *found, uint64_t tree, uint64_t object, uint32_t type, uint64_t from) {
    memset(&found->args, 0, sizeof found->args);
    found->args.key = (struct btrfs_ioctl_search_key){
        .tree_id = tree, .min_objectid = object, .max_objectid = object, .min_type = type, .max_type = type,
        .min_offset = from, .max_offset = UINT64_MAX, .max_transid = UINT64_MAX, .nr_items = 4096};
    found->args.buf_size = sizeof found->space;
    return ioctl(fd, BTRFS_IOC_TREE_SEARCH_V2, &found->args);
}

typedef struct {
    JSContext *ctx;
    JSValue values;
    uint32_t count;
} List;

static void push(List *list, JSValue value) {
    JS_SetPropertyUint32(list->ctx, list->values, list->count++, value);
}

/* Adds to a list what `add` makes of each item of one type that an object of a tree has. 0, or an errno. */
static int items(List *list, int fd, uint64_t tree, uint64_t object, uint32_t type,
                 void (*add)(List *, const struct btrfs_ioctl_search_header *, const uint8_t *)) {
    static Search found;
    uint64_t from = 0;
    for (;;) {
        if (search(fd, &found, tree, object, type, from) < 0) return errno;
        if (!found.args.key.nr_items) return 0;
        uint8_t *at = found.space;
        for (uint32_t i = 0; i < found.args.key.nr_items; i++) {
            struct btrfs_ioctl_search_header header;
            memcpy(&header, at, sizeof header);
            at += sizeof header;
            add(list, &header, at);
            at += header.len;
            if (header.offset == UINT64_MAX) return 0;
            from = header.offset + 1;
        }
    }
}

static JSValue listed(List *list, int err) {
    if (!err) return list->values;
    JS_FreeValue(list->ctx, list->values);
    return throw_errno(list->ctx, err, "tree search", NULL);
}

static void push_pair(List *list, int64_t first, int64_t second) {
    List pair = {list->ctx, JS_NewArray(list->ctx)};
    push(&pair, JS_NewInt64(pair.ctx, first));
    push(&pair, JS_NewInt64(pair.ctx, second));
    push(list, pair.values);
}

static void extent(List *list, const struct btrfs_ioctl_search_header *header, const uint8_t *data) {
    struct btrfs_file_extent_item item = {0};
    memcpy(&item, data, header->len < sizeof item ? header->len : sizeof item);
    int is_inline = item.type == 0;
    int64_t fields[] = {header->offset, item.type, item.compression, is_inline ? -1 : (int64_t)item.disk_bytenr,
                        is_inline ? (int64_t)item.ram_bytes : (int64_t)item.num_bytes};
    List row = {list->ctx, JS_NewArray(list->ctx)};
    for (int f = 0; f < 5; f++) push(&row, JS_NewInt64(row.ctx, fields[f]));
    push(list, row.values);
}

/* extents(fd, inode): [[offset, type, compression, disk address, length], …] of a file. Types: 0 inline, 1
 * regular, 2 preallocated; compression: 0 none, 1 zlib, 2 lzo, 3 zstd; a disk address of 0 is a hole. */
static FN(bt_extents) {
    List list = {ctx, JS_NewArray(ctx)};
    int err = items(&list, arg_int(ctx, argv[0]), 0, arg_int64(ctx, argv[1]), FS_TREE_EXTENT_DATA, extent);
    return listed(&list, err);
}

static JSValue uuid_text(JSContext *ctx, const uint8_t *u) {
    char text[37];
    snprintf(text, sizeof text, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3],
             u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
    return JS_NewString(ctx, text);
}

/* subvolumeInfo(fd): ids, UUIDs, the transaction of its last change and that of its creation. */
static FN(bt_info) {
    struct btrfs_ioctl_get_subvol_info_args info = {0};
    if (ioctl(arg_int(ctx, argv[0]), BTRFS_IOC_GET_SUBVOL_INFO, &info) < 0)
        return throw_errno(ctx, errno, "subvolume info", NULL);
    JSValue object = JS_NewObject(ctx);
    set_int(ctx, object, "id", info.treeid);
    set_int(ctx, object, "changed", info.ctransid);
    set_int(ctx, object, "created", info.otransid);
    set_int(ctx, object, "createdAt", info.otime.sec);
    JS_SetPropertyStr(ctx, object, "uuid", uuid_text(ctx, info.uuid));
    JS_SetPropertyStr(ctx, object, "parentUuid", uuid_text(ctx, info.parent_uuid));
    return object;
}

/* changedInodes(fd, transaction): [[inode, number of its names], …] of those in a subvolume that were written after
 * that transaction. The kernel skips every branch of the tree that is older: the cost follows the change, not the
 * size. */
static FN(bt_changed) {
    static Search found;
    int fd = arg_int(ctx, argv[0]);
    uint64_t after = arg_int64(ctx, argv[1]);
    List list = {ctx, JS_NewArray(ctx)};
    struct btrfs_ioctl_search_key key = {.max_objectid = UINT64_MAX, .max_type = UINT32_MAX, .max_offset = UINT64_MAX,
                                         .min_transid = after + 1, .max_transid = UINT64_MAX};
    for (;;) {
        key.nr_items = 4096;
        found.args.key = key;
        found.args.buf_size = sizeof found.space;
        if (ioctl(fd, BTRFS_IOC_TREE_SEARCH_V2, &found.args) < 0) return listed(&list, errno);
        if (!found.args.key.nr_items) return list.values;
        uint8_t *at = found.space;
        for (uint32_t i = 0; i < found.args.key.nr_items; i++) {
            struct btrfs_ioctl_search_header header;
            memcpy(&header, at, sizeof header);
            at += sizeof header;
            struct btrfs_inode_item item;
            if (header.type == BTRFS_INODE_ITEM_KEY && header.len >= sizeof item) {
                memcpy(&item, at, sizeof item);
                if (item.transid > after) push_pair(&list, header.objectid, item.nlink);
            }
            at += header.len;
            key.min_objectid = header.objectid;
            key.min_type = header.type;
            key.min_offset = header.offset;
        }
        /* The next key in the order (object, type, offset). */
        if (++key.min_offset == 0 && ++key.min_type > 255) {
            key.min_type = 0;
            key.min_objectid++;
        }
    }
}

/* inodePath(fd, inode): a path of it inside the subvolume, without a leading slash. */
static FN(bt_inode_path) {
    struct btrfs_ioctl_ino_lookup_args args = {.objectid = arg_int64(ctx, argv[1])};
    if (ioctl(arg_int(ctx, argv[0]), BTRFS_IOC_INO_LOOKUP, &args) < 0)
        return throw_errno(ctx, errno, "inode path", NULL);
    size_t length = strlen(args.name);
    if (length && args.name[length - 1] == '/') length--;
    return text_new(ctx, args.name, length);
}

static void push_name(List *list, uint64_t directory, const uint8_t *name, size_t length) {
    List pair = {list->ctx, JS_NewArray(list->ctx)};
    push(&pair, JS_NewInt64(list->ctx, directory));
    push(&pair, text_new(list->ctx, (const char *)name, length));
    push(list, pair.values);
}

static void nested(List *list, const struct btrfs_ioctl_search_header *header, const uint8_t *data) {
    struct btrfs_root_ref ref;
    if (header->len < sizeof ref) return;
    memcpy(&ref, data, sizeof ref);
    size_t room = header->len - sizeof ref;
    push_name(list, ref.dirid, data + sizeof ref, room < ref.name_len ? room : ref.name_len);
}

/* nestedSubvolumes(fd, tree id): [[inode of the directory that it is in, name], …] of the subvolumes right below, from
 * the kernel's own list of them. */
static FN(bt_nested) {
    List list = {ctx, JS_NewArray(ctx)};
    int err = items(&list, arg_int(ctx, argv[0]), ROOT_TREE, arg_int64(ctx, argv[1]), ROOT_TREE_REF, nested);
    return listed(&list, err);
}

/* The names of a file in one directory. */
static void names(List *list, const struct btrfs_ioctl_search_header *header, const uint8_t *data) {
    struct btrfs_inode_ref ref;
    for (size_t at = 0; at + sizeof ref <= header->len; at += sizeof ref + ref.name_len) {
        memcpy(&ref, data + at, sizeof ref);
        if (at + sizeof ref + ref.name_len > header->len) return;
        push_name(list, header->offset, data + at + sizeof ref, ref.name_len);
    }
}

/* The same of those for which there was no room there. */
static void more_names(List *list, const struct btrfs_ioctl_search_header *header, const uint8_t *data) {
    struct btrfs_inode_extref ref;
    for (size_t at = 0; at + sizeof ref <= header->len; at += sizeof ref + ref.name_len) {
        memcpy(&ref, data + at, sizeof ref);
        if (at + sizeof ref + ref.name_len > header->len) return;
        push_name(list, ref.parent_objectid, data + at + sizeof ref, ref.name_len);
    }
}

/* inodeNames(fd, inode): [[inode of the directory that it is in, name], …], all that it has. */
static FN(bt_inode_names) {
    List list = {ctx, JS_NewArray(ctx)};
    int fd = arg_int(ctx, argv[0]);
    int64_t inode = arg_int64(ctx, argv[1]);
    int err = items(&list, fd, 0, inode, BTRFS_INODE_REF_KEY, names);
    return listed(&list, err ? err : items(&list, fd, 0, inode, BTRFS_INODE_EXTREF_KEY, more_names));
}

/* subvolumeThere(fd, tree id): whether anything of a subvolume is left, also of one that is deleted. */
static FN(bt_there) {
    static Search found;
    if (search(arg_int(ctx, argv[0]), &found, ROOT_TREE, arg_int64(ctx, argv[1]), ROOT_TREE_ITEM, 0) < 0)
        return throw_errno(ctx, errno, "tree search", NULL);
    return JS_NewBool(ctx, found.args.key.nr_items != 0);
}

/* space(fd): [[flags, total bytes, used bytes], …] by block group type. */
static FN(bt_space) {
    struct {
        struct btrfs_ioctl_space_args args;
        struct btrfs_ioctl_space_info spaces[32];
    } info = {.args = {.space_slots = 32}};
    if (ioctl(arg_int(ctx, argv[0]), BTRFS_IOC_SPACE_INFO, &info) < 0)
        return throw_errno(ctx, errno, "space info", NULL);
    JSValue list = JS_NewArray(ctx);
    for (uint64_t i = 0; i < info.args.total_spaces && i < 32; i++) {
        JSValue space = JS_NewArray(ctx);
        JS_SetPropertyUint32(ctx, space, 0, JS_NewInt64(ctx, info.spaces[i].flags));
        JS_SetPropertyUint32(ctx, space, 1, JS_NewInt64(ctx, info.spaces[i].total_bytes));
        JS_SetPropertyUint32(ctx, space, 2, JS_NewInt64(ctx, info.spaces[i].used_bytes));
        JS_SetPropertyUint32(ctx, list, i, space);
    }
    return list;
}

/* Commits, and wakes the thread that gives back the space of deleted subvolumes, which syncfs does not. */
static FN(bt_start_cleaner) { RESULT("btrfs sync", NULL, ioctl(arg_int(ctx, argv[0]), BTRFS_IOC_SYNC, NULL)); }

/* fsid(fd): the filesystem's UUID. */
static FN(bt_fsid) {
    struct btrfs_ioctl_fs_info_args info = {0};
    if (ioctl(arg_int(ctx, argv[0]), BTRFS_IOC_FS_INFO, &info) < 0)
        return throw_errno(ctx, errno, "filesystem info", NULL);
    return uuid_text(ctx, info.fsid);
}

/* loopAttach(fd, offset, size, readonly): [fd, path]. The kernel detaches the device by itself once
 * its last user is gone, so a killed process leaves none behind. */
static FN(bd_loop_attach) {
    struct loop_config config = {.fd = arg_int(ctx, argv[0])};
    config.info.lo_offset = arg_int64(ctx, argv[1]);
    config.info.lo_sizelimit = arg_int64(ctx, argv[2]);
    int readonly = JS_ToBool(ctx, argv[3]);
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (readonly ? LO_FLAGS_READ_ONLY : 0);
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0) return throw_errno(ctx, errno, "loop", "/dev/loop-control");
    /* Another program may take the number first (EBUSY), be letting go of it (ENXIO), or remove it (ENOENT). */
    for (int tries = 0; tries < 64; tries++, usleep(1000)) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0) break;
        char path[32];
        snprintf(path, sizeof path, "/dev/loop%d", number);
        int fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
        if (fd < 0 && (errno == ENXIO || errno == ENOENT)) continue;
        if (fd < 0) break;
        if (ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
            close(control);
            JSValue pair = JS_NewArray(ctx);
            JS_SetPropertyUint32(ctx, pair, 0, JS_NewInt32(ctx, fd));
            JS_SetPropertyUint32(ctx, pair, 1, JS_NewString(ctx, path));
            return pair;
        }
        int err = errno;
        close(fd);
        errno = err;
        if (err != EBUSY) break;
    }
    int err = errno;
    close(control);
    return throw_errno(ctx, err, "loop", NULL);
}

/* loopBacking(fd): device and inode of the file behind a loop device, and its own number when it is a device. */
static FN(bd_loop_backing) {
    struct loop_info64 info;
    if (ioctl(arg_int(ctx, argv[0]), LOOP_GET_STATUS64, &info) < 0) return throw_errno(ctx, errno, "loop status", NULL);
    JSValue backing = JS_NewArray(ctx);
    JS_SetPropertyUint32(ctx, backing, 0, JS_NewInt64(ctx, info.lo_device));
    JS_SetPropertyUint32(ctx, backing, 1, JS_NewInt64(ctx, info.lo_inode));
    JS_SetPropertyUint32(ctx, backing, 2, JS_NewInt64(ctx, info.lo_rdevice));
    return backing;
}

static FN(bd_size) {
    uint64_t bytes;
    if (ioctl(arg_int(ctx, argv[0]), BLKGETSIZE64, &bytes) < 0) return throw_errno(ctx, errno, "device size", NULL);
    return JS_NewInt64(ctx, bytes);
}

static FN(bd_sector_size) {
    int bytes;
    if (ioctl(arg_int(ctx, argv[0]), BLKSSZGET, &bytes) < 0) return throw_errno(ctx, errno, "sector size", NULL);
    return JS_NewInt32(ctx, bytes);
}

static FN(bd_flush) { RESULT("flush buffers", NULL, ioctl(arg_int(ctx, argv[0]), BLKFLSBUF, 0)); }

const JSCFunctionListEntry volume_functions[] = {
    JS_CFUNC_DEF("subvolumeCreate", 2, bt_create),
    JS_CFUNC_DEF("subvolumeSnapshot", 4, bt_snapshot),
    JS_CFUNC_DEF("subvolumeDelete", 2, bt_delete),
    JS_CFUNC_DEF("subvolumeSetReadonly", 2, bt_set_readonly),
    JS_CFUNC_DEF("extents", 2, bt_extents),
    JS_CFUNC_DEF("subvolumeInfo", 1, bt_info),
    JS_CFUNC_DEF("changedInodes", 2, bt_changed),
    JS_CFUNC_DEF("inodePath", 2, bt_inode_path),
    JS_CFUNC_DEF("inodeNames", 2, bt_inode_names),
    JS_CFUNC_DEF("nestedSubvolumes", 2, bt_nested),
    JS_CFUNC_DEF("subvolumeThere", 2, bt_there),
    JS_CFUNC_DEF("space", 1, bt_space),
    JS_CFUNC_DEF("startCleaner", 1, bt_start_cleaner),
    JS_CFUNC_DEF("fsid", 1, bt_fsid),
    JS_CFUNC_DEF("loopAttach", 4, bd_loop_attach),
    JS_CFUNC_DEF("loopBacking", 1, bd_loop_backing),
    JS_CFUNC_DEF("deviceSize", 1, bd_size),
    JS_CFUNC_DEF("sectorSize", 1, bd_sector_size),
    JS_CFUNC_DEF("flushBuffers", 1, bd_flush),
};
const int volume_function_count = sizeof volume_functions / sizeof *volume_functions;
