/* SPDX-License-Identifier: MIT
 *
 * Two hash tables with open addressing: from a 64-bit number, and from bytes, to a 64-bit number.
 * Amortised O(1); nothing is ever removed. One thread at a time.
 */
#ifndef RI_MAP_H
#define RI_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ri_map64 {
    uint64_t *slots; /* key, value pairs */
    uint8_t *used;
    size_t count;
    size_t cap; /* a power of two, or 0 */
} ri_map64;     /* all zero is an empty map */

void ri_map64_deinit(ri_map64 *map);
/* The value's place, or NULL. Valid until the next put. */
uint64_t *ri_map64_get(const ri_map64 *map, uint64_t key);
/* The place of key's value; *added says that it is new (then 0). NULL when memory is out. */
uint64_t *ri_map64_put(ri_map64 *map, uint64_t key, bool *added);

typedef struct ri_bytemap_slot {
    const uint8_t *key; /* NULL: free */
    uint32_t len;
    uint32_t hash;
    uint64_t value;
} ri_bytemap_slot;

/* Keys are borrowed: they must live as long as the map. */
typedef struct ri_bytemap {
    ri_bytemap_slot *slots;
    size_t count;
    size_t cap;
} ri_bytemap;

void ri_bytemap_deinit(ri_bytemap *map);
uint64_t *ri_bytemap_get(const ri_bytemap *map, const void *key, size_t len);
/* On *added the slot borrows `key`; the caller may set slot->key to a copy of the same bytes. NULL: out of memory. */
ri_bytemap_slot *ri_bytemap_put(ri_bytemap *map, const void *key, size_t len, bool *added);

#endif
