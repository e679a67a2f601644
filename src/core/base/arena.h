/* SPDX-License-Identifier: MIT
 *
 * Memory of one query, transaction or decode: many small allocations, freed at once. One thread at a time.
 * Built with -DRI_ARENA_MALLOC each allocation is a block of its own, so that sanitizers see overruns.
 */
#ifndef RI_ARENA_H
#define RI_ARENA_H

#include "mem.h"
#include "meter.h"

typedef struct ri_arena_chunk ri_arena_chunk;

typedef struct ri_arena {
    ri_arena_chunk *chunks; /* newest first */
    uint8_t *next;
    uint8_t *end;
    size_t total_bytes; /* of all chunks */
    ri_meter *meter;    /* counts the chunks, and may refuse one as if memory were out; NULL: nobody does */
} ri_arena;             /* all zero is an empty arena */

/* Frees everything; the arena is empty then, with the same meter. */
void ri_arena_deinit(ri_arena *arena);
/* Forgets all allocations, keeps the newest chunk for reuse. */
void ri_arena_reset(ri_arena *arena);
/* 8-byte aligned; NULL when memory is out, or the meter refuses. */
void *ri_arena_alloc_slow(ri_arena *arena, size_t size);
void *ri_arena_copy(ri_arena *arena, const void *bytes, size_t len);
void *ri_arena_array(ri_arena *arena, size_t count, size_t size);
/* A 0-terminated copy. */
char *ri_arena_text(ri_arena *arena, const char *text, size_t len);

static inline void *ri_arena_alloc(ri_arena *arena, size_t size)
{
#ifndef RI_ARENA_MALLOC
    size_t rounded = (size + 7) & ~(size_t)7;
    if (size <= SIZE_MAX - 7 && (size_t)(arena->end - arena->next) >= rounded && arena->next != NULL) {
        void *p = arena->next;
        arena->next += rounded;
        return p;
    }
#endif
    return ri_arena_alloc_slow(arena, size);
}

#endif
