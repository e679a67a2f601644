/* SPDX-License-Identifier: MIT
 *
 * Operations by (e, slot, v).
 *
 * Front ends speak of one entity after the other, so mostly the operations lie in the order of e already, or nearly.
 * First by e: nothing to do when sorted; else, few by merging, many by a radix sort over the bytes in which ids differ.
 * Then within each entity by (slot, v), which is a handful: insertion, or merging when it is more.
 *
 * Every step is stable. Cost: sorted input is one pass; else O(n) moves of 32 bytes for each byte of e that differs,
 * and scratch memory for a second copy. It pauses between slices of a pass of the radix sort, and between entities.
 */
#include "tx_resolver.h"

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

/* The radix sort: a counting pass and a moving pass for each digit, the least significant first. Digits that all ids
 * share are skipped. */
enum { SORT_LOOK, SORT_COUNT, SORT_MOVE, SORT_COPY, SORT_DONE };

static int note_differing(tx_resolver *r, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        r->sort.differing |= r->ops[i].e ^ r->ops[0].e;
    }
    return RILLE_OK;
}

static int count_digits(tx_resolver *r, size_t from, size_t to)
{
    tx_sort *s = &r->sort;
    for (size_t i = from; i < to; i++) {
        s->places[s->from[i].e >> s->shift & (RADIX_SIZE - 1)]++;
    }
    return RILLE_OK;
}

static int move_ops(tx_resolver *r, size_t from, size_t to)
{
    tx_sort *s = &r->sort;
    for (size_t i = from; i < to; i++) {
        s->to[s->places[s->from[i].e >> s->shift & (RADIX_SIZE - 1)]++] = s->from[i];
    }
    return RILLE_OK;
}

static int copy_back(tx_resolver *r, size_t from, size_t to)
{
    memcpy(r->ops + from, r->sort.from + from, (to - from) * sizeof *r->ops);
    return RILLE_OK;
}

static void counts_to_places(tx_sort *s)
{
    size_t place = 0;
    for (size_t digit = 0; digit < RADIX_SIZE; digit++) {
        size_t here = s->places[digit];
        s->places[digit] = place;
        place += here;
    }
}

/* The part behind one that is done. */
static void next_part(tx_resolver *r)
{
    tx_sort *s = &r->sort;
    if (s->part == SORT_COUNT) {
        counts_to_places(s);
        s->part = SORT_MOVE;
        return;
    }
    if (s->part == SORT_MOVE) {
        tx_op *swap = s->from;
        s->from = s->to;
        s->to = swap;
        s->shift += RADIX_BITS;
    }
    while (s->shift < 64 && (s->differing >> s->shift & (RADIX_SIZE - 1)) == 0) {
        s->shift += RADIX_BITS;
    }
    memset(s->places, 0, sizeof s->places);
    s->part = s->part == SORT_COPY ? SORT_DONE : s->shift < 64 ? SORT_COUNT : s->from != r->ops ? SORT_COPY : SORT_DONE;
}

static int radix_sort(tx_resolver *r)
{
    static int (*const parts[])(tx_resolver *, size_t, size_t) = {
        [SORT_LOOK] = note_differing, [SORT_COUNT] = count_digits, [SORT_MOVE] = move_ops, [SORT_COPY] = copy_back
    };
    while (r->sort.part != SORT_DONE) {
        RI_TRY(ri_tx_slices(r, r->op_count, TX_ITEM_WORK, parts[r->sort.part]));
        next_part(r);
    }
    return RILLE_OK;
}

/* Scratch memory is taken when it is needed first. */
static tx_op *room(tx_resolver *r)
{
    if (r->other == NULL) {
        r->other = ri_arena_array(&r->tx->scratch, r->other_count, sizeof *r->other);
    }
    return r->other;
}

int ri_tx_sort_entity(tx_resolver *r, tx_op *ops, size_t count)
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
    } else if (room(r) == NULL) {
        return ri_fail_nomem(r->err);
    } else {
        merge_sort(ops, r->other, count, ri_tx_op_cmp_in_entity);
    }
    return RILLE_OK;
}

int ri_tx_sort_by_entity(tx_resolver *r)
{
    if (r->sort.from == NULL) {
        bool sorted = true;
        r->other = NULL;
        r->other_count = r->op_count;
        for (size_t i = 1; i < r->op_count && sorted; i++) {
            sorted = r->ops[i - 1].e <= r->ops[i].e;
        }
        if (sorted) {
            return RILLE_OK;
        }
        if (r->op_count <= INSERTION_COUNT_MAX) {
            insertion_sort(r->ops, r->op_count, cmp_entities);
            return RILLE_OK;
        }
        if (room(r) == NULL) {
            return ri_fail_nomem(r->err);
        }
        if (r->op_count < RADIX_COUNT_MIN) {
            merge_sort(r->ops, r->other, r->op_count, cmp_entities);
            return RILLE_OK;
        }
        r->sort.from = r->ops;
        r->sort.to = r->other;
    }
    return radix_sort(r);
}
