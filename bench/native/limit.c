/*
 * The physical limit: what firn does to a volume, as bare system calls with every flush that durability asks for, and
 * nothing else. TOP is the volume's mounted top level. Prints one line: nanoseconds.
 *
 *   limit generation TOP BASE ID FILE   a snapshot, 20 kB of FILE overwritten in place, sealed and made slot 0 of 4
 *   limit switch TOP ID                 slot 0 only
 *   limit list TOP                      every generation's root and metadata looked at
 *   limit gc TOP ID…                    generations deleted, then one flush
 *   limit fill TOP BASE ID…             generations made without a flush of their own: not measured, sets the scene
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what) {
    fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* A path below the working directory, which is the volume's top level. */
static const char *path(char *into, const char *format, const char *a, const char *b) {
    snprintf(into, 4096, format, a, b);
    return into;
}

static int open_or_die(const char *name, int flags) {
    int fd = open(name, flags | O_CLOEXEC, 0644);
    if (fd < 0) die(name);
    return fd;
}

static int directory(const char *name) { return open_or_die(name, O_RDONLY | O_DIRECTORY); }

static void flush(void) {
    int fd = directory(".");
    if (syncfs(fd) < 0) die("syncfs");
    close(fd);
}

static void snapshot(const char *base, const char *folder) {
    char name[4096];
    if (mkdir(folder, 0755) < 0) die(folder);
    int source = directory(path(name, "snapshots/%s/@%s", base, "")), target = directory(folder);
    struct btrfs_ioctl_vol_args_v2 args = {.fd = source};
    strcpy(args.name, "@");
    if (ioctl(target, BTRFS_IOC_SNAP_CREATE_V2, &args) < 0) die("snapshot");
    close(source);
    close(target);
}

static void metadata(const char *folder, const char *base) {
    static char text[1 << 20];
    char name[4096];
    int from = open(path(name, "snapshots/%s/generation.json%s", base, ""), O_RDONLY | O_CLOEXEC);
    ssize_t length = from < 0 ? 0 : read(from, text, sizeof text);
    if (from >= 0) close(from);
    int to = open_or_die(path(name, "%s/generation.json%s", folder, ""), O_WRONLY | O_CREAT | O_TRUNC);
    if (write(to, text, length) != length) die("generation.json");
    close(to);
}

/* Slot 0 is `id`, the other three the old slots 0 to 2. */
static void set_current(const char *id) {
    char folder[4096], name[4096], target[4096];
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    snprintf(target, sizeof target, "links/bench%lld.%ld", (long long)time.tv_sec, time.tv_nsec);
    snprintf(folder, sizeof folder, "%s", target);
    if (mkdir(folder, 0755) < 0) die(folder);
    for (int slot = 0; slot < 4; slot++) {
        ssize_t length = -1;
        snprintf(name, sizeof name, "current/%d", slot - 1);
        if (slot > 0) length = readlink(name, target, sizeof target - 1);
        if (length < 0) length = snprintf(target, sizeof target, "../../snapshots/%s", id);
        target[length] = 0;
        snprintf(name, sizeof name, "%s/%d", folder, slot);
        if (symlink(target, name) < 0) die(name);
    }
    snprintf(target, sizeof target, "./%s", folder);
    if (symlink(target, "next/current") < 0) die("next/current");
    flush();
    if (rename("next/current", "current") < 0) die("rename");
    flush();
}

static void generation(const char *base, const char *id, const char *file) {
    static char bytes[20480];
    char draft[4096], name[4096];
    snprintf(draft, sizeof draft, "snapshots/%s.draft", id);
    snapshot(base, draft);
    snprintf(name, sizeof name, "%s/@/%s", draft, file);
    int fd = open_or_die(name, O_WRONLY | O_CREAT);
    int random = open_or_die("/dev/urandom", O_RDONLY);
    if (read(random, bytes, sizeof bytes) != sizeof bytes || write(fd, bytes, sizeof bytes) != sizeof bytes) die(name);
    close(random);
    /* Pushed out first, so that the flag's own commit takes it along: one flush less. */
    if (sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) < 0) die("sync_file_range");
    close(fd);
    snprintf(name, sizeof name, "%s/@", draft);
    fd = directory(name);
    unsigned long long flags = BTRFS_SUBVOL_RDONLY;
    if (ioctl(fd, BTRFS_IOC_SUBVOL_SETFLAGS, &flags) < 0) die("read-only");
    close(fd);
    metadata(draft, base);
    snprintf(name, sizeof name, "snapshots/%s", id);
    if (rename(draft, name) < 0) die(name);
    set_current(id);
}

static void list(void) {
    static char text[1 << 16];
    char name[4096];
    DIR *folder = opendir("snapshots");
    if (!folder) die("snapshots");
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.') continue;
        struct stat stat;
        if (lstat(path(name, "snapshots/%s/@%s", entry->d_name, ""), &stat) < 0) continue;
        int fd = open(path(name, "snapshots/%s/generation.json%s", entry->d_name, ""), O_RDONLY | O_CLOEXEC);
        if (fd < 0) continue;
        if (read(fd, text, sizeof text) < 0) die(name);
        close(fd);
    }
    closedir(folder);
    for (int slot = 0; slot < 4; slot++) {
        snprintf(name, sizeof name, "current/%d", slot);
        if (readlink(name, text, sizeof text) < 0) die(name);
    }
}

static void delete(const char *id) {
    char folder[4096], name[4096];
    snprintf(folder, sizeof folder, "snapshots/%s", id);
    int fd = directory(folder);
    struct btrfs_ioctl_vol_args args = {0};
    strcpy(args.name, "@");
    if (ioctl(fd, BTRFS_IOC_SNAP_DESTROY, &args) < 0) die("delete");
    close(fd);
    if (unlink(path(name, "%s/generation.json%s", folder, "")) < 0 && errno != ENOENT) die(name);
    if (rmdir(folder) < 0) die(folder);
}

int main(int argc, char **argv) {
    if (argc < 3 || chdir(argv[2]) < 0) die(argc < 3 ? "usage" : argv[2]);
    const char *verb = argv[1];
    char folder[4096];
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    if (!strcmp(verb, "generation") && argc == 6) generation(argv[3], argv[4], argv[5]);
    else if (!strcmp(verb, "switch") && argc == 4) set_current(argv[3]);
    else if (!strcmp(verb, "list")) list();
    else if (!strcmp(verb, "gc")) {
        for (int i = 3; i < argc; i++) delete(argv[i]);
        flush();
    } else if (!strcmp(verb, "fill")) {
        for (int i = 4; i < argc; i++) {
            snprintf(folder, sizeof folder, "snapshots/%s", argv[i]);
            snapshot(argv[3], folder);
            metadata(folder, argv[3]);
        }
        flush();
    } else die("usage");
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%lld\n", (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec);
    return 0;
}
