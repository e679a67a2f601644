/* SPDX-License-Identifier: MIT
 *
 * The node cache: S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache eviction, SOSP 2023)
 * by bytes. New objects enter the small queue (a tenth of the budget); those used again there move on to the main
 * queue when their turn comes, the others leave and are remembered by a ghost. What a ghost remembers enters the main
 * queue at once. In the main queue an object that was used goes round again, with one use less.
 *
 * A shard is an array of entries, linked into its two queues by number, and an open-addressing table of (hash, number).
 * Keys are hashes already, but nodes may be made so that these agree: a keyed hash of the first 8 bytes chooses shard
 * and place.
 *
 * (N1) An entry is in the table and in exactly one queue, or in the free list.
 * (N2) The sum of costs in both queues is `bytes`, at most bytes_max outside of a call.
 * (N3) Objects are released after the shard's lock: what they release in turn may come back here.
 *
 * Cost: a hit is a lock, one probe, one count; no queue is touched. A put is amortised O(1).
 */
#include "cache.h"

#include "../base/hash.h"
#include "../base/mem.h"

#include <stdlib.h>

#define SHARDS_MAX 16U
#define SHARD_BYTES_MIN ((size_t)1 << 20) /* a smaller budget has fewer shards, so that one node still fits */
#define GHOST_SLOTS_MIN 64U
#define GHOST_SLOTS_MAX 65536U
#define GHOST_OBJECT_BYTES 4096U /* what an object is taken to cost when the ghost is sized */
#define NO_ENTRY UINT32_MAX

/* 64 bytes, and what a hit reads in the first 48: malloc's blocks begin 16 bytes into a line. */
typedef struct cache_entry {
    uint8_t addr[RI_HASH_SIZE];
    ri_object *object;
    uint32_t next; /* towards the tail of its queue, or in the free list */
    _Alignas(16) size_t cost;
} cache_entry;

typedef struct cache_slot {
    uint64_t hash;
    uint32_t entry; /* NO_ENTRY: free */
} cache_slot;

typedef struct cache_queue {
    uint32_t head; /* the oldest */
    uint32_t tail;
    size_t bytes;
} cache_queue;

typedef struct cache_shard {
    _Alignas(64) atomic_flag lock; /* up to `misses`: what a hit needs, in one line */
    cache_slot *slots;
    size_t slot_cap;
    size_t count;
    cache_entry *entries;
    uint64_t hits;
    uint64_t misses;
    size_t entry_count; /* used so far, free ones among them */
    size_t entry_cap;
    uint32_t free_head;
    cache_queue small;
    cache_queue main;
    size_t bytes;
    size_t bytes_max;
    uint32_t *ghost; /* fingerprints by place; a later one overwrites */
    size_t ghost_cap;
} cache_shard;

/* Internally locked. */
struct ri_cache {
    size_t shard_count; /* a power of two */
    void *block;        /* of the shards, before alignment */
    cache_shard *shards;
};

/* ---- locking: held for some tens of nanoseconds ---- */

static void lock_shard(cache_shard *shard)
{
    unsigned spins = 0;
    while (atomic_flag_test_and_set_explicit(&shard->lock, memory_order_acquire)) {
        ri_spin(&spins);
    }
}

static void unlock_shard(cache_shard *shard)
{
    atomic_flag_clear_explicit(&shard->lock, memory_order_release);
}

static uint64_t hash_of(const uint8_t *addr)
{
    return ri_keyed_word(ri_load_u64(addr));
}

static cache_shard *shard_of(ri_cache *cache, uint64_t hash)
{
    return &cache->shards[(hash >> 58) & (cache->shard_count - 1)];
}

/* ---- making and freeing ---- */

