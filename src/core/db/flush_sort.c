/* SPDX-License-Identifier: MIT
 *
 * How a flush sorts (set_runs.c) the datoms of an order that nobody has read since the base. Where somebody has, there is
 * a set of them already, but for the newest (flush.c).
 */
#include "flush_own.h"

#include <string.h>

#define RUN RI_FLUSH_PORTION
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

int ri_flush_sort(ri_flush *f, ri_order order, rille_err *err)
{
    ri_set_runs *sort = &f->sort;
    if (sort->to == NULL && sort->count > 1) {
        sort->to = ri_alloc_array(sort->count, sizeof *sort->to);
        if (sort->to == NULL) {
            return ri_fail_nomem(err);
        }
    }
    return ri_set_runs_sort(sort, order, 4 * (size_t)RUN) ? RILLE_AGAIN : 0;
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
    bool puts = ri_item_shown(keys[at].item); /* a new item of what is asserted is; the datom need not be looked at */
    if (at == 0 || !same_fact(order, &keys[at - 1], &keys[at])) {
        f->changes[f->change_count++] = ri_change_of(d, puts);
    } else if (ri_change_puts(f->changes[f->change_count - 1]) != puts) {
        f->changes[f->change_count - 1] = ri_change_of(d, puts);
    }
}

int ri_flush_take_sorted(ri_flush *f, ri_order order, rille_err *err)
{
    ri_set_runs *sort = &f->sort;
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
    ri_free_sized(f->sort.from, f->sort.count * sizeof *f->sort.from);
    ri_free_sized(f->sort.to, f->sort.count * sizeof *f->sort.to);
    f->sort = (ri_set_runs){ 0 };
}
