/* SPDX-License-Identifier: MIT
 *
 * The node cache: decoded objects by address, within a budget of bytes. 16 shards, each with its own lock, a small
 * probationary FIFO and a main FIFO with a visited bit (S3-FIFO: Yang et al., SOSP 2023), so that one long scan does
 * not throw out the branches. Objects in use are kept alive by their reference, not by the cache.
 */
#ifndef RI_CACHE_H
#define RI_CACHE_H

#include "store.h"

typedef struct ri_cache ri_cache;

int ri_cache_new(size_t bytes_max, ri_cache **out, rille_err *err);
void ri_cache_release(ri_cache *cache);
/* A reference of the caller's, or NULL. */
ri_object *ri_cache_get(ri_cache *cache, const uint8_t addr[RI_HASH_SIZE]);
/* Takes a reference of its own. When the address is there already, nothing changes. Failing to insert is no failure. */
void ri_cache_put(ri_cache *cache, const uint8_t addr[RI_HASH_SIZE], ri_object *object);
void ri_cache_stats(ri_cache *cache, uint64_t *hits, uint64_t *misses, uint64_t *bytes);

#endif
