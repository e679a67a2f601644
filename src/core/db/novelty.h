/* SPDX-License-Identifier: MIT
 *
 * The datoms since the base, as persistent sorted sets in memory: one B+tree of small reference-counted nodes an order.
 * A new commit makes a new novelty that shares all but O(log n) nodes with the old one; nodes that only one holder sees
 * are changed in place.
 *
 * An item is a datom with a delta: +1 it is not in the base, 0 it hides an equal datom of the base (a new t, or a
 * retraction of what the base never had), -1 it retracts a datom of the base. Equality is by (e, a, v): in a merge with
 * the base an item hides the base's equal datom, and is itself shown when datom->added. Sums of deltas give exact
 * counts.
 */
#ifndef RI_NOVELTY_H
#define RI_NOVELTY_H

#include "block.h"
#include "schema.h"

#define RI_NOVELTY_ORDERS 4 /* EAVT, AEVT, AVET, VAET */

typedef struct ri_item {
    uint64_t bits; /* pointer to the datom | delta + 1 */
} ri_item;
static inline const ri_datom *ri_item_datom(ri_item item)
{
    return (const ri_datom *)(uintptr_t)(item.bits & ~(uint64_t)7);
}
static inline int ri_item_delta(ri_item item)
{
    return (int)(item.bits & 7) - 1;
}

typedef struct ri_set_node ri_set_node;

typedef struct ri_novelty {
    ri_set_node *root[RI_NOVELTY_ORDERS]; /* NULL: empty */
    ri_block *last;                       /* newest block; holds the datoms' memory */
    uint64_t count;                       /* items in EAVT */
    uint64_t datom_count;                 /* of all blocks: what a flush must log */
} ri_novelty;                             /* a value: copy with ri_novelty_copy */

void ri_novelty_copy(const ri_novelty *from, ri_novelty *to);
void ri_novelty_deinit(ri_novelty *novelty);
/* Adds a block (takes a reference; block->prev becomes the novelty's last, or is it already). Blocks come in the order
 * of their t, and are consistent: an assertion that the novelty knows nothing of is not in the base, a retraction that
 * it knows nothing of is. On failure the novelty can only be deinit'ed. */
int ri_novelty_add(ri_novelty *novelty, ri_block *block, const ri_schema *schema, rille_err *err);

/* A position in one order. Borrowed from the novelty. */
typedef struct ri_set_cursor {
    const ri_set_node *path[12];
    uint16_t slot[12];
    uint8_t order;
    int8_t depth; /* -1: past the end */
} ri_set_cursor;
void ri_set_seek(ri_set_cursor *cursor, const ri_novelty *novelty, ri_order order, const ri_bound *bound);
static inline bool ri_set_at_end(const ri_set_cursor *cursor)
{
    return cursor->depth < 0;
}
ri_item ri_set_item(const ri_set_cursor *cursor);
void ri_set_next(ri_set_cursor *cursor);
/* The sum of deltas of items before the cut: what the novelty adds to a rank. */
int64_t ri_set_rank(const ri_novelty *novelty, ri_order order, const ri_bound *bound);
/* The item with d's (e, a, v), if any. */
bool ri_set_find(const ri_novelty *novelty, const ri_datom *d, ri_item *out);

#endif
