/* Processes, signals, namespaces, mounts. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/close_range.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "firn.h"

extern char **environ;
static volatile sig_atomic_t pending_signal, init_signal;
/* The first process of a PID namespace. */
static int is_init;
/* Signals that firn ignores by its own will, and those that its caller wanted ignored (nohup). */
static char own_ignored[NSIG], caller_ignored[NSIG];

/* A process of firn's own namespace takes it for init: `reboot` sends SIGTERM, `halt` and `poweroff` SIGUSR1 and 2.
 * What comes from outside has no pid here (pid_namespaces(7)). */
static void note_signal(int number, siginfo_t *info, void *context) {
    if (is_init && info->si_code == SI_USER && info->si_pid > 0) init_signal = number;
    else if (number != SIGUSR1 && number != SIGUSR2) pending_signal = number;
}

/* Without SA_RESTART, so that a blocked poll or waitpid returns and the caller can look. What the caller of firn wanted
 * ignored stays so. */
static FN(ps_catch_signal) {
    int number = arg_int(ctx, argv[0]);
    struct sigaction action = {.sa_sigaction = note_signal, .sa_flags = SA_SIGINFO}, before;
    if (sigaction(number, NULL, &before) < 0) return throw_errno(ctx, errno, "sigaction", NULL);
    if (before.sa_handler == SIG_IGN && !own_ignored[number]) caller_ignored[number] = 1;
    if (caller_ignored[number]) return JS_UNDEFINED;
    RESULT("sigaction", NULL, sigaction(number, &action, NULL));
}

static FN(ps_ignore_signal) {
    int number = arg_int(ctx, argv[0]);
    struct sigaction action = {.sa_handler = SIG_IGN};
    if (sigaction(number, &action, NULL) < 0) return throw_errno(ctx, errno, "sigaction", NULL);
    own_ignored[number] = 1;
    return JS_UNDEFINED;
}

static FN(ps_pending_signal) { return JS_NewInt32(ctx, pending_signal); }

/* What a program inside has asked of its init since the last time, 0 for nothing. */
static FN(ps_init_signal) {
    int number = init_signal;
    init_signal = 0;
    return JS_NewInt32(ctx, number);
}

static void free_list(char **list) {
    for (char **item = list; item && *item; item++) free(*item);
    free(list);
}

/* NULL where there is no memory for it, or a text has no bytes: a list cut short would be another command. */
static char **string_list(JSContext *ctx, JSValueConst array) {
    JSValue length_value = JS_GetPropertyStr(ctx, array, "length");
    int length = arg_int(ctx, length_value);
    char **list = calloc(length + 1, sizeof *list);
    for (int i = 0; list && i < length; i++) {
        JSValue item = JS_GetPropertyUint32(ctx, array, i);
        Text text = text_take(ctx, item);
        list[i] = text.text ? strdup(text.text) : NULL;
        text_free(&text);
        JS_FreeValue(ctx, item);
        if (list[i]) continue;
        free_list(list);
        return NULL;
    }
    return list;
}

/* What spawn holds in the parent; let go whichever way it returns. The child never returns. */
typedef struct {
    int fds[3], report[2];
    char **args, **env;
    Text root, dir;
} Spawn;

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void spawn_free(Spawn *spawn) {
    for (int i = 0; i < 3; i++) close_fd(&spawn->fds[i]);
    for (int i = 0; i < 2; i++) close_fd(&spawn->report[i]);
    free_list(spawn->args);
    free_list(spawn->env);
    text_free(&spawn->root);
    text_free(&spawn->dir);
}