static int init_shard(cache_shard *shard, size_t bytes_max)
{
    size_t ghost_cap = GHOST_SLOTS_MIN;
    while (ghost_cap < GHOST_SLOTS_MAX && ghost_cap * GHOST_OBJECT_BYTES < bytes_max) {
        ghost_cap *= 2;
    }
    atomic_flag_clear(&shard->lock);
    shard->bytes_max = bytes_max;
    shard->free_head = NO_ENTRY;
    shard->small = (cache_queue){ NO_ENTRY, NO_ENTRY, 0 };
    shard->main = (cache_queue){ NO_ENTRY, NO_ENTRY, 0 };
    shard->ghost_cap = ghost_cap;
    shard->ghost = ri_alloc_zero(ghost_cap * sizeof *shard->ghost);
    return shard->ghost == NULL ? RILLE_NOMEM : RILLE_OK;
}

int ri_cache_new(size_t bytes_max, ri_cache **out, rille_err *err)
{
    *out = NULL;
    ri_cache *cache = ri_alloc_zero(sizeof *cache);
    if (cache == NULL) {
        return ri_fail_nomem(err);
    }
    size_t shard_count = 1;
    while (shard_count < SHARDS_MAX && bytes_max / (shard_count * 2) >= SHARD_BYTES_MIN) {
        shard_count *= 2;
    }
    cache->block = ri_alloc_zero(shard_count * sizeof *cache->shards + _Alignof(cache_shard));
    if (cache->block == NULL) {
        ri_free(cache);
        return ri_fail_nomem(err);
    }
    uintptr_t misaligned = (uintptr_t)cache->block % _Alignof(cache_shard);
    cache->shards = (cache_shard *)((uint8_t *)cache->block + (_Alignof(cache_shard) - misaligned));
    cache->shard_count = shard_count;
    for (size_t i = 0; i < shard_count; i++) {
        if (init_shard(&cache->shards[i], bytes_max / shard_count) != RILLE_OK) {
            ri_cache_release(cache);
            return ri_fail_nomem(err);
        }
    }
    *out = cache;
    return RILLE_OK;
}

void ri_cache_release(ri_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    for (size_t i = 0; i < cache->shard_count; i++) {
        cache_shard *shard = &cache->shards[i];
        for (size_t j = 0; j < shard->slot_cap; j++) {
            if (shard->slots[j].entry != NO_ENTRY) {
                ri_object_release(shard->entries[shard->slots[j].entry].object);
            }
        }
        ri_free(shard->slots);
        ri_free(shard->entries);
        ri_free(shard->ghost);
    }
    ri_free(cache->block);
    ri_free(cache);
}

/* ---- table ---- */

static bool same_addr(const uint8_t *a, const uint8_t *b)
{
    uint64_t differ = 0;
    for (size_t i = 0; i < RI_HASH_SIZE; i += 8) {
        differ |= ri_load_u64(a + i) ^ ri_load_u64(b + i);
    }
    return differ == 0;
}

static cache_slot *find_slot(const cache_shard *shard, uint64_t hash, const uint8_t *addr)
{
    size_t mask = shard->slot_cap - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        cache_slot *slot = &shard->slots[i];
        if (slot->entry == NO_ENTRY || (slot->hash == hash && same_addr(shard->entries[slot->entry].addr, addr))) {
            return slot;
        }
    }
}

static bool grow_table(cache_shard *shard)
{
    size_t cap = shard->slot_cap == 0 ? 64 : shard->slot_cap * 2;
    cache_slot *slots = ri_alloc_array(cap, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < cap; i++) {
        slots[i] = (cache_slot){ 0, NO_ENTRY };
    }
    for (size_t i = 0; i < shard->slot_cap; i++) {
        if (shard->slots[i].entry != NO_ENTRY) {
            size_t to = (size_t)shard->slots[i].hash & (cap - 1);
            while (slots[to].entry != NO_ENTRY) {
                to = (to + 1) & (cap - 1);
            }
            slots[to] = shard->slots[i];
        }
    }
    ri_free(shard->slots);
    shard->slots = slots;
    shard->slot_cap = cap;
    return true;
}

