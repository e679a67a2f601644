/* SPDX-License-Identifier: MIT */
#include "map.h"

#include "hash.h"
#include "mem.h"

#include <string.h>

void ri_map64_deinit(ri_map64 *map)
{
    ri_free(map->slots);
    ri_free(map->used);
    *map = (ri_map64){ 0 };
}

static size_t find64(const ri_map64 *map, uint64_t key)
{
    size_t i = (size_t)ri_keyed_word(key) & (map->cap - 1);
    while (map->used[i] && map->slots[2 * i] != key) {
        i = (i + 1) & (map->cap - 1);
    }
    return i;
}

uint64_t *ri_map64_get(const ri_map64 *map, uint64_t key)
{
    if (map->count == 0) {
        return NULL;
    }
    size_t i = find64(map, key);
    return map->used[i] ? &map->slots[2 * i + 1] : NULL;
}

static bool grow64(ri_map64 *map)
{
    ri_map64 bigger = { .cap = map->cap == 0 ? 16 : map->cap * 2, .count = map->count };
    bigger.slots = ri_alloc_array(bigger.cap, 2 * sizeof *bigger.slots);
    bigger.used = ri_alloc_zero(bigger.cap);
    if (bigger.slots == NULL || bigger.used == NULL) {
        ri_map64_deinit(&bigger);
        return false;
    }
    for (size_t i = 0; i < map->cap; i++) {
        if (map->used[i]) {
            size_t to = find64(&bigger, map->slots[2 * i]);
            bigger.used[to] = 1;
            bigger.slots[2 * to] = map->slots[2 * i];
            bigger.slots[2 * to + 1] = map->slots[2 * i + 1];
        }
    }
    ri_map64_deinit(map);
    *map = bigger;
    return true;
}

uint64_t *ri_map64_put(ri_map64 *map, uint64_t key, bool *added)
{
    if ((map->count + 1) * 4 > map->cap * 3 && !grow64(map)) {
        return NULL;
    }
    size_t i = find64(map, key);
    *added = !map->used[i];
    if (*added) {
        map->used[i] = 1;
        map->slots[2 * i] = key;
        map->slots[2 * i + 1] = 0;
        map->count++;
    }
    return &map->slots[2 * i + 1];
}

void ri_bytemap_deinit(ri_bytemap *map)
{
    ri_free(map->slots);
    *map = (ri_bytemap){ 0 };
}

static ri_bytemap_slot *find_bytes(const ri_bytemap *map, const void *key, size_t len, uint32_t hash)
{
    size_t i = hash & (map->cap - 1);
    for (;;) {
        ri_bytemap_slot *slot = &map->slots[i];
        if (slot->key == NULL ||
            (slot->hash == hash && slot->len == len && (len == 0 || memcmp(slot->key, key, len) == 0))) {
            return slot;
        }
        i = (i + 1) & (map->cap - 1);
    }
}

uint64_t *ri_bytemap_get(const ri_bytemap *map, const void *key, size_t len)
{
    if (map->count == 0 || len > UINT32_MAX) {
        return NULL;
    }
    ri_bytemap_slot *slot = find_bytes(map, key, len, (uint32_t)ri_keyed_bytes(key, len, 0));
    return slot->key != NULL ? &slot->value : NULL;
}

static bool grow_bytes(ri_bytemap *map)
{
    ri_bytemap bigger = { .cap = map->cap == 0 ? 16 : map->cap * 2, .count = map->count };
    size_t size;
    if (!ri_mul_size(bigger.cap, sizeof *bigger.slots, &size) || (bigger.slots = ri_alloc_zero(size)) == NULL) {
        return false;
    }
    for (size_t i = 0; i < map->cap; i++) {
        if (map->slots[i].key != NULL) {
            size_t to = map->slots[i].hash & (bigger.cap - 1);
            while (bigger.slots[to].key != NULL) {
                to = (to + 1) & (bigger.cap - 1);
            }
            bigger.slots[to] = map->slots[i];
        }
    }
    ri_bytemap_deinit(map);
    *map = bigger;
    return true;
}

ri_bytemap_slot *ri_bytemap_put(ri_bytemap *map, const void *key, size_t len, bool *added)
{
    static const uint8_t empty[1];
    if (len > UINT32_MAX || ((map->count + 1) * 4 > map->cap * 3 && !grow_bytes(map))) {
        return NULL;
    }
    uint32_t hash = (uint32_t)ri_keyed_bytes(key, len, 0);
    ri_bytemap_slot *slot = find_bytes(map, key, len, hash);
    *added = slot->key == NULL;
    if (*added) {
        *slot = (ri_bytemap_slot){ .key = len == 0 ? empty : key, .len = (uint32_t)len, .hash = hash };
        map->count++;
    }
    return slot;
}
