/*
 * Measures programs from a process that is small itself, so that starting them costs what it costs a shell.
 *
 *   stopwatch run [-r ROOT] [-n COUNT] [-e LOG] -- PROGRAM ARG…
 *     One line a run: nanoseconds from fork to wait, exit code, peak memory in KiB (of the program and its children).
 *     -r runs it in a chroot; stdout goes to /dev/null, stderr to LOG or /dev/null too.
 *   stopwatch trace -- PROGRAM ARG…
 *     Every process of the tree by its events: `fork NS PID CHILD`, `exec NS PID FILE`, `exit NS PID PEAK-KIB FILE`,
 *     and at the end `done NS STATUS`. The processes stop at these events only, so that they run at their full speed
 *     between them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what) {
    fprintf(stderr, "stopwatch: %s: %s\n", what, strerror(errno));
    exit(1);
}

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void program(char **argv, int out, int err) {
    dup2(out, 1);
    dup2(err, 2);
    execvp(argv[0], argv);
    _exit(127);
}

static int run(char **argv, int count, int out, int err) {
    for (int i = 0; i < count; i++) {
        struct rusage usage;
        int status;
        long long start = now();
        pid_t pid = vfork();
        if (pid < 0) die("vfork");
        if (pid == 0) program(argv, out, err);
        if (wait4(pid, &status, 0, &usage) < 0) die("wait4");
        long long end = now();
        printf("%lld %d %ld\n", end - start, WIFEXITED(status) ? WEXITSTATUS(status) : 128, usage.ru_maxrss);
    }
    return 0;
}

static void file_of(pid_t pid, char *name, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    ssize_t length = readlink(path, name, size - 1);
    name[length < 0 ? 0 : length] = 0;
}

static long peak_of(pid_t pid) {
    char path[64], line[256];
    long peak = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %ld", &peak) == 1) break;
    if (file) fclose(file);
    return peak;
}

static int trace(char **argv, int out, int err) {
    long long start = now();
    pid_t first = fork();
    if (first < 0) die("fork");
    if (first == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        program(argv, out, err);
    }
    int status, result = 0;
    if (waitpid(first, &status, 0) < 0) die("waitpid");
    long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
                   PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SETOPTIONS, first, 0, options) < 0) die("ptrace");
    ptrace(PTRACE_CONT, first, 0, 0);
    for (;;) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0) break;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid == first) result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        int stop = WSTOPSIG(status), event = status >> 16, pass = 0;
        unsigned long message = 0;
        char name[4096];
        ptrace(PTRACE_GETEVENTMSG, pid, 0, &message);
        switch (event) {
        case PTRACE_EVENT_FORK:
        case PTRACE_EVENT_VFORK:
        case PTRACE_EVENT_CLONE: printf("fork %lld %d %lu\n", now() - start, pid, message); break;
        case PTRACE_EVENT_EXEC:
            file_of(pid, name, sizeof name);
            printf("exec %lld %d %s\n", now() - start, pid, name);
            break;
        case PTRACE_EVENT_EXIT:
            file_of(pid, name, sizeof name);
            printf("exit %lld %d %ld %s\n", now() - start, pid, peak_of(pid), name);
            break;
        default:
            /* The stop with which a traced child begins is the tracer's, not the program's. */
            if (stop != SIGSTOP && stop != SIGTRAP) pass = stop;
        }
        ptrace(PTRACE_CONT, pid, 0, pass);
    }
    printf("done %lld %d\n", now() - start, result);
    return 0;
}

int main(int argc, char **argv) {
    int count = 1, err = -1, option;
    const char *root = NULL;
    if (argc < 2) return 2;
    const char *verb = argv[1];
    argv++, argc--;
    while ((option = getopt(argc, argv, "+r:n:e:")) != -1) {
        if (option == 'r') root = optarg;
        else if (option == 'n') count = atoi(optarg);
        else if (option == 'e') err = open(optarg, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        else return 2;
    }
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing < 0) die("/dev/null");
    dup2(nothing, 0);
    if (err < 0) err = nothing;
    if (root && (chroot(root) < 0 || chdir("/") < 0)) die(root);
    if (optind >= argc) return 2;
    return strcmp(verb, "trace") == 0 ? trace(argv + optind, nothing, err) : run(argv + optind, count, nothing, err);
}