/* Closes the gap by moving later ones of the run back, so that no tombstones are needed. */
static void remove_slot(cache_shard *shard, cache_slot *slot)
{
    size_t mask = shard->slot_cap - 1;
    size_t gap = (size_t)(slot - shard->slots);
    for (size_t i = (gap + 1) & mask; shard->slots[i].entry != NO_ENTRY; i = (i + 1) & mask) {
        size_t home = (size_t)shard->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            shard->slots[gap] = shard->slots[i];
            gap = i;
        }
    }
    shard->slots[gap].entry = NO_ENTRY;
    shard->count--;
}

/* ---- queues ---- */

static void push(cache_shard *shard, cache_queue *queue, uint32_t number)
{
    cache_entry *entry = &shard->entries[number];
    entry->next = NO_ENTRY;
    if (queue->tail == NO_ENTRY) {
        queue->head = number;
    } else {
        shard->entries[queue->tail].next = number;
    }
    queue->tail = number;
    queue->bytes += entry->cost;
}

static uint32_t pop(cache_shard *shard, cache_queue *queue)
{
    uint32_t number = queue->head;
    cache_entry *entry = &shard->entries[number];
    queue->head = entry->next;
    if (queue->head == NO_ENTRY) {
        queue->tail = NO_ENTRY;
    }
    queue->bytes -= entry->cost;
    return number;
}

static uint32_t *ghost_of(cache_shard *shard, uint64_t hash)
{
    return &shard->ghost[(hash >> 20) & (shard->ghost_cap - 1)];
}

/* Never 0, which is a free place. */
static uint32_t fingerprint(uint64_t hash)
{
    return (uint32_t)hash | 1U;
}

/* Takes the entry out; its object goes to the list of what is released after the lock. */
static void evict(cache_shard *shard, uint32_t number, uint32_t *evicted)
{
    cache_entry *entry = &shard->entries[number];
    remove_slot(shard, find_slot(shard, hash_of(entry->addr), entry->addr));
    shard->bytes -= entry->cost;
    entry->next = *evicted;
    *evicted = number;
}

/* The one that leaves the small queue moves on or is gone. */
static void step_small(cache_shard *shard, uint32_t *evicted)
{
    uint32_t number = pop(shard, &shard->small);
    cache_entry *entry = &shard->entries[number];
    if (atomic_exchange_explicit(&entry->object->uses, 0, memory_order_relaxed) > 0) {
        push(shard, &shard->main, number);
        return;
    }
    uint64_t hash = hash_of(entry->addr);
    *ghost_of(shard, hash) = fingerprint(hash);
    evict(shard, number, evicted);
}

/* Takes one use away. */
static bool was_used(ri_object *object)
{
    unsigned char uses = atomic_load_explicit(&object->uses, memory_order_relaxed);
    if (uses > 0) {
        atomic_store_explicit(&object->uses, (unsigned char)(uses - 1), memory_order_relaxed);
    }
    return uses > 0;
}

static void step_main(cache_shard *shard, uint32_t *evicted)
{
    uint32_t number = pop(shard, &shard->main);
    cache_entry *entry = &shard->entries[number];
    if (was_used(entry->object)) {
        push(shard, &shard->main, number);
        return;
    }
    evict(shard, number, evicted);
}

static void make_room(cache_shard *shard, size_t cost, uint32_t *evicted)
{
    while (shard->count > 0 && shard->bytes + cost > shard->bytes_max) {
        if (shard->small.head != NO_ENTRY &&
            (shard->small.bytes > shard->bytes_max / 10 || shard->main.head == NO_ENTRY)) {
            step_small(shard, evicted);
        } else {
            step_main(shard, evicted);
        }
    }
}

/* ---- the two calls ---- */

ri_object *ri_cache_get(ri_cache *cache, const uint8_t addr[RI_HASH_SIZE])
{
    uint64_t hash = hash_of(addr);
    cache_shard *shard = shard_of(cache, hash);
    ri_object *object = NULL;
    lock_shard(shard);
    if (shard->count > 0) {
        const cache_slot *slot = find_slot(shard, hash, addr);
        if (slot->entry != NO_ENTRY) {
            object = shard->entries[slot->entry].object;
            ri_object_take(object);
            ri_object_use(object);
        }
    }
    shard->hits += object != NULL;
    shard->misses += object == NULL;
    unlock_shard(shard);
    return object;
}

