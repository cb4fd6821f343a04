/* What the parts of firn's native layer share. Each exported function is a thin wrapper around one
 * system call: errno in, a JavaScript exception out. */
#ifndef FIRN_NATIVE_H
#define FIRN_NATIVE_H

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "quickjs.h"

#define FN(name) \
    JSValue name(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)

/* "ENOENT" for 2. */
const char *errno_name(int number);

/* Throws what src/host/kernel/sys.ts makes of a failed call: a SysError. */
JSValue throw_errno(JSContext *ctx, int err, const char *call, const char *path);
/* The same of an open file, which /proc knows by its path. */
JSValue throw_errno_of(JSContext *ctx, int err, const char *call, int fd);

int32_t arg_int(JSContext *ctx, JSValueConst value);
int64_t arg_int64(JSContext *ctx, JSValueConst value);
void set_int(JSContext *ctx, JSValue object, const char *key, int64_t value);

JSValue stat_object(JSContext *ctx, const struct stat *st);
/* The names in a directory, which is closed. */
JSValue names_in(JSContext *ctx, DIR *dir, const char *path);

/* A string of Linux's bytes, and the bytes of a string: see text.c. The bytes are freed with JS_FreeCString. */
JSValue text_new(JSContext *ctx, const char *bytes, size_t length);
JSValue text_of(JSContext *ctx, const char *bytes);
const char *text_bytes(JSContext *ctx, size_t *length, JSValueConst value);

/* A path or name argument; freed when the scope ends, so no return path can leak it. */
typedef struct {
    JSContext *ctx;
    const char *text;
} Text;
Text text_take(JSContext *ctx, JSValueConst value);
void text_free(Text *text);
#define TEXT(variable, index)                                                                    \
    __attribute__((cleanup(text_free))) Text variable##_text = text_take(ctx, argv[index]); \
    const char *variable = variable##_text.text;                                                 \
    if (!variable) return JS_EXCEPTION

#define RESULT(call, path, expression)                          \
    do {                                                        \
        if ((expression) < 0) return throw_errno(ctx, errno, call, path); \
        return JS_UNDEFINED;                                    \
    } while (0)

/* Makes `root` the root of this process, in namespaces of its own. NULL, or the name of the call that failed. */
const char *enter_fence(const char *root);

extern const JSMallocFunctions heap_functions;
extern const JSCFunctionListEntry file_functions[], attribute_functions[], process_functions[], volume_functions[],
    within_functions[];
extern const int file_function_count, attribute_function_count, process_function_count, volume_function_count,
    within_function_count;

#endif
