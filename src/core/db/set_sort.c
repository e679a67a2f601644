/* SPDX-License-Identifier: MIT
 *
 * Sorting keys for a set: by prefix with a radix sort over the bits that differ, then, among equal prefixes, by a merge
 * sort that compares datoms. Blocks come sorted by (e a v) and new entities have rising ids, so the merge sort mostly
 * finds its halves in order already.
 *
 * Cost: 2 to 6 passes of a few ns a key; ties one comparison each when they are in order, else O(log n).
 */
#include "set.h"

#include <string.h>

#define DIGIT_BITS 11U
#define DIGITS (1U << DIGIT_BITS)
#define RADIX_MIN 256U /* fewer are sorted by comparing alone */
#define INSERTION_MAX 12U

static inline int cmp_keys(ri_order order, const ri_set_key *a, const ri_set_key *b)
{
    if (a->prefix != b->prefix) {
        return a->prefix < b->prefix ? -1 : 1;
    }
    return ri_datom_cmp(order, ri_item_datom(a->item), ri_item_datom(b->item));
}

/* True when all keys are distinct: equal ones end up side by side, so they were compared with each other. */
static bool insertion_sort(ri_order order, ri_set_key *keys, size_t count)
{
    bool distinct = true;
    for (size_t i = 1; i < count; i++) {
        ri_set_key key = keys[i];
        size_t at = i;
        for (; at > 0; at--) {
            int c = cmp_keys(order, &keys[at - 1], &key);
            distinct = distinct && c != 0;
            if (c <= 0) {
                break;
            }
            keys[at] = keys[at - 1];
        }
        keys[at] = key;
    }
    return distinct;
}

static bool merge_sort(ri_order order, ri_set_key *keys, ri_set_key *other, size_t count)
{
    if (count <= INSERTION_MAX) {
        return insertion_sort(order, keys, count);
    }
    size_t half = count / 2;
    bool distinct = merge_sort(order, keys, other, half);
    distinct = merge_sort(order, keys + half, other, count - half) && distinct;
    int c = cmp_keys(order, &keys[half - 1], &keys[half]);
    if (c <= 0) {
        return distinct && c != 0;
    }
    memcpy(other, keys, half * sizeof *keys);
    size_t left = 0;
    size_t right = half;
    for (size_t at = 0; left < half; at++) {
        c = right == count ? -1 : cmp_keys(order, &other[left], &keys[right]);
        distinct = distinct && c != 0;
        keys[at] = c <= 0 ? other[left++] : keys[right++];
    }
    return distinct;
}

/* How many of the low bits, in whole digits, the keys are sorted by already; 64: by all. */
static unsigned sorted_bits(const ri_set_key *keys, size_t count)
{
    unsigned bits = 64;
    for (size_t i = 1; i < count && bits > 0; i++) {
        if ((keys[i - 1].prefix << (64 - bits)) > (keys[i].prefix << (64 - bits))) {
            bits = (bits - 1) / DIGIT_BITS * DIGIT_BITS;
            i = 0; /* what was in order by more bits may not be by these */
        }
    }
    return bits;
}

/* Stable, least digit first; digits in which all keys agree are left out, and those in front that are sorted: entities
 * in AEVT mostly are. */
static void radix_sort(ri_set_key *keys, ri_set_key *other, size_t count)
{
    uint64_t differ = 0;
    for (size_t i = 1; i < count; i++) {
        differ |= keys[i].prefix ^ keys[0].prefix;
    }
    ri_set_key *from = keys;
    ri_set_key *to = other;
    for (unsigned shift = sorted_bits(keys, count); shift < 64; shift += DIGIT_BITS) {
        uint32_t starts[DIGITS] = { 0 };
        uint32_t sum = 0;
        if ((differ >> shift & (DIGITS - 1)) == 0) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            starts[from[i].prefix >> shift & (DIGITS - 1)]++;
        }
        for (unsigned digit = 0; digit < DIGITS; digit++) {
            uint32_t here = starts[digit];
            starts[digit] = sum;
            sum += here;
        }
        for (size_t i = 0; i < count; i++) {
            to[starts[from[i].prefix >> shift & (DIGITS - 1)]++] = from[i];
        }
        ri_set_key *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys) {
        memcpy(keys, from, count * sizeof *keys);
    }
}

bool ri_set_sort(ri_order order, ri_set_key *keys, ri_set_key *other, size_t count)
{
    if (count < RADIX_MIN || count > UINT32_MAX) {
        return merge_sort(order, keys, other, count);
    }
    radix_sort(keys, other, count);
    bool distinct = true;
    for (size_t from = 0; from < count;) {
        size_t to = from + 1;
        while (to < count && keys[to].prefix == keys[from].prefix) {
            to++;
        }
        distinct = merge_sort(order, keys + from, other, to - from) && distinct;
        from = to;
    }
    return distinct;
}
