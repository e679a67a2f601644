/* SPDX-License-Identifier: MIT
 *
 * A shelf in this process's memory: sets that are allocated when they get their first piece. Shelves with the same name
 * are one, as large as its first user asked for; it goes with its last user. One lock each; the registry has one of
 * its own.
 */
#include "../core/base/err.h"
#include "../core/base/mem.h"
#include "../core/base/sync.h"
#include "shelf_sets.h"

#include <string.h>

typedef struct memory_shelf {
    struct memory_shelf *next; /* in the registry */
    size_t users;              /* under the registry's lock */
    ri_mutex lock;             /* of what follows */
    ri_sets sets;
    uint64_t evictions;
    uint8_t **blocks; /* NULL: nothing there yet */
    char name[];
} memory_shelf;

static struct {
    ri_mutex lock;
    memory_shelf *first;
} registry = { RI_MUTEX_INIT, NULL };

static bool memory_read(void *self, uint64_t offset, uint8_t *bytes, size_t len)
{
    memory_shelf *shelf = self;
    const uint8_t *block = shelf->blocks[offset / RI_SET_BYTES];
    if (block == NULL) {
        memset(bytes, 0, len);
    } else {
        memcpy(bytes, block + offset % RI_SET_BYTES, len);
    }
    return true;
}

static bool memory_write(void *self, uint64_t offset, const uint8_t *bytes, size_t len)
{
    memory_shelf *shelf = self;
    uint8_t **block = &shelf->blocks[offset / RI_SET_BYTES];
    if (*block == NULL && (*block = ri_alloc_zero(RI_SET_BYTES)) == NULL) {
        return false;
    }
    memcpy(*block + offset % RI_SET_BYTES, bytes, len);
    return true;
}

static bool memory_get(void *self, const uint8_t key[RI_SHELF_KEY_SIZE], uint8_t **bytes, size_t *len)
{
    memory_shelf *shelf = self;
    ri_mutex_lock(&shelf->lock);
    bool found = ri_sets_get(&shelf->sets, key, bytes, len);
    ri_mutex_unlock(&shelf->lock);
    return found;
}

static bool memory_has(void *self, const uint8_t key[RI_SHELF_KEY_SIZE])
{
    memory_shelf *shelf = self;
    ri_mutex_lock(&shelf->lock);
    bool found = ri_sets_has(&shelf->sets, key);
    ri_mutex_unlock(&shelf->lock);
    return found;
}

static void memory_put(void *self, const uint8_t key[RI_SHELF_KEY_SIZE], const uint8_t *bytes, size_t len)
{
    memory_shelf *shelf = self;
    ri_mutex_lock(&shelf->lock);
    shelf->evictions += ri_sets_put(&shelf->sets, key, bytes, len);
    ri_mutex_unlock(&shelf->lock);
}

static void memory_drop(void *self, const uint8_t key[RI_SHELF_KEY_SIZE])
{
    memory_shelf *shelf = self;
    ri_mutex_lock(&shelf->lock);
    ri_sets_drop(&shelf->sets, key);
    ri_mutex_unlock(&shelf->lock);
}

static void free_blocks(memory_shelf *shelf)
{
    for (uint64_t i = 0; i < shelf->sets.count; i++) {
        ri_free(shelf->blocks[i]);
        shelf->blocks[i] = NULL;
    }
}

static void memory_empty(void *self)
{
    memory_shelf *shelf = self;
    ri_mutex_lock(&shelf->lock);
    free_blocks(shelf);
    ri_mutex_unlock(&shelf->lock);
}

static void memory_count(void *self, uint64_t *evictions, uint64_t *bytes)
{
    memory_shelf *shelf = self;
    ri_mutex_lock(&shelf->lock);
    *evictions = shelf->evictions;
    *bytes = 0;
    for (uint64_t i = 0; i < shelf->sets.count; i++) {
        *bytes += shelf->blocks[i] != NULL ? RI_SET_BYTES : 0;
    }
    ri_mutex_unlock(&shelf->lock);
}

static void memory_close(void *self)
{
    memory_shelf *shelf = self;
    ri_mutex_lock(&registry.lock);
    bool last = --shelf->users == 0;
    for (memory_shelf **link = &registry.first; last && *link != NULL; link = &(*link)->next) {
        if (*link == shelf) {
            *link = shelf->next;
            break;
        }
    }
    ri_mutex_unlock(&registry.lock);
    if (last) {
        free_blocks(shelf);
        ri_free(shelf->blocks);
        ri_mutex_deinit(&shelf->lock);
        ri_free(shelf);
    }
}

static const ri_shelf_ops memory_ops = {
    .get = memory_get,
    .has = memory_has,
    .put = memory_put,
    .drop = memory_drop,
    .empty = memory_empty,
    .count = memory_count,
    .close = memory_close,
};

static memory_shelf *new_shelf(const char *name, uint64_t bytes_max)
{
    size_t name_len = strlen(name);
    uint64_t count = bytes_max / RI_SET_BYTES;
    memory_shelf *shelf = count <= SIZE_MAX ? ri_alloc_zero(sizeof *shelf + name_len + 1) : NULL;
    uint8_t **blocks = shelf != NULL ? ri_alloc_array((size_t)count, sizeof *blocks) : NULL;
    if (blocks == NULL) {
        ri_free(shelf);
        return NULL;
    }
    for (uint64_t i = 0; i < count; i++) {
        blocks[i] = NULL;
    }
    memcpy(shelf->name, name, name_len + 1);
    ri_mutex_init(&shelf->lock);
    shelf->blocks = blocks;
    shelf->sets = (ri_sets){ shelf, memory_read, memory_write, count };
    return shelf;
}

/* The registry is locked. A name that is empty belongs to nobody else. */
static memory_shelf *find_or_make(const char *name, uint64_t bytes_max)
{
    memory_shelf *shelf = name[0] != '\0' ? registry.first : NULL;
    while (shelf != NULL && strcmp(shelf->name, name) != 0) {
        shelf = shelf->next;
    }
    if (shelf == NULL && (shelf = new_shelf(name, bytes_max)) != NULL && name[0] != '\0') {
        shelf->next = registry.first;
        registry.first = shelf;
    }
    if (shelf != NULL) {
        shelf->users++;
    }
    return shelf;
}

int ri_shelf_memory_open(const char *name, uint64_t bytes_max, ri_shelf *out, rille_err *err)
{
    ri_mutex_lock(&registry.lock);
    memory_shelf *shelf = find_or_make(name, bytes_max);
    ri_mutex_unlock(&registry.lock);
    *out = (ri_shelf){ shelf != NULL ? &memory_ops : NULL, shelf };
    return shelf != NULL ? RILLE_OK : ri_fail_nomem(err);
}