/* A free entry, or NO_ENTRY when memory is out. */
static uint32_t new_entry(cache_shard *shard)
{
    uint32_t number = shard->free_head;
    if (number != NO_ENTRY) {
        shard->free_head = shard->entries[number].next;
        return number;
    }
    if (shard->entry_count >= NO_ENTRY || !RI_GROW(&shard->entries, &shard->entry_cap, shard->entry_count + 1)) {
        return NO_ENTRY;
    }
    return (uint32_t)shard->entry_count++;
}

static void insert(cache_shard *shard, uint64_t hash, const uint8_t *addr, ri_object *object, size_t cost,
                   uint32_t *evicted)
{
    if ((shard->count + 1) * 4 > shard->slot_cap * 3 && !grow_table(shard)) {
        return;
    }
    if (find_slot(shard, hash, addr)->entry != NO_ENTRY) {
        return;
    }
    make_room(shard, cost, evicted);
    uint32_t number = new_entry(shard);
    if (number == NO_ENTRY) {
        return;
    }
    cache_entry *entry = &shard->entries[number];
    *entry = (cache_entry){ .object = object, .cost = cost };
    memcpy(entry->addr, addr, RI_HASH_SIZE);
    *find_slot(shard, hash, addr) = (cache_slot){ hash, number };
    shard->count++;
    shard->bytes += cost;
    uint32_t *ghost = ghost_of(shard, hash);
    bool known = *ghost == fingerprint(hash);
    *ghost = known ? 0 : *ghost;
    atomic_store_explicit(&object->uses, 0, memory_order_relaxed);
    push(shard, known ? &shard->main : &shard->small, number);
    ri_object_take(object);
}

#define RELEASED_AT_ONCE 32U

/* Releases what was evicted, some at a time: entries may be used again as soon as the lock is left. */
static void release_evicted(cache_shard *shard, uint32_t *evicted, ri_object **objects, size_t *count)
{
    *count = 0;
    while (*evicted != NO_ENTRY && *count < RELEASED_AT_ONCE) {
        uint32_t number = *evicted;
        cache_entry *entry = &shard->entries[number];
        objects[(*count)++] = entry->object;
        *evicted = entry->next;
        entry->object = NULL;
        entry->next = shard->free_head;
        shard->free_head = number;
    }
}

void ri_cache_put(ri_cache *cache, const uint8_t addr[RI_HASH_SIZE], ri_object *object)
{
    uint64_t hash = hash_of(addr);
    cache_shard *shard = shard_of(cache, hash);
    size_t cost = object->mem_bytes + sizeof(cache_entry) + 2 * sizeof(cache_slot);
    if (cost < object->mem_bytes || cost > shard->bytes_max / 2) {
        return;
    }
    uint32_t evicted = NO_ENTRY;
    ri_object *objects[RELEASED_AT_ONCE];
    size_t count;
    lock_shard(shard);
    insert(shard, hash, addr, object, cost, &evicted);
    do {
        release_evicted(shard, &evicted, objects, &count);
        unlock_shard(shard);
        for (size_t i = 0; i < count; i++) {
            ri_object_release(objects[i]);
        }
        if (evicted != NO_ENTRY) {
            lock_shard(shard);
        }
    } while (evicted != NO_ENTRY);
}

void ri_cache_stats(ri_cache *cache, uint64_t *hits, uint64_t *misses, uint64_t *bytes)
{
    *hits = 0;
    *misses = 0;
    *bytes = 0;
    for (size_t i = 0; i < cache->shard_count; i++) {
        cache_shard *shard = &cache->shards[i];
        lock_shard(shard);
        *hits += shard->hits;
        *misses += shard->misses;
        *bytes += shard->bytes;
        unlock_shard(shard);
    }
}
