/* SPDX-License-Identifier: MIT */
#include "novelty.h"

#include <limits.h>

void ri_novelty_copy(const ri_novelty *from, ri_novelty *to)
{
    for (int o = 0; o < RI_NOVELTY_ORDERS; o++) {
        ri_set_node *set = atomic_load_explicit(&from->set[o], memory_order_acquire);
        atomic_init(&to->set[o], ri_set_retain(set));
        atomic_init(&to->walked[o], atomic_load_explicit(&from->walked[o], memory_order_relaxed));
        atomic_init(&to->behind[o], atomic_load_explicit(&from->behind[o], memory_order_relaxed));
    }
    to->last = ri_block_retain(from->last);
    to->datom_count = from->datom_count;
    to->claim = from->claim;
}

void ri_novelty_deinit(ri_novelty *novelty)
{
    for (int o = 0; o < RI_NOVELTY_ORDERS; o++) {
        ri_set_release(atomic_load_explicit(&novelty->set[o], memory_order_acquire));
        atomic_init(&novelty->set[o], NULL);
    }
    ri_block_release(novelty->last);
    novelty->last = NULL;
    novelty->datom_count = novelty->claim = 0;
}

void ri_novelty_add(ri_novelty *novelty, ri_block *block, ri_schema *schema)
{
    bool linked = block->schema != NULL; /* already: views of the past; others may read it */
    ri_block *prev = novelty->last;
    for (int o = 0; o < RI_NOVELTY_ORDERS; o++) { /* the next value's sets are made from this one's */
        ri_set_node *set = atomic_load_explicit(&novelty->set[o], memory_order_acquire);
        if (set != NULL) {
            ri_block_set_put(prev, (ri_order)o, set);
            ri_set_release(set);
            atomic_init(&novelty->set[o], NULL);
            atomic_init(&novelty->walked[o], 0);
            atomic_init(&novelty->behind[o], 0);
        }
    }
    if (linked) {
        RI_ASSERT(block->prev == prev);
        ri_block_release(prev);
    } else {
        block->prev = prev; /* the novelty's reference moves into the block */
        block->schema = ri_schema_retain(schema);
        block->chain_count = block->count + (prev == NULL ? 0 : prev->chain_count);
    }
    novelty->last = ri_block_retain(block);
    novelty->datom_count += block->count;
    novelty->claim = block->claims_flush ? novelty->datom_count : novelty->claim;
}

/* ---- the set of an order ---- */

int ri_novelty_set(const ri_novelty *novelty, ri_order order, const ri_set_node **out, rille_err *err)
{
    _Atomic(ri_set_node *) *place = &((ri_novelty *)(uintptr_t)novelty)->set[order]; /* what it caches may change */
    ri_set_node *set = atomic_load_explicit(place, memory_order_acquire);
    *out = set;
    if (set != NULL || novelty->last == NULL) {
        return 0;
    }
    ri_set_node *made;
    RI_TRY(ri_chain_set(novelty->last, order, &made, err));
    if (!atomic_compare_exchange_strong_explicit(place, &set, made, memory_order_acq_rel, memory_order_acquire)) {
        ri_set_release(made); /* another thread was first */
        made = set;
    }
    *out = made;
    return 0;
}

/* ---- short ranges ---- */

#define BETWEEN_MAX 64U /* new datoms in a range, and items of the set before them, that are put together for it */

/* What a range has, oldest first: keys[at..BETWEEN_MAX), and behind them room for as many. */
typedef struct range {
    const ri_set_cut *from;
    const ri_set_cut *to;
    uint64_t e_min, e_max; /* outside of these a datom is outside of the range: most are, at first sight */
    uint32_t a_min, a_max;
    size_t at;
    ri_set_key keys[2 * BETWEEN_MAX];
} range;

static void range_init(range *r, const ri_set_cut *from, const ri_set_cut *to)
{
    const ri_bound *low = from->bound;
    const ri_bound *high = to->bound;
    bool by_e = from->order == RI_EAVT;
    bool by_a = from->order == RI_AEVT || from->order == RI_AVET;
    r->from = from;
    r->to = to;
    r->e_min = by_e && low->parts > 0 ? low->d.e : 0;
    r->e_max = by_e && high->parts > 0 ? high->d.e : UINT64_MAX;
    r->a_min = by_a && low->parts > 0 ? low->d.a : 0;
    r->a_max = by_a && high->parts > 0 ? high->d.a : UINT32_MAX;
    r->at = BETWEEN_MAX;
}

/* Its datoms are sorted by e. False: too many. */
static bool take_block(range *r, const ri_block *block)
{
    ri_order order = (ri_order)r->from->order;
    size_t i = block->datoms[0].e > r->e_max ? 0 : block->count;
    for (; i > 0 && block->datoms[i - 1].e >= r->e_min; i--) {
        const ri_datom *d = &block->datoms[i - 1];
        bool may_be = d->e <= r->e_max && d->a >= r->a_min && d->a <= r->a_max;
        if (!may_be || !ri_set_between(r->from, r->to, d) || !ri_schema_in_order(block->schema, d->a, order)) {
            continue;
        }
        if (r->at == 0) {
            return false;
        }
        r->keys[--r->at] = (ri_set_key){ ri_set_prefix(order, d), ri_item_new(d) };
    }
    return true;
}

