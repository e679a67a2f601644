/* SPDX-License-Identifier: MIT */
#include "novelty.h"

void ri_novelty_copy(const ri_novelty *from, ri_novelty *to)
{
    for (int o = 0; o < RI_NOVELTY_ORDERS; o++) {
        ri_set_node *set = atomic_load_explicit(&from->set[o], memory_order_acquire);
        atomic_init(&to->set[o], ri_set_retain(set));
    }
    to->last = ri_block_retain(from->last);
    to->datom_count = from->datom_count;
}

void ri_novelty_deinit(ri_novelty *novelty)
{
    for (int o = 0; o < RI_NOVELTY_ORDERS; o++) {
        ri_set_release(atomic_load_explicit(&novelty->set[o], memory_order_acquire));
        atomic_init(&novelty->set[o], NULL);
    }
    ri_block_release(novelty->last);
    novelty->last = NULL;
    novelty->datom_count = 0;
}

/* ---- sets of blocks ---- */

/* A reference to the block's set, or NULL. */
static ri_set_node *block_set(ri_block *block, ri_order order)
{
    if (atomic_load_explicit(&block->set[order], memory_order_relaxed) == NULL) {
        return NULL; /* most blocks */
    }
    ri_mutex_lock(&block->lock);
    ri_set_node *set = ri_set_retain(atomic_load_explicit(&block->set[order], memory_order_relaxed));
    ri_mutex_unlock(&block->lock);
    return set;
}

/* Puts a set where there is none, or takes it away (NULL). */
static void set_block_set(ri_block *block, ri_order order, ri_set_node *set)
{
    ri_set_node *old = NULL;
    ri_mutex_lock(&block->lock);
    ri_set_node *here = atomic_load_explicit(&block->set[order], memory_order_relaxed);
    if (set == NULL || here == NULL) {
        old = here;
        atomic_store_explicit(&block->set[order], ri_set_retain(set), memory_order_relaxed);
    }
    ri_mutex_unlock(&block->lock);
    ri_set_release(old);
}

void ri_novelty_add(ri_novelty *novelty, ri_block *block, ri_schema *schema)
{
    bool linked = block->schema != NULL; /* already: views of the past; others may read it */
    ri_block *prev = novelty->last;
    for (int o = 0; o < RI_NOVELTY_ORDERS; o++) { /* the next value's sets are made from this one's */
        ri_set_node *set = atomic_load_explicit(&novelty->set[o], memory_order_acquire);
        if (set != NULL) {
            set_block_set(prev, (ri_order)o, set);
            ri_set_release(set);
            atomic_init(&novelty->set[o], NULL);
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
}

/* ---- making a set ---- */

static bool belongs(const ri_block *block, const ri_datom *d, ri_order order)
{
    if (order <= RI_AEVT) {
        return true;
    }
    const ri_attr *attr = ri_schema_attr_by_id(block->schema, d->a);
    return attr != NULL && ri_attr_in_order(attr, order);
}

/* The datoms of the blocks behind `from` up to `last`, oldest first, at the end of keys[0..cap). Gives where they
 * begin. */
static size_t gather(const ri_block *from, const ri_block *last, ri_order order, ri_set_key *keys, size_t cap)
{
    size_t at = cap;
    for (const ri_block *b = last; b != from; b = b->prev) {
        for (size_t i = b->count; i > 0; i--) {
            const ri_datom *d = &b->datoms[i - 1];
            if (belongs(b, d, order)) {
                keys[--at] = (ri_set_key){ ri_set_prefix(order, d), ri_item_new(d) };
            }
        }
    }
    return at;
}

/* `base` is the set of the chain up to `from`; NULL and NULL: nothing. */
static ri_set_node *extend(const ri_set_node *base, const ri_block *from, const ri_block *last, ri_order order)
{
    size_t cap = (size_t)(last->chain_count - (from == NULL ? 0 : from->chain_count));
    ri_set_key *keys = ri_alloc_array(cap, 2 * sizeof *keys);
    if (keys == NULL) {
        return NULL;
    }
    size_t at = gather(from, last, order, keys, cap);
    bool distinct = ri_set_sort(order, keys + at, keys + cap, cap - at);
    ri_set_node *set = ri_set_merge(base, order, keys + at, cap - at, distinct);
    ri_free(keys);
    return set;
}

/* A reference to the set of the chain up to `last`, made if there is none. NULL: no memory. */
static ri_set_node *chain_set(ri_block *last, ri_order order)
{
    ri_block *from = last;
    ri_set_node *base = NULL;
    while (from != NULL && (base = block_set(from, order)) == NULL) {
        from = from->prev;
    }
    if (from == last) {
        return base;
    }
    ri_set_node *set = extend(base, from, last, order);
    ri_set_release(base);
    if (set != NULL) {
        set_block_set(last, order, set);
        if (from != NULL && from->chain_count / RI_NOVELTY_STRIDE == last->chain_count / RI_NOVELTY_STRIDE) {
            set_block_set(from, order, NULL);
        }
    }
    return set;
}

int ri_novelty_set(const ri_novelty *novelty, ri_order order, const ri_set_node **out, rille_err *err)
{
    _Atomic(ri_set_node *) *place = &((ri_novelty *)(uintptr_t)novelty)->set[order]; /* what it caches may change */
    ri_set_node *set = atomic_load_explicit(place, memory_order_acquire);
    *out = set;
    if (set != NULL || novelty->last == NULL) {
        return 0;
    }
    ri_set_node *made = chain_set(novelty->last, order);
    if (made == NULL) {
        return ri_fail_nomem(err);
    }
    if (!atomic_compare_exchange_strong_explicit(place, &set, made, memory_order_acq_rel, memory_order_acquire)) {
        ri_set_release(made); /* another thread was first */
        made = set;
    }
    *out = made;
    return 0;
}
