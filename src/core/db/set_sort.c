/* SPDX-License-Identifier: MIT
 *
 * Sorting keys for a set: by prefix with a radix sort over the bits that differ, then, among equal prefixes, by a merge
 * sort that compares datoms. Blocks come sorted by (e a v) and new entities have rising ids, so the merge sort mostly
 * finds its halves in order already.
 *
 * Keys of many small transactions are a few rising sequences, each through the others: of the new entities, of the
 * transactions themselves. They are dealt to these RUNS, which are merged, mostly one behind the other.
 *
 * Cost: 2 to 6 passes of a few ns a key; ties one comparison each when they are in order, else O(log n). A few runs: one
 * comparison a key, and copying.
 */
#include "set.h"

#include <string.h>

#define DIGIT_BITS 11U
#define DIGITS (1U << DIGIT_BITS)
#define RADIX_MIN 256U /* fewer are sorted by comparing alone */
#define INSERTION_MAX 12U
#define RUNS 8U
#define DEALT_MAX 4096U /* keys */

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

/* ---- a few runs ---- */

typedef struct runs {
    uint32_t count;
    uint32_t len[RUNS];
    uint8_t of_key[DEALT_MAX];
    bool distinct; /* no key is as one before it that was found by it */
} runs;

/* A key goes to the first run whose last key is not above it. So of equal keys none comes to an earlier run than the one
 * before it. False: there are more than RUNS. */
static bool deal(ri_order order, const ri_set_key *keys, size_t count, runs *out)
{
    ri_set_key last[RUNS];
    out->count = 0;
    out->distinct = true;
    for (size_t i = 0; i < count; i++) {
        uint32_t run = 0;
        int c = 1;
        while (run < out->count && (c = cmp_keys(order, &last[run], &keys[i])) > 0) {
            run++;
        }
        if (run == RUNS) {
            return false;
        }
        if (run == out->count) {
            out->len[out->count++] = 0;
        }
        out->distinct = out->distinct && c != 0;
        out->len[run]++;
        out->of_key[i] = (uint8_t)run;
        last[run] = keys[i];
    }
    return true;
}

/* How many sorted keys lie before another one, or (up_to) are equal to it. */
static size_t keys_before(ri_order order, const ri_set_key *keys, size_t count, const ri_set_key *other, bool up_to)
{
    const int max = up_to ? 0 : -1;
    size_t from = 0;
    size_t step = 1;
    while (from + step <= count && cmp_keys(order, &keys[from + step - 1], other) <= max) {
        from += step;
        step *= 2;
    }
    size_t to = from + step <= count ? from + step - 1 : count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (cmp_keys(order, &keys[middle], other) <= max) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

/* Merges two runs; of equal keys those of the first one come first. False: there are some. */
static bool merge_two(ri_order order, const ri_set_key *a, size_t a_count, const ri_set_key *b, size_t b_count,
                      ri_set_key *to)
{
    bool distinct = true;
    while (b_count > 0) {
        size_t few = keys_before(order, a, a_count, b, true);
        distinct = distinct && (few == 0 || cmp_keys(order, &a[few - 1], b) != 0);
        memcpy(to, a, few * sizeof *to);
        to += few;
        a += few;
        a_count -= few;
        few = a_count == 0 ? b_count : keys_before(order, b, b_count, a, false);
        memcpy(to, b, few * sizeof *to);
        to += few;
        b += few;
        b_count -= few;
    }
    memcpy(to, a, a_count * sizeof *to);
    return distinct;
}

/* Merges each two runs that lie side by side. */
static void merge_neighbours(ri_order order, runs *r, const ri_set_key *from, ri_set_key *to)
{
    uint32_t left = 0;
    for (uint32_t run = 0; run < r->count; run += 2) {
        uint32_t next = run + 1 < r->count ? r->len[run + 1] : 0;
        r->distinct = merge_two(order, from, r->len[run], from + r->len[run], next, to) && r->distinct;
        r->len[left] = r->len[run] + next;
        from += r->len[left];
        to += r->len[left];
        left++;
    }
    r->count = left;
}

/* False: the keys are not a few runs. */
static bool sort_runs(ri_order order, ri_set_key *keys, ri_set_key *other, size_t count, bool *distinct)
{
    runs r;
    if (count > DEALT_MAX || !deal(order, keys, count, &r)) {
        return false;
    }
    if (r.count > 1) {
        ri_set_key *ends[RUNS];
        for (uint32_t run = 0; run < r.count; run++) {
            ends[run] = run == 0 ? other : ends[run - 1] + r.len[run - 1];
        }
        for (size_t i = 0; i < count; i++) {
            *ends[r.of_key[i]]++ = keys[i];
        }
        ri_set_key *from = other;
        ri_set_key *to = keys;
        while (r.count > 1) {
            merge_neighbours(order, &r, from, to);
            ri_set_key *swap = from;
            from = to;
            to = swap;
        }
        if (from != keys) {
            memcpy(keys, from, count * sizeof *keys);
        }
    }
    *distinct = r.distinct;
    return true;
}

bool ri_set_sort(ri_order order, ri_set_key *keys, ri_set_key *other, size_t count)
{
    bool distinct = true;
    if (count < RADIX_MIN || count > UINT32_MAX) {
        return merge_sort(order, keys, other, count);
    }
    if (sort_runs(order, keys, other, count, &distinct)) {
        return distinct;
    }
    radix_sort(keys, other, count);
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