/* Reads the blocks that no set has yet, and gives a reference to the set before them, if any. False: too many datoms,
 * or there is no such block. */
static bool take_blocks(range *r, const ri_novelty *novelty, ri_set_node **set)
{
    ri_order order = (ri_order)r->from->order;
    uint64_t count = 0;
    *set = NULL;
    for (ri_block *b = novelty->last; b != NULL && (*set = ri_block_set(b, order)) == NULL; b = b->prev) {
        count += b->count;
        if (!take_block(r, b)) {
            return false;
        }
    }
    count = count < UINT_MAX / 4 ? count : UINT_MAX / 4;
    ri_novelty *own =
        (ri_novelty *)(uintptr_t)novelty; /* what it counts may change; what another thread adds may be lost */
    unsigned walked = atomic_load_explicit(&own->walked[order], memory_order_relaxed);
    atomic_store_explicit(&own->behind[order], (unsigned)count, memory_order_relaxed);
    atomic_store_explicit(&own->walked[order], walked + (unsigned)count, memory_order_relaxed);
    return count > 0;
}

/* Did reads without a set cost less so far than making one? */
static bool may_walk(const ri_novelty *novelty, ri_order order)
{
    uint64_t behind = atomic_load_explicit(&novelty->behind[order], memory_order_relaxed);
    uint64_t walked = atomic_load_explicit(&novelty->walked[order], memory_order_relaxed);
    return walked <= RI_NOVELTY_WALKS * behind + RI_NOVELTY_WALKED_MIN && walked < UINT_MAX / 2;
}

/* The set of what lies between the cuts. RILLE_DONE: a set of everything has to be made. */
static int put_together(const ri_novelty *novelty, range *r, ri_set_node **out, rille_err *err)
{
    ri_order order = (ri_order)r->from->order;
    ri_set_node *part = NULL;
    ri_set_node *set;
    int rc = take_blocks(r, novelty, &set) ? 0 : RILLE_DONE;
    if (rc == 0 && r->at == BETWEEN_MAX) {
        *out = set; /* with what is outside */
        return 0;
    }
    rc = rc == 0 ? ri_set_part(set, r->from, r->to, BETWEEN_MAX, &part, err) : rc;
    if (rc == 0) {
        size_t count = BETWEEN_MAX - r->at;
        bool distinct = ri_set_sort(order, r->keys + r->at, r->keys + BETWEEN_MAX, count);
        *out = ri_set_merge(part, order, r->keys + r->at, count, distinct);
        rc = *out == NULL ? ri_fail_nomem(err) : 0;
    }
    ri_set_release(part);
    ri_set_release(set);
    return rc;
}

int ri_novelty_between(const ri_novelty *novelty, const ri_set_cut *from, const ri_set_cut *to, const ri_set_node **out,
                       ri_set_node **hold, rille_err *err)
{
    ri_order order = (ri_order)from->order;
    *hold = NULL;
    *out = atomic_load_explicit(&novelty->set[order], memory_order_acquire);
    if (*out != NULL || novelty->last == NULL) {
        return 0;
    }
    range r;
    range_init(&r, from, to);
    int rc = may_walk(novelty, order) ? put_together(novelty, &r, hold, err) : RILLE_DONE;
    *out = *hold;
    if (rc != RILLE_DONE) {
        return rc;
    }
    ri_novelty *own = (ri_novelty *)(uintptr_t)novelty;
    atomic_store_explicit(&own->walked[order], UINT_MAX / 2, memory_order_relaxed); /* while it is made in portions */
    return ri_novelty_set(novelty, order, out, err);
}

int ri_block_make_set(ri_block *block, ri_order order, rille_err *err)
{
    ri_set_node *set;
    RI_TRY(ri_chain_set(block, order, &set, err));
    ri_set_release(set);
    return 0;
}

unsigned ri_novelty_set_orders(const ri_novelty *novelty)
{
    unsigned orders = 0;
    for (int o = 0; o < RI_NOVELTY_ORDERS; o++) {
        _Atomic(ri_set_node *) *place = &((ri_novelty *)(uintptr_t)novelty)->set[o];
        orders |= (atomic_load_explicit(place, memory_order_acquire) != NULL ? 1U : 0U) << o;
    }
    return orders;
}

unsigned ri_novelty_read_orders(const ri_novelty *novelty)
{
    const unsigned all = (1U << RI_NOVELTY_ORDERS) - 1;
    unsigned orders = ri_novelty_set_orders(novelty);
    for (const ri_block *block = novelty->last; block != NULL && orders != all; block = block->prev) {
        orders |= ri_block_set_orders(block);
    }
    return orders;
}
