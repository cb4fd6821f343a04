/* The engine's heap. A run lives for milliseconds and allocates ten thousand small blocks at its start, where musl's
 * allocator, made for safety and small size, took 40 % of the time; and it gives the memory of a block of a few KiB
 * back to the kernel at once, to ask for it again for the next. Here: free lists of blocks up to 32 KiB, cut from
 * regions that the kernel hands over in one piece, already mapped. They are reused but never given back. Larger
 * blocks stay with musl. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "firn.h"

/* Bytes. Every block has its own size in the 8 bytes before it: a multiple of FINE, from 1 KiB on of COARSE. */
enum { FINE = 16, COARSE = 1 << 10, LISTED = 32 << 10, REGION = 1 << 18 };
enum { CLASSES = COARSE / FINE + LISTED / COARSE + 1 };
/* Bytes. Beyond it no block can be had: what is added to a size, and the sum of all sizes, then never wrap. */
#define LARGEST ((size_t)PTRDIFF_MAX / 2)

typedef struct Block {
    size_t size;
    struct Block *next;
} Block;

static Block *free_blocks[CLASSES];
static char *at, *end;

static size_t *header(const void *pointer) { return (size_t *)pointer - 1; }

/* The whole block for `size` bytes, header included. */
static size_t rounded(size_t size) {
    size_t grain = size + 8 <= COARSE ? FINE : COARSE;
    return (size + 8 + grain - 1) & ~(grain - 1);
}

static size_t class_of(size_t whole) {
    return whole <= COARSE ? whole / FINE : COARSE / FINE + whole / COARSE;
}

/* AddressSanitizer watches malloc's blocks, not ours. */
#ifdef __SANITIZE_ADDRESS__
static int is_listed(size_t whole) { return whole == 0; }
#else
static int is_listed(size_t whole) { return whole <= LISTED; }
#endif

static void *take(size_t whole) {
    Block **list = &free_blocks[class_of(whole)];
    if (*list) {
        Block *block = *list;
        *list = block->next;
        return (size_t *)block + 1;
    }
    if ((size_t)(end - at) < whole) {
        /* What is left of the old region is less than 32 KiB, mostly far less. */
        char *region = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (region == MAP_FAILED) return NULL;
        at = region + 8; /* so that what follows a header is aligned to 16 */
        end = region + REGION;
    }
    *(size_t *)at = whole;
    void *pointer = at + 8;
    at += whole;
    return pointer;
}

static void *heap_malloc(JSMallocState *state, size_t size) {
    if (size > LARGEST) return NULL;
    size_t whole = rounded(size);
    if (state->malloc_size + whole > state->malloc_limit) return NULL;
    void *pointer;
    if (is_listed(whole)) pointer = take(whole);
    else {
        /* 8 bytes more keep the alignment of 16 that malloc gives. */
        size_t *block = malloc(whole + 8);
        pointer = block ? block + 2 : NULL;
        if (block) block[1] = whole;
    }
    if (!pointer) return NULL;
    state->malloc_count++;
    state->malloc_size += whole;
    return pointer;
}

static void heap_free(JSMallocState *state, void *pointer) {
    if (!pointer) return;
    size_t whole = *header(pointer);
    state->malloc_count--;
    state->malloc_size -= whole;
    if (is_listed(whole)) {
        Block *block = (Block *)header(pointer);
        block->next = free_blocks[class_of(whole)];
        free_blocks[class_of(whole)] = block;
    } else free((size_t *)pointer - 2);
}

static void *heap_realloc(JSMallocState *state, void *pointer, size_t size) {
    if (!pointer) return size ? heap_malloc(state, size) : NULL;
    if (size == 0) {
        heap_free(state, pointer);
        return NULL;
    }
    if (size > LARGEST) return NULL;
    size_t old = *header(pointer), whole = rounded(size);
    if (whole <= old && (is_listed(old) || whole > old / 2)) return pointer;
    if (!is_listed(old) && !is_listed(whole)) {
        if (state->malloc_size + whole - old > state->malloc_limit) return NULL;
        size_t *block = realloc((size_t *)pointer - 2, whole + 8);
        if (!block) return NULL;
        block[1] = whole;
        state->malloc_size += whole - old;
        return block + 2;
    }
    void *copy = heap_malloc(state, size);
    if (!copy) return NULL;
    memcpy(copy, pointer, (old < whole ? old : whole) - 8);
    heap_free(state, pointer);
    return copy;
}

static size_t heap_usable(const void *pointer) { return pointer ? *header(pointer) - 8 : 0; }

const JSMallocFunctions heap_functions = {heap_malloc, heap_free, heap_realloc, heap_usable};