/* At exec: what firn's caller had open is not for the program. */
static void close_foreign(void) {
    if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
    /* Kernels before 5.11. */
    for (int fd = 3, end = sysconf(_SC_OPEN_MAX); fd < end; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* What a child does between fork and exec; returns only when something failed. */
static const char *become(const Spawn *spawn) {
    for (char **item = spawn->env; *item; item++)
        if (!strncmp(*item, "PATH=", 5)) setenv("PATH", *item + 5, 1);
    for (int i = 0; i < 3; i++)
        if (dup2(spawn->fds[i], i) < 0) return "dup2";
    for (int i = 1; i < NSIG; i++)
        if (!caller_ignored[i]) signal(i, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close_foreign();
    const char *failed = spawn->root.text ? enter_fence(spawn->root.text) : NULL;
    if (failed) return failed;
    if (spawn->dir.text && chdir(spawn->dir.text) < 0) return "chdir";
    execvpe(spawn->args[0], spawn->args, spawn->env);
    return "exec";
}

/* spawn(argv, env, [in, out, err], chroot | null, cwd | null): pid. PATH is looked up in the
 * new root. A failure between fork and exec arrives here as an exception. */
static FN(ps_spawn) {
    __attribute__((cleanup(spawn_free))) Spawn spawn = {.fds = {-1, -1, -1}, .report = {-1, -1}};
    for (int i = 0; i < 3; i++) {
        JSValue fd = JS_GetPropertyUint32(ctx, argv[2], i);
        /* Above 2, so that dup2 never overwrites one that is still needed. */
        spawn.fds[i] = fcntl(arg_int(ctx, fd), F_DUPFD_CLOEXEC, 3);
        if (spawn.fds[i] < 0) return throw_errno(ctx, errno, "dup", NULL);
    }
    if (pipe2(spawn.report, O_CLOEXEC) < 0) return throw_errno(ctx, errno, "pipe", NULL);
    spawn.args = string_list(ctx, argv[0]);
    spawn.env = string_list(ctx, argv[1]);
    if (!spawn.args || !spawn.env) return JS_HasException(ctx) ? JS_EXCEPTION : throw_errno(ctx, ENOMEM, "spawn", NULL);
    if (!JS_IsNull(argv[3]) && !(spawn.root = text_take(ctx, argv[3])).text) return JS_EXCEPTION;
    if (!JS_IsNull(argv[4]) && !(spawn.dir = text_take(ctx, argv[4])).text) return JS_EXCEPTION;
    pid_t pid = fork();
    if (pid < 0) return throw_errno(ctx, errno, "spawn", spawn.args[0]);
    if (pid == 0) {
        const char *failed = become(&spawn);
        int what[2] = {errno, strcmp(failed, "exec") ? 1 : 0};
        if (write(spawn.report[1], what, sizeof what) < 0) _exit(126);
        _exit(127);
    }
    close_fd(&spawn.report[1]);
    int what[2];
    if (read(spawn.report[0], what, sizeof what) <= 0) return JS_NewInt32(ctx, pid);
    waitpid(pid, NULL, 0);
    return throw_errno(ctx, what[0], what[1] ? "spawn" : "exec", spawn.args[0]);
}

static FN(ps_fork) {
    pid_t pid = fork();
    if (pid == 0) is_init = getpid() == 1;
    return pid < 0 ? throw_errno(ctx, errno, "fork", NULL) : JS_NewInt32(ctx, pid);
}

/* wait(pid, block): [pid, status, signal that killed it or 0]; all 0 when it still runs, null when a signal came
 * first. */
static FN(ps_wait) {
    int status = 0;
    pid_t pid = waitpid(arg_int(ctx, argv[0]), &status, JS_ToBool(ctx, argv[1]) ? 0 : WNOHANG);
    if (pid < 0) return errno == EINTR ? JS_NULL : throw_errno(ctx, errno, "wait", NULL);
    JSValue pair = JS_NewArray(ctx);
    JS_SetPropertyUint32(ctx, pair, 0, JS_NewInt32(ctx, pid));
    int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    JS_SetPropertyUint32(ctx, pair, 1, JS_NewInt32(ctx, code));
    JS_SetPropertyUint32(ctx, pair, 2, JS_NewInt32(ctx, WIFSIGNALED(status) ? WTERMSIG(status) : 0));
    return pair;
}

static FN(ps_pipe) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) return throw_errno(ctx, errno, "pipe", NULL);
    JSValue pair = JS_NewArray(ctx);
    JS_SetPropertyUint32(ctx, pair, 0, JS_NewInt32(ctx, fds[0]));
    JS_SetPropertyUint32(ctx, pair, 1, JS_NewInt32(ctx, fds[1]));
    return pair;
}

/* poll(fds, milliseconds): the readable or hung-up ones; empty on time-out or signal. */
static FN(ps_poll) {
    struct pollfd fds[8]; /* a runner has two pipes */
    JSValue length_value = JS_GetPropertyStr(ctx, argv[0], "length");
    int count = arg_int(ctx, length_value);
    if (count > 8) return throw_errno(ctx, EINVAL, "poll", NULL);
    for (int i = 0; i < count; i++) {
        JSValue fd = JS_GetPropertyUint32(ctx, argv[0], i);
        fds[i] = (struct pollfd){.fd = arg_int(ctx, fd), .events = POLLIN};
    }
    JSValue ready = JS_NewArray(ctx);
    if (poll(fds, count, arg_int(ctx, argv[1])) <= 0) return ready;
    uint32_t found = 0;
    for (int i = 0; i < count; i++)
        if (fds[i].revents) JS_SetPropertyUint32(ctx, ready, found++, JS_NewInt32(ctx, fds[i].fd));
    return ready;
}

/* tell(fd, text): to a stream whose reader may stand still. While it does, a caught signal ends it with EINTR. */
static FN(ps_tell) {
    size_t length;
    __attribute__((cleanup(text_free))) Text held = {ctx, text_bytes(ctx, &length, argv[1])};
    const char *text = held.text;
    if (!text) return JS_EXCEPTION;
    struct pollfd stream = {.fd = arg_int(ctx, argv[0]), .events = POLLOUT};
    for (size_t done = 0; done < length;) {
        /* A signal just before poll is seen after these milliseconds. */
        if (poll(&stream, 1, pending_signal ? 0 : 200) <= 0) {
            if (pending_signal) return throw_errno(ctx, EINTR, "write", NULL);
            continue;
        }
        /* As much as a writable pipe takes without waiting: a page. */
        ssize_t put = write(stream.fd, text + done, length - done < 4096 ? length - done : 4096);
        if (put >= 0) done += put;
        else if (errno != EINTR && errno != EAGAIN) return throw_errno(ctx, errno, "write", NULL);
    }
    return JS_UNDEFINED;
}

static int terminal(void) { return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY); }

