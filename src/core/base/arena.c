/* SPDX-License-Identifier: MIT */
#include "arena.h"

#include <string.h>

#define CHUNK_BYTES_MIN 512U /* what most small transactions need; each further chunk doubles the whole */
#define CHUNK_BYTES_MAX ((size_t)4 * 1024 * 1024)

struct ri_arena_chunk {
    ri_arena_chunk *older;
    size_t size; /* of the whole block, this header included */
};

void ri_arena_deinit(ri_arena *arena)
{
    ri_arena_chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        ri_arena_chunk *older = chunk->older;
        ri_free_sized(chunk, chunk->size);
        chunk = older;
    }
    ri_meter_give(arena->meter, arena->total_bytes);
    *arena = (ri_arena){ .meter = arena->meter };
}

void ri_arena_reset(ri_arena *arena)
{
#ifdef RI_ARENA_MALLOC
    ri_arena_deinit(arena);
#else
    ri_arena_chunk *keep = arena->chunks;
    if (keep == NULL || keep->size > CHUNK_BYTES_MAX) {
        ri_arena_deinit(arena);
        return;
    }
    arena->chunks = keep->older;
    arena->total_bytes -= keep->size;
    ri_arena_deinit(arena);
    keep->older = NULL;
    arena->chunks = keep;
    arena->next = (uint8_t *)(keep + 1);
    arena->end = (uint8_t *)keep + keep->size;
    arena->total_bytes = keep->size;
#endif
}

void *ri_arena_alloc_slow(ri_arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
#ifdef RI_ARENA_MALLOC
    size_t block = size + sizeof(ri_arena_chunk); /* to the byte: rounded up, it would hide an overrun */
#else
    size_t rounded = (size + 7) & ~(size_t)7;
    size_t block = rounded + sizeof(ri_arena_chunk);
    size_t grown = arena->total_bytes < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : arena->total_bytes;
    if (grown > CHUNK_BYTES_MAX) {
        grown = CHUNK_BYTES_MAX;
    }
    if (block < grown) {
        block = grown;
    }
#endif
    if (!ri_meter_take(arena->meter, block)) {
        return NULL;
    }
    ri_arena_chunk *chunk = ri_alloc(block);
    if (chunk == NULL) {
        ri_meter_give(arena->meter, block);
        return NULL;
    }
    chunk->size = block;
    chunk->older = arena->chunks;
    arena->chunks = chunk;
    arena->total_bytes += block;
    uint8_t *p = (uint8_t *)(chunk + 1);
#ifndef RI_ARENA_MALLOC
    arena->next = p + rounded;
    arena->end = (uint8_t *)chunk + block;
#endif
    return p;
}

void *ri_arena_copy(ri_arena *arena, const void *bytes, size_t len)
{
    void *copy = ri_arena_alloc(arena, len);
    if (copy != NULL && len > 0) {
        memcpy(copy, bytes, len);
    }
    return copy;
}

void *ri_arena_array(ri_arena *arena, size_t count, size_t size)
{
    size_t total;
    return ri_mul_size(count, size, &total) ? ri_arena_alloc(arena, total) : NULL;
}

char *ri_arena_text(ri_arena *arena, const char *text, size_t len)
{
    char *copy = len == SIZE_MAX ? NULL : ri_arena_alloc(arena, len + 1);
    if (copy != NULL) {
        if (len > 0) {
            memcpy(copy, text, len);
        }
        copy[len] = '\0';
    }
    return copy;
}
