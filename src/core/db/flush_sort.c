/* SPDX-License-Identifier: MIT
 *
 * How a flush sorts: portions by set_sort.c, then these as runs, two and two. A key has the first bits of its datom's
 * place, so few datoms are looked at. Runs that follow each other are copied.
 *
 * So it sorts the datoms of an order that nobody has read since the base. Where somebody has, there is a set of them
 * already, but for the newest (flush.c).
 *
 * Cost: 100 to 200 instructions a datom. A step does about a portion.
 */
#include "flush_own.h"

#include <string.h>

#define RUN RI_FLUSH_PORTION
#define FEW 16U      /* keys of one run in a row are moved at once */
#define META_BITS 3U /* for the attributes of META */
_Static_assert(RI_A_META_PURGED - RI_A_META_COMMIT < 1U << META_BITS, "each of them is another number");

static uint64_t prefix_in_meta(const ri_datom *d)
{
    uint8_t head[8] = { 0 };
    if (d->v.len > 0) {
        memcpy(head, d->v.as.p, d->v.len < sizeof head ? d->v.len : sizeof head);
    }
    return (uint64_t)(d->a - RI_A_META_COMMIT) << (64 - META_BITS) | ri_load_be64(head) >> META_BITS;
}

static uint64_t prefix_of(ri_order order, const ri_datom *d)
{
    return order == RI_META ? prefix_in_meta(d) : ri_set_prefix(order == RI_RET ? RI_EAVT : order, d);
}

ri_set_key ri_flush_key(ri_order order, const ri_datom *d)
{
    return (ri_set_key){ prefix_of(order, d), ri_item_new(d) };
}

/* ---- runs ---- */

static size_t run_end(const ri_change_sort *sort, size_t start)
{
    return sort->count - start < sort->width ? sort->count : start + sort->width;
}

/* The two runs from `start` on. */
static void begin_pair(ri_change_sort *sort, size_t start)
{
    sort->start = sort->left = start;
    sort->right = run_end(sort, start);
}

static bool is_before(ri_order order, const ri_set_key *a, const ri_set_key *b)
{
    return a->prefix != b->prefix ? a->prefix < b->prefix
                                  : ri_datom_cmp(order, ri_item_datom(a->item), ri_item_datom(b->item)) < 0;
}

/* Moves keys of the two runs at hand, `moves` at most: the smaller first one, of equal ones the left one. Gives how many
 * it moved. */
static size_t merge_pair(ri_change_sort *sort, ri_order order, size_t moves)
{
    const ri_set_key *from = sort->from;
    size_t middle = run_end(sort, sort->start);
    size_t end = run_end(sort, middle);
    size_t left = sort->left;
    size_t right = sort->right;
    size_t at = left + right - middle;
    size_t stop = end - at < moves ? end : at + moves;
    size_t begun = at;
    bool apart = left < middle && right < end && !is_before(order, &from[right], &from[middle - 1]);
    while (!apart && at < stop && left < middle && right < end) {
        size_t few = stop - at < FEW ? stop - at : FEW;
        if (middle - left >= few && !is_before(order, &from[right], &from[left + few - 1])) {
            memcpy(sort->to + at, from + left, few * sizeof *from);
            at += few;
            left += few;
        } else if (end - right >= few && is_before(order, &from[right + few - 1], &from[left])) {
            memcpy(sort->to + at, from + right, few * sizeof *from);
            at += few;
            right += few;
        }
        for (size_t i = 0; i < few && at < stop && left < middle && right < end; i++) {
            sort->to[at++] = is_before(order, &from[right], &from[left]) ? from[right++] : from[left++];
        }
    }
    if (left < middle && (apart || right == end)) { /* what is left of a run follows as it is */
        size_t count = middle - left < stop - at ? middle - left : stop - at;
        memcpy(sort->to + at, from + left, count * sizeof *from);
        left += count;
        at += count;
    }
    if (left == middle && right < end) {
        size_t count = end - right < stop - at ? end - right : stop - at;
        memcpy(sort->to + at, from + right, count * sizeof *from);
        right += count;
        at += count;
    }
    sort->left = left;
    sort->right = right;
    return at - begun;
}

/* To the next two runs, or to runs of twice the width. */
static void end_pair(ri_change_sort *sort)
{
    size_t end = run_end(sort, run_end(sort, sort->start));
    if (end < sort->count) {
        begin_pair(sort, end);
        return;
    }
    ri_set_key *to = sort->to;
    sort->to = sort->from;
    sort->from = to;
    sort->width *= 2;
    begin_pair(sort, 0);
}

static void merge_runs(ri_change_sort *sort, ri_order order)
{
    size_t moves = 4 * RUN;
    while (moves > 0 && sort->width < sort->count) {
        moves -= merge_pair(sort, order, moves);
        if (sort->left + sort->right == run_end(sort, sort->start) + run_end(sort, run_end(sort, sort->start))) {
            end_pair(sort);
        }
    }
}

int ri_flush_sort(ri_flush *f, ri_order order, rille_err *err)
{
    ri_change_sort *sort = &f->sort;
    if (sort->to == NULL && sort->count > 1) {
        sort->to = ri_alloc_array(sort->count, sizeof *sort->to);
        if (sort->to == NULL) {
            return ri_fail_nomem(err);
        }
    }
    if (sort->sorted < sort->count) {
        size_t count = sort->count - sort->sorted < RUN ? sort->count - sort->sorted : RUN;
        (void)ri_set_sort(order, sort->from + sort->sorted, sort->to, count);
        sort->sorted += count;
        sort->width = RUN;
        begin_pair(sort, 0);
    } else {
        merge_runs(sort, order);
    }
    return sort->sorted < sort->count || sort->width < sort->count ? RILLE_AGAIN : 0;
}

/* ---- what is sorted becomes changes ---- */

/* Does the key say something of the fact that the one before it is about? */
static bool same_fact(ri_order order, const ri_set_key *before, const ri_set_key *key)
{
    return before->prefix == key->prefix &&
           ri_datom_cmp(order, ri_item_datom(before->item), ri_item_datom(key->item)) == 0;
}

/* Equal keys lie in the order of their time. Only inconsistent blocks say the same thing twice: the first one counts. */
static void take_key(ri_flush *f, ri_order order, const ri_set_key *keys, size_t at)
{
    const ri_datom *d = ri_item_datom(keys[at].item);
    if (at == 0 || !same_fact(order, &keys[at - 1], &keys[at])) {
        f->changes[f->change_count++] = ri_change_of(d, d->added);
    } else if (ri_change_puts(f->changes[f->change_count - 1]) != d->added) {
        f->changes[f->change_count - 1] = ri_change_of(d, d->added);
    }
}

int ri_flush_take_sorted(ri_flush *f, ri_order order, rille_err *err)
{
    ri_change_sort *sort = &f->sort;
    if (f->changes == NULL) {
        f->changes = ri_alloc_array(sort->count, sizeof *f->changes);
        if (f->changes == NULL) {
            return ri_fail_nomem(err);
        }
        sort->taken = 0;
    }
    size_t end = sort->count - sort->taken < RUN ? sort->count : sort->taken + RUN;
    for (; sort->taken < end; sort->taken++) {
        take_key(f, order, sort->from, sort->taken);
    }
    if (sort->taken < sort->count) {
        return RILLE_AGAIN;
    }
    ri_flush_end_sort(f);
    return 0;
}

void ri_flush_end_sort(ri_flush *f)
{
    ri_free(f->sort.from);
    ri_free(f->sort.to);
    f->sort = (ri_change_sort){ 0 };
}