/* Whether this process is in the foreground of its terminal. */
static FN(ps_foreground) {
    int fd = terminal();
    int ours = fd >= 0 && tcgetpgrp(fd) == getpgrp();
    close_fd(&fd);
    return JS_NewBool(ctx, ours);
}

/* Makes this process's group the terminal's foreground, from the background too: SIGTTOU is held off meanwhile. */
static FN(ps_take_terminal) {
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTTOU);
    int fd = terminal();
    if (fd < 0) return throw_errno(ctx, errno, "open", "/dev/tty");
    sigprocmask(SIG_BLOCK, &blocked, &before);
    int err = tcsetpgrp(fd, getpgrp()) < 0 ? errno : 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    close_fd(&fd);
    return err ? throw_errno(ctx, err, "tcsetpgrp", NULL) : JS_UNDEFINED;
}

static FN(ps_own_group) { RESULT("setpgid", NULL, setpgid(0, 0)); }

static FN(ps_kill) { RESULT("kill", NULL, kill(arg_int(ctx, argv[0]), arg_int(ctx, argv[1]))); }

static FN(ps_exit) { exit(arg_int(ctx, argv[0])); }

static FN(ps_getpid) { return JS_NewInt32(ctx, getpid()); }

static FN(ps_geteuid) { return JS_NewInt32(ctx, geteuid()); }

static FN(ps_isatty) { return JS_NewBool(ctx, isatty(arg_int(ctx, argv[0]))); }

static FN(ps_getenv) {
    TEXT(name, 0);
    const char *value = getenv(name);
    return value ? text_of(ctx, value) : JS_NULL;
}

