/* What keeps the programs of a chroot from the running machine by accident. Root can get round it. */
#define _GNU_SOURCE
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "firn.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "which architecture has seccomp here?"
#endif

/* Out of the host's mounts, host name and System V objects. */
static const char *leave(const char *root) {
    if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC) < 0) return "unshare";
    if (chdir(root) < 0) return "chdir";
    if (syscall(SYS_pivot_root, ".", ".") == 0) {
        /* The old root lies on the new one now: pivot_root(2), "pivot_root(".", ".")". */
        if (umount2(".", MNT_DETACH) < 0) return "umount";
    } else {
        /* EINVAL: firn's own root is no mount point (it is in a chroot itself) or is the first initramfs. EBUSY: `root`
         * is a plain folder beside it. */
        if ((errno != EINVAL && errno != EBUSY) || chroot(".") < 0) return "chroot";
    }
    return chdir("/") < 0 ? "chdir" : NULL;
}

/* From the bounding set, so that exec as root, setuid and file capabilities bring none of them back. Without
 * CAP_SYS_PTRACE, /proc/1/root of a process with more capabilities cannot be followed (ptrace(2)). */
static const char *drop_capabilities(void) {
    static const int dropped[] = {CAP_SYS_MODULE, CAP_SYS_TIME, CAP_SYS_RAWIO, CAP_SYS_BOOT, CAP_SYS_PTRACE};
    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
        if (prctl(PR_CAPBSET_READ, dropped[i], 0, 0, 0) == 1 && prctl(PR_CAPBSET_DROP, dropped[i], 0, 0, 0) < 0)
            return "capability";
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];
    if (syscall(SYS_capget, &header, sets) < 0) return "capget";
    sets[0].inheritable = sets[1].inheritable = 0;
    return syscall(SYS_capset, &header, sets) < 0 ? "capset" : NULL;
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define REFUSE(number) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (number))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* What is mounted read-only stays so: no remount, by the old call or by the new ones, which libmount does without. */
static const char *refuse_remount(void) {
    struct sock_filter filter[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 0, 4),
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mount, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fspick, 5, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mount_setattr, 4, 0),
        ALLOW,
        LOAD(args[3]), /* the lower half on little-endian machines, which both are */
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MS_REMOUNT, 0, 2),
        REFUSE(EPERM),
        REFUSE(ENOSYS),
        ALLOW,
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    /* Without SPEC_ALLOW, kernels before 5.16 slow every filtered program down. EINVAL: a kernel without seccomp. */
    long put = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program);
    return put < 0 && errno != EINVAL && errno != ENOSYS ? "seccomp" : NULL;
}

const char *enter_fence(const char *root) {
    const char *failed = leave(root);
    if (!failed) failed = drop_capabilities();
    return failed ? failed : refuse_remount();
}
