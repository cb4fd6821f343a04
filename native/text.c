/* Text between Linux and JavaScript. Names, arguments and files are bytes to Linux, mostly UTF-8. A byte that is not
 * becomes the surrogate U+DC00 + byte, which no UTF-8 gives, and that becomes the byte again (PEP 383): what was read
 * can be opened, handed on and printed as it was. */
#include <stdlib.h>

#include "firn.h"

/* Bytes of the character at `at`, 0 where it is none (RFC 3629: neither surrogates nor more bytes than it takes). */
static size_t character(const uint8_t *at, size_t left) {
    uint8_t first = at[0];
    if (first < 0x80) return 1;
    size_t length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (length == 0 || length > left) return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    int outside = (first == 0xe0 && at[1] < 0xa0) || (first == 0xed && at[1] > 0x9f) ||
                  (first == 0xf0 && at[1] < 0x90) || (first == 0xf4 && at[1] > 0x8f);
    return outside ? 0 : length;
}

/* How many bytes, of the first ones, are ASCII; at most seven too few. */
static size_t ascii(const uint8_t *bytes, size_t length) {
    size_t at = 0;
    for (uint64_t eight; at + sizeof eight <= length; at += sizeof eight) {
        memcpy(&eight, bytes + at, sizeof eight);
        if (eight & 0x8080808080808080) break;
    }
    return at;
}

JSValue text_new(JSContext *ctx, const char *text, size_t length) {
    const uint8_t *bytes = (const uint8_t *)text;
    size_t fine = ascii(bytes, length), step;
    while (fine < length && (step = character(bytes + fine, length - fine))) fine += step;
    if (fine == length) return JS_NewStringLen(ctx, text, length);
    uint8_t *escaped = malloc(fine + (length - fine) * 3), *to = escaped + fine;
    if (!escaped) return JS_ThrowOutOfMemory(ctx);
    memcpy(escaped, bytes, fine);
    for (size_t at = fine; at < length; at += step ? step : 1) {
        step = character(bytes + at, length - at);
        for (size_t i = 0; i < step; i++) *to++ = bytes[at + i];
        if (step) continue;
        *to++ = 0xed;
        *to++ = 0xb0 | bytes[at] >> 6;
        *to++ = 0x80 | (bytes[at] & 0x3f);
    }
    JSValue string = JS_NewStringLen(ctx, (char *)escaped, to - escaped);
    free(escaped);
    return string;
}

JSValue text_of(JSContext *ctx, const char *text) { return text_new(ctx, text, strlen(text)); }

const char *text_bytes(JSContext *ctx, size_t *length, JSValueConst value) {
    const char *text = JS_ToCStringLen(ctx, length, value);
    uint8_t *from = text ? memchr(text, 0xed, *length) : NULL;
    if (!from) return text;
    /* In place: what is not all ASCII is the caller's own copy. */
    uint8_t *to = from, *end = (uint8_t *)text + *length;
    while (from < end) {
        int escape = end - from > 2 && from[0] == 0xed && (from[1] == 0xb2 || from[1] == 0xb3);
        *to++ = escape ? from[1] << 6 | (from[2] & 0x3f) : *from;
        from += escape ? 3 : 1;
    }
    *to = 0;
    *length = to - (uint8_t *)text;
    return text;
}

Text text_take(JSContext *ctx, JSValueConst value) {
    size_t length;
    Text text = {ctx, text_bytes(ctx, &length, value)};
    if (!text.text || strlen(text.text) == length) return text;
    /* A path cut short at a NUL would be another one. */
    text_free(&text);
    throw_errno(ctx, EINVAL, "text with a NUL", NULL);
    return (Text){ctx, NULL};
}

void text_free(Text *text) {
    if (text->text) JS_FreeCString(text->ctx, text->text);
}