static FN(ps_random) {
    uint8_t bytes[64];
    int count = arg_int(ctx, argv[0]);
    if (count < 0 || count > (int)sizeof bytes) return throw_errno(ctx, EINVAL, "getrandom", NULL);
    if (getrandom(bytes, count, 0) != count) return throw_errno(ctx, errno, "getrandom", NULL);
    return JS_NewArrayBufferCopy(ctx, bytes, count);
}

static FN(ps_uname) {
    struct utsname name;
    if (uname(&name) < 0) return throw_errno(ctx, errno, "uname", NULL);
    JSValue object = JS_NewObject(ctx);
    JS_SetPropertyStr(ctx, object, "release", JS_NewString(ctx, name.release));
    JS_SetPropertyStr(ctx, object, "machine", JS_NewString(ctx, name.machine));
    JS_SetPropertyStr(ctx, object, "hostname", text_of(ctx, name.nodename));
    return object;
}

static FN(ps_unshare) { RESULT("unshare", NULL, unshare(arg_int(ctx, argv[0]))); }

static FN(ps_death_signal) { RESULT("prctl", NULL, prctl(PR_SET_PDEATHSIG, arg_int(ctx, argv[0]))); }

/* mount(source, target, type, flags, data) */
static FN(ps_mount) {
    TEXT(source, 0);
    TEXT(target, 1);
    TEXT(type, 2);
    TEXT(data, 4);
    RESULT("mount", target, mount(source, target, *type ? type : NULL, arg_int64(ctx, argv[3]), *data ? data : NULL));
}

/* mknod(path, mode, device): its number as of stat(2). */
static FN(ps_mknod) {
    TEXT(path, 0);
    RESULT("mknod", path, mknod(path, arg_int(ctx, argv[1]), arg_int64(ctx, argv[2])));
}

static FN(ps_umount) {
    TEXT(target, 0);
    RESULT("umount", target, umount2(target, arg_int(ctx, argv[1])));
}

const JSCFunctionListEntry process_functions[] = {
    JS_CFUNC_DEF("catchSignal", 1, ps_catch_signal),
    JS_CFUNC_DEF("ignoreSignal", 1, ps_ignore_signal),
    JS_CFUNC_DEF("pendingSignal", 0, ps_pending_signal),
    JS_CFUNC_DEF("initSignal", 0, ps_init_signal),
    JS_CFUNC_DEF("tell", 2, ps_tell),
    JS_CFUNC_DEF("foreground", 0, ps_foreground),
    JS_CFUNC_DEF("takeTerminal", 0, ps_take_terminal),
    JS_CFUNC_DEF("ownGroup", 0, ps_own_group),
    JS_CFUNC_DEF("mknod", 3, ps_mknod),
    JS_CFUNC_DEF("spawn", 5, ps_spawn),
    JS_CFUNC_DEF("fork", 0, ps_fork),
    JS_CFUNC_DEF("wait", 2, ps_wait),
    JS_CFUNC_DEF("pipe", 0, ps_pipe),
    JS_CFUNC_DEF("poll", 2, ps_poll),
    JS_CFUNC_DEF("kill", 2, ps_kill),
    JS_CFUNC_DEF("exit", 1, ps_exit),
    JS_CFUNC_DEF("getpid", 0, ps_getpid),
    JS_CFUNC_DEF("geteuid", 0, ps_geteuid),
    JS_CFUNC_DEF("isatty", 1, ps_isatty),
    JS_CFUNC_DEF("getenv", 1, ps_getenv),
    JS_CFUNC_DEF("random", 1, ps_random),
    JS_CFUNC_DEF("uname", 0, ps_uname),
    JS_CFUNC_DEF("unshare", 1, ps_unshare),
    JS_CFUNC_DEF("deathSignal", 1, ps_death_signal),
    JS_CFUNC_DEF("mount", 5, ps_mount),
    JS_CFUNC_DEF("umount", 2, ps_umount),
};
const int process_function_count = sizeof process_functions / sizeof *process_functions;
