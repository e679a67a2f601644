/* SPDX-License-Identifier: MIT
 *
 * The hash table of sets and indexes: the rows of a table by the hash of their keys, one row a key. Linear probing, in
 * the order of the hashes: the first place to look at is the hash's upper bits.
 *
 * It grows in slices, so that no row is ever added at the price of all others. When it is half full, a table twice as
 * large is begun beside it, and each reservation clears and fills some more of that; before the old one is three
 * quarters full, the new one takes its place:
 *
 *     slots   |a b . c . . d . e|           looked up, added to
 *              moved ->
 *     next    |a . b . . . c . . . . . ...  has what stands below `moved` in slots
 *
 * Both are in the order of the hashes, so moving goes through both from start to end.
 *
 * Invariants: (H1) A key stands at its first place, or behind it with no empty slot between. (H2) `next` has exactly
 * the keys in the slots [0, moved).
 *
 * Cost: O(1) a key, one cache miss; 12 to 24 bytes a key, and twice that again while it grows.
 */
#ifndef RI_SLOTS_H
#define RI_SLOTS_H

#include "meter.h"

typedef struct ri_slot {
    uint32_t tag; /* 32 bits of the hash */
    uint32_t row; /* row + 1; 0: empty */
} ri_slot;

typedef struct ri_slots {
    ri_slot *slots;
    size_t cap; /* a power of two, or 0 */
    size_t count;
    ri_slot *next;  /* 2 * cap, or NULL */
    size_t cleared; /* of next */
    size_t moved;   /* of slots */
} ri_slots;

void ri_slots_deinit(ri_slots *slots, ri_meter *meter);
/* Forgets all keys. */
void ri_slots_clear(ri_slots *slots, ri_meter *meter);
/* Room for `more` keys (a few hundred at most). False: no memory. */
bool ri_slots_reserve(ri_slots *slots, ri_meter *meter, uint32_t more);
size_t ri_slots_bytes(const ri_slots *slots);

/* The first place of a tag, and the place after another. */
static inline size_t ri_slots_first(size_t cap, uint32_t tag)
{
    return (size_t)((uint64_t)tag * cap >> 32);
}
static inline size_t ri_slots_after(size_t cap, size_t at)
{
    return (at + 1) & (cap - 1);
}
/* Puts a key into an empty slot, for which there is room. */
void ri_slots_add(ri_slots *slots, size_t at, uint32_t tag, uint32_t row);
/* Puts another row of the same key into a slot. */
void ri_slots_replace(ri_slots *slots, size_t at, uint32_t row);

#endif
