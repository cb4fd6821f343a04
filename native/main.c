/* Starts the engine, gives the bundle its `__firn` object, runs it, and drains its promise jobs. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firn.h"

extern const uint8_t firn_bundle[];
extern const uint32_t firn_bundle_size;

/* Makes the exception for a failed call: (errno's name, call, path | null, reason) => Error. Set by
 * src/host/kernel/sys.ts. */
static JSValue make_error = {.tag = JS_TAG_UNDEFINED};

static FN(set_error_maker) {
    JS_FreeValue(ctx, make_error);
    make_error = JS_DupValue(ctx, argv[0]);
    return JS_UNDEFINED;
}

JSValue throw_errno(JSContext *ctx, int err, const char *call, const char *path) {
    JSValue args[] = {JS_NewString(ctx, errno_name(err)), JS_NewString(ctx, call),
                      path ? text_of(ctx, path) : JS_NULL, JS_NewString(ctx, strerror(err))};
    JSValue error = JS_Call(ctx, make_error, JS_UNDEFINED, 4, args);
    for (int i = 0; i < 4; i++) JS_FreeValue(ctx, args[i]);
    return JS_IsException(error) ? error : JS_Throw(ctx, error);
}

JSValue throw_errno_of(JSContext *ctx, int err, const char *call, int fd) {
    char link[32], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) length = 0;
    path[length] = 0;
    return throw_errno(ctx, err, call, path[0] == '/' ? path : NULL);
}

int32_t arg_int(JSContext *ctx, JSValueConst value) {
    int32_t number = 0;
    JS_ToInt32(ctx, &number, value);
    return number;
}

int64_t arg_int64(JSContext *ctx, JSValueConst value) {
    int64_t number = 0;
    JS_ToInt64(ctx, &number, value);
    return number;
}

void set_int(JSContext *ctx, JSValue object, const char *key, int64_t value) {
    JS_SetPropertyStr(ctx, object, key, JS_NewInt64(ctx, value));
}

static int report(JSContext *ctx) {
    JSValue error = JS_GetException(ctx);
    const char *text = JS_ToCString(ctx, error);
    JSValue stack = JS_GetPropertyStr(ctx, error, "stack");
    const char *where = JS_IsUndefined(stack) ? NULL : JS_ToCString(ctx, stack);
    fprintf(stderr, "E_INTERNAL: %s\n%s", text ? text : "unknown", where ? where : "");
    return 70; /* EX_SOFTWARE of sysexits.h: main.ts catches everything a user can cause */
}

/* A closed stdin, stdout or stderr must not become the number of the next file that is opened: what is printed would be
 * written into it. Stdout stays unwritable, so that a lost answer is noticed; talk may vanish. */
static void hold_standard_streams(void) {
    static const int flags[] = {O_RDONLY, O_RDONLY, O_WRONLY};
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", flags[fd]) < 0) _exit(71);
}

/* What a caller may have changed and firn, and all that it starts, takes for granted: what is made can be read; signals
 * arrive; children that ended can be waited for. */
static void forget_caller(void) {
    umask(022);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGCHLD, SIG_DFL);
}

/* What the engine may use of the stack, so that text nested too deep is an error and no crash: half of what the caller
 * allows (the words of argv and the environment lie on it too), at most 4 MiB. */
static size_t stack_bytes(void) {
    struct rlimit limit;
    const size_t most = 4 << 20;
    return getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur / 2 < most ? limit.rlim_cur / 2 : most;
}

int main(int argc, char **argv) {
    hold_standard_streams();
    forget_caller();
    JSRuntime *runtime = JS_NewRuntime2(&heap_functions, NULL);
    JSContext *ctx = runtime ? JS_NewContext(runtime) : NULL;
    if (!ctx) {
        fputs("E_NO_MEMORY: the engine could not start.\n", stderr);
        return 71;
    }
    JS_SetMaxStackSize(runtime, stack_bytes());
    /* Bytes. Nearly all is freed by counting references; a search for cycles finds nothing worth its milliseconds. */
    JS_SetGCThreshold(runtime, 32 << 20);

    JSValue global = JS_GetGlobalObject(ctx);
    JSValue native = JS_NewObject(ctx);
    JS_SetPropertyFunctionList(ctx, native, file_functions, file_function_count);
    JS_SetPropertyFunctionList(ctx, native, attribute_functions, attribute_function_count);
    JS_SetPropertyFunctionList(ctx, native, process_functions, process_function_count);
    JS_SetPropertyFunctionList(ctx, native, volume_functions, volume_function_count);
    JS_SetPropertyFunctionList(ctx, native, within_functions, within_function_count);
    JSValue args = JS_NewArray(ctx);
    for (int i = 0; i < argc; i++) JS_SetPropertyUint32(ctx, args, i, text_of(ctx, argv[i]));
    JS_SetPropertyStr(ctx, native, "args", args);
    JS_SetPropertyStr(ctx, native, "setErrorMaker", JS_NewCFunction(ctx, set_error_maker, "setErrorMaker", 1));
    JS_SetPropertyStr(ctx, global, "__firn", native);
    JS_FreeValue(ctx, global);

    JSValue code = JS_ReadObject(ctx, firn_bundle, firn_bundle_size, JS_READ_OBJ_BYTECODE);
    JSValue result = JS_IsException(code) ? code : JS_EvalFunction(ctx, code);
    if (JS_IsException(result)) return report(ctx);
    /* The bundle is a module: what its top level throws is in the promise. */
    if (JS_PromiseState(ctx, result) == JS_PROMISE_REJECTED) {
        JS_Throw(ctx, JS_PromiseResult(ctx, result));
        return report(ctx);
    }
    JSContext *job;
    for (;;) {
        int status = JS_ExecutePendingJob(runtime, &job);
        if (status < 0) return report(job);
        if (status == 0) break;
    }
    /* The bundle ends through exit(); getting here means that a promise never settled. */
    fputs("E_INTERNAL: the program ended without a result.\n", stderr);
    return 70;
}
