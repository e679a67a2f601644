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

static void free_keys(ri_flush *f)
{
    ri_free_sized(f->sort.from, f->sort.cap * sizeof *f->sort.from);
    ri_free_sized(f->sort.to, f->sort.cap * sizeof *f->sort.to);
    ri_free(f->run_of);
    f->run_of = NULL;
    f->sort = (ri_set_runs){ 0 };
}

bool ri_flush_begin_sort(ri_flush *f, size_t key_count)
{
    if (f->sort.cap < key_count || f->sort.from == NULL) {
        free_keys(f);
        f->sort.from = ri_alloc_array(key_count, sizeof *f->sort.from);
        f->sort.cap = f->sort.from == NULL ? 0 : key_count;
    }
    return f->sort.from != NULL;
}

/* As much room as the keys have. Without memory to note their runs, they are sorted in portions. */
static bool make_room(ri_flush *f)
{
    ri_set_runs *sort = &f->sort;
    if (sort->to == NULL) {
        sort->to = ri_alloc_array(sort->cap, sizeof *sort->to);
        f->run_of = ri_alloc(sort->cap);
    }
    if (sort->dealt == 0 && sort->sorted == 0) {
        sort->run_of = f->run_of;
    }
    return sort->to != NULL;
}

int ri_flush_sort(ri_flush *f, ri_order order, rille_err *err)
{
    if (f->sort.count <= 1) {
        return 0;
    }
    if (!make_room(f)) {
        return ri_fail_nomem(err);
    }
    return ri_set_runs_sort(&f->sort, order, 4 * (size_t)RUN) ? RILLE_AGAIN : 0;
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
    if (sort->taken == 0 && !ri_flush_reserve(f, sort->count)) {
        return ri_fail_nomem(err);
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
    if (f->extra != NULL) { /* a large one: that memory is dear */
        free_keys(f);
    }
    f->sort = (ri_set_runs){ .from = f->sort.from, .to = f->sort.to, .cap = f->sort.cap };
}

void ri_flush_free_arrays(ri_flush *f)
{
    free_keys(f);
    ri_free_sized(f->changes, f->changes_cap * sizeof *f->changes);
    f->changes = NULL;
    f->changes_cap = 0;
}
