/* SPDX-License-Identifier: MIT
 *
 * Operations by (e, slot, v).
 *
 * Front ends speak of one entity after the other, so mostly the operations lie in the order of e already, or nearly.
 * First by e: nothing to do when sorted; else, few by merging, many by a radix sort over the bytes in which ids differ.
 * Then within each entity by (slot, v), which is a handful: insertion, or merging when it is more.
 *
 * Every step is stable. Cost: sorted input is one pass; else O(n) moves of 32 bytes for each byte of e that differs,
 * and scratch memory for a second copy.
 */
#include "tx_inside.h"

#define RADIX_COUNT_MIN 512U
#define RADIX_BITS 8
#define RADIX_SIZE (1U << RADIX_BITS)
#define INSERTION_COUNT_MAX 16U

static inline int cmp_values(const ri_value *a, const ri_value *b)
{
    if (a->type == b->type && (a->type == RI_REF || a->type == RI_LONG)) {
        uint64_t flip = a->type == RI_LONG ? UINT64_C(1) << 63 : 0;
        uint64_t x = a->as.u ^ flip;
        uint64_t y = b->as.u ^ flip;
        return (x > y) - (x < y);
    }
    return ri_value_cmp(a, b);
}

int ri_tx_op_cmp_in_entity(const tx_op *a, const tx_op *b)
{
    uint32_t slot_a = tx_op_slot(a);
    uint32_t slot_b = tx_op_slot(b);
    return slot_a != slot_b ? (slot_a < slot_b ? -1 : 1) : cmp_values(&a->v, &b->v);
}

static int cmp_entities(const tx_op *a, const tx_op *b)
{
    return (a->e > b->e) - (a->e < b->e);
}

typedef int (*cmp_fn)(const tx_op *a, const tx_op *b);

static void insertion_sort(tx_op *ops, size_t count, cmp_fn cmp)
{
    for (size_t i = 1; i < count; i++) {
        if (cmp(&ops[i - 1], &ops[i]) <= 0) {
            continue;
        }
        tx_op op = ops[i];
        size_t j = i;
        for (; j > 0 && cmp(&ops[j - 1], &op) > 0; j--) {
            ops[j] = ops[j - 1];
        }
        ops[j] = op;
    }
}

/* Bottom-up; `other` has room for count operations. */
static void merge_sort(tx_op *ops, tx_op *other, size_t count, cmp_fn cmp)
{
    for (size_t i = 0; i < count; i += INSERTION_COUNT_MAX) {
        insertion_sort(ops + i, count - i < INSERTION_COUNT_MAX ? count - i : INSERTION_COUNT_MAX, cmp);
    }
    tx_op *from = ops;
    tx_op *to = other;
    for (size_t width = INSERTION_COUNT_MAX; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t mid = start + width < count ? start + width : count;
            size_t end = start + 2 * width < count ? start + 2 * width : count;
            size_t a = start;
            size_t b = mid;
            for (size_t k = start; k < end; k++) {
                bool first = a < mid && (b == end || cmp(&from[a], &from[b]) <= 0);
                to[k] = first ? from[a++] : from[b++];
            }
        }
        tx_op *swap = from;
        from = to;
        to = swap;
    }
    if (from != ops) {
        memcpy(ops, from, count * sizeof *ops);
    }
}

/* One counting pass an 8-bit digit, least significant first; digits that all ids share are skipped. */
static void radix_sort(tx_op *ops, tx_op *other, size_t count)
{
    uint64_t differing = 0;
    for (size_t i = 1; i < count; i++) {
        differing |= ops[i].e ^ ops[0].e;
    }
    tx_op *from = ops;
    tx_op *to = other;
    for (unsigned shift = 0; shift < 64; shift += RADIX_BITS) {
        if ((differing >> shift & (RADIX_SIZE - 1)) == 0) {
            continue;
        }
        size_t places[RADIX_SIZE] = { 0 };
        for (size_t i = 0; i < count; i++) {
            places[from[i].e >> shift & (RADIX_SIZE - 1)]++;
        }
        size_t place = 0;
        for (size_t digit = 0; digit < RADIX_SIZE; digit++) {
            size_t here = places[digit];
            places[digit] = place;
            place += here;
        }
        for (size_t i = 0; i < count; i++) {
            to[places[from[i].e >> shift & (RADIX_SIZE - 1)]++] = from[i];
        }
        tx_op *swap = from;
        from = to;
        to = swap;
    }
    if (from != ops) {
        memcpy(ops, from, count * sizeof *ops);
    }
}

/* Scratch memory is taken when it is needed first. */
static tx_op *room(tx_op **other, size_t count, ri_arena *scratch)
{
    if (*other == NULL) {
        *other = ri_arena_array(scratch, count, sizeof **other);
    }
    return *other;
}

int ri_tx_sort_entity(tx_op *ops, size_t count, tx_op **other, size_t other_count, ri_arena *scratch, rille_err *err)
{
    bool in_order = true;
    for (size_t i = 1; i < count && in_order; i++) {
        in_order = ri_tx_op_cmp_in_entity(&ops[i - 1], &ops[i]) <= 0;
    }
    if (in_order) {
        return RILLE_OK;
    }
    if (count <= INSERTION_COUNT_MAX) {
        insertion_sort(ops, count, ri_tx_op_cmp_in_entity);
    } else if (room(other, other_count, scratch) == NULL) {
        return ri_fail_nomem(err);
    } else {
        merge_sort(ops, *other, count, ri_tx_op_cmp_in_entity);
    }
    return RILLE_OK;
}

int ri_tx_sort(tx_op *ops, size_t count, ri_arena *scratch, rille_err *err)
{
    tx_op *other = NULL;
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++) {
        sorted = ops[i - 1].e <= ops[i].e;
    }
    if (!sorted && count <= INSERTION_COUNT_MAX) {
        insertion_sort(ops, count, cmp_entities);
    } else if (!sorted) {
        if (room(&other, count, scratch) == NULL) {
            return ri_fail_nomem(err);
        }
        if (count < RADIX_COUNT_MIN) {
            merge_sort(ops, other, count, cmp_entities);
        } else {
            radix_sort(ops, other, count);
        }
    }
    for (size_t start = 0, end; start < count; start = end) {
        for (end = start + 1; end < count && ops[end].e == ops[start].e;) {
            end++;
        }
        RI_TRY(ri_tx_sort_entity(ops + start, end - start, &other, count, scratch, err));
    }
    return RILLE_OK;
}
