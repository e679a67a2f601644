/* SPDX-License-Identifier: MIT
 *
 * The only door to the heap. All memory of rille's own passes the hook, so a host can count, limit or fail it; what
 * zstd, libsodium, LMDB and the C library take for themselves does not.
 */
#ifndef RI_MEM_H
#define RI_MEM_H

#include "rille/alloc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NULL when memory is out. Size 0 gives a unique pointer that can be freed. */
void *ri_alloc(size_t size);
void *ri_alloc_zero(size_t size);
/* NULL when count * size overflows, too. */
void *ri_alloc_array(size_t count, size_t size);
/* On failure the old block stays valid. */
void *ri_realloc(void *block, size_t size);
void ri_free(void *block); /* NULL allowed */

/* ---- steps ----
 *
 * A thread that works in steps gives back large blocks in portions: the kernel takes 0.2 to 1 us for each page. */

typedef struct ri_trash_block ri_trash_block;
typedef struct ri_trash {
    ri_trash_block *first;
} ri_trash; /* all zero: empty */

/* Where this thread puts large blocks from now on; NULL: it does not work in steps. */
void ri_mem_set_steps(ri_trash *trash);
/* ri_free of a block of about so many bytes, not more. */
void ri_free_sized(void *block, size_t size);
/* Frees about so many bytes. True: nothing is left. */
bool ri_trash_empty(ri_trash *trash, size_t bytes);

/* False on overflow; *out is untouched then. */
static inline bool ri_mul_size(size_t a, size_t b, size_t *out)
{
    if (a != 0 && b > SIZE_MAX / a) {
        return false;
    }
    *out = a * b;
    return true;
}

/* Grows a typed array so that it has room for `need` items: RI_GROW(&items, &cap, need) is false when memory is out.
 * Capacity doubles; *cap changes only after success. */
size_t ri_grow_cap(size_t cap, size_t need); /* what the capacity becomes; SIZE_MAX: too much */
bool ri_grow(void *items_place, size_t *cap, size_t need, size_t item_size);
#define RI_GROW(items, cap, need) ri_has_room((items), (cap), (need), sizeof **(items))
static inline bool ri_has_room(void *items_place, size_t *cap, size_t need, size_t item_size)
{
    return need <= *cap || ri_grow(items_place, cap, need, item_size);
}

/* Room for one more item of an array that only grows. In steps, a large one is not copied at once when it is full: items
 * are copied to its successor beforehand, a few with each one that is added. */
typedef struct ri_growth {
    void *next; /* NULL: there is no successor */
    size_t cap;
    size_t copied; /* items [0, copied) are in it; what lowers this copies them again */
} ri_growth;       /* all zero at first; ri_free(next) at the end */
bool ri_grow_by_one(ri_growth *growth, void *items_place, size_t *cap, size_t count, size_t item_size);
#define RI_GROW_BY_ONE(growth, items, cap, count) ri_grow_by_one((growth), (items), (cap), (count), sizeof **(items))

/* Memory that will be read soon. */
#if defined(__GNUC__)
#define RI_PREFETCH(p) __builtin_prefetch(p)
#else
#define RI_PREFETCH(p) ((void)(p))
#endif

#endif
