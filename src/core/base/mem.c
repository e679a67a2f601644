/* SPDX-License-Identifier: MIT
 *
 * Large blocks ask for huge pages: a bulk load touches tens of megabytes once, and faulting them in by 4 KiB cost as
 * much as the load itself (0.7 against 1.6 M datoms/s on a virtual machine). Work in steps does not: zeroing one such
 * page took up to 4 ms at a time there.
 */
#if defined(__linux__)
#define _DEFAULT_SOURCE /* madvise */
#endif
#include "mem.h"

#include "sync.h"

#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE ((size_t)2 * 1024 * 1024)

/* All pages of the block: large ones are mappings of their own in most allocators, and a mapping of which a part is
 * advised becomes several, which the kernel does not grow as one: each realloc would copy. */
static void advise(void *block, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = (uintptr_t)block / page * page;
    uintptr_t end = ((uintptr_t)block + size + page - 1) / page * page;
    (void)madvise((void *)start, end - start, MADV_HUGEPAGE); /* a wish: without it all works as well */
}
#else
#define HUGE_PAGE (SIZE_MAX / 2)

static void advise(void *block, size_t size)
{
    (void)block;
    (void)size;
}
#endif

static RI_THREAD_LOCAL ri_trash *trash_of_thread;

void ri_mem_set_steps(ri_trash *trash)
{
    trash_of_thread = trash;
}

static void *default_hook(void *context, void *block, size_t size)
{
    (void)context;
    if (size == 0) {
        free(block);
        return NULL;
    }
    void *grown = realloc(block, size);
    if (grown != NULL && size >= 2 * HUGE_PAGE && trash_of_thread == NULL) {
        advise(grown, size);
    }
    return grown;
}

/* The one mutable global next to the registries of shared stores: set before first use, then only read. */
static rille_alloc_hook hook = default_hook;
static void *hook_context = NULL;

void rille_set_alloc_hook(rille_alloc_hook new_hook, void *context)
{
    hook = new_hook != NULL ? new_hook : default_hook;
    hook_context = context;
}

void *ri_alloc(size_t size)
{
    return hook(hook_context, NULL, size == 0 ? 1 : size);
}

void *ri_alloc_zero(size_t size)
{
    void *block = ri_alloc(size);
    if (block != NULL) {
        memset(block, 0, size);
    }
    return block;
}

void *ri_alloc_array(size_t count, size_t size)
{
    size_t total;
    return ri_mul_size(count, size, &total) ? ri_alloc(total) : NULL;
}

void *ri_realloc(void *block, size_t size)
{
    return hook(hook_context, block, size == 0 ? 1 : size);
}

void ri_free(void *block)
{
    if (block != NULL) {
        (void)hook(hook_context, block, 0);
    }
}

/* ---- in portions ---- */

#define TRASH_BYTES_MIN ((size_t)128 * 1024)

struct ri_trash_block { /* its first bytes */
    ri_trash_block *next;
    size_t size;
};

void ri_free_sized(void *block, size_t size)
{
    if (block == NULL || size < TRASH_BYTES_MIN || trash_of_thread == NULL) {
        ri_free(block);
        return;
    }
    ri_trash_block *b = block;
    *b = (ri_trash_block){ trash_of_thread->first, size };
    trash_of_thread->first = b;
}

bool ri_trash_empty(ri_trash *trash, size_t bytes)
{
    while (trash->first != NULL && bytes > 0) {
        ri_trash_block *b = trash->first;
        size_t size = b->size;
        if (size > bytes && hook == default_hook) { /* the C library makes it smaller where it is */
            ri_trash_block *rest = realloc(b, size - bytes);
            b = rest != NULL ? rest : b;
            b->size = size - bytes;
            trash->first = b;
            return rest == NULL && ri_trash_empty(trash, SIZE_MAX);
        }
        trash->first = b->next;
        ri_free(b);
        bytes -= size < bytes ? size : bytes;
    }
    return trash->first == NULL;
}

size_t ri_grow_cap(size_t cap, size_t need)
{
    size_t new_cap = cap < 8 ? 8 : cap;
    while (new_cap < need) {
        if (new_cap > SIZE_MAX / 2) {
            return SIZE_MAX;
        }
        new_cap *= 2;
    }
    return new_cap;
}

bool ri_grow(void *items_place, size_t *cap, size_t need, size_t item_size)
{
    if (need <= *cap) {
        return true;
    }
    size_t new_cap = ri_grow_cap(*cap, need);
    if (new_cap == SIZE_MAX) {
        return false;
    }
    size_t bytes;
    if (!ri_mul_size(new_cap, item_size, &bytes)) {
        return false;
    }
    void *items; /* the caller's pointer is of another type: copied, not cast */
    memcpy(&items, items_place, sizeof items);
    items = ri_realloc(items, bytes);
    if (items == NULL) {
        return false;
    }
    memcpy(items_place, &items, sizeof items);
    *cap = new_cap;
    return true;
}

#define GROWTH_BYTES_MIN ((size_t)64 * 1024)
#define GROWTH_SLICE 8U /* items; 4 would do */

bool ri_grow_by_one(ri_growth *growth, void *items_place, size_t *cap, size_t count, size_t item_size)
{
    if (growth->next == NULL) {
        bool sliced = trash_of_thread != NULL && *cap >= GROWTH_BYTES_MIN / item_size && count >= *cap - *cap / 4;
        if (!sliced) {
            return ri_grow(items_place, cap, count + 1, item_size);
        }
        size_t bytes;
        growth->cap = ri_grow_cap(*cap, *cap + 1);
        growth->copied = 0;
        growth->next = ri_mul_size(growth->cap, item_size, &bytes) ? ri_alloc(bytes) : NULL;
        if (growth->next == NULL) {
            return count < *cap;
        }
    }
    uint8_t *items;
    memcpy(&items, items_place, sizeof items);
    size_t left = count - growth->copied;
    size_t some = count < *cap && left > GROWTH_SLICE ? GROWTH_SLICE : left;
    if (some > 0) {
        memcpy((uint8_t *)growth->next + growth->copied * item_size, items + growth->copied * item_size,
               some * item_size);
        growth->copied += some;
    }
    if (count == *cap) {
        memcpy(items_place, &growth->next, sizeof growth->next);
        ri_free_sized(items, *cap * item_size);
        *cap = growth->cap;
        growth->next = NULL;
    }
    return true;
}

void *rille_alloc(size_t size)
{
    return ri_alloc(size);
}

void rille_free(void *block)
{
    ri_free(block);
}
