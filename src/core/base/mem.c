/* SPDX-License-Identifier: MIT
 *
 * Large blocks ask for huge pages: a bulk load touches tens of megabytes once, and faulting them in by 4 KiB cost as
 * much as the load itself (0.7 against 1.6 M datoms/s on a virtual machine).
 */
#if defined(__linux__)
#define _DEFAULT_SOURCE /* madvise */
#endif
#include "mem.h"

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

static void *default_hook(void *context, void *block, size_t size)
{
    (void)context;
    if (size == 0) {
        free(block);
        return NULL;
    }
    void *grown = realloc(block, size);
    if (grown != NULL && size >= 2 * HUGE_PAGE) {
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

void *rille_alloc(size_t size)
{
    return ri_alloc(size);
}

void rille_free(void *block)
{
    ri_free(block);
}
