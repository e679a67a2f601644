/* SPDX-License-Identifier: MIT
 *
 * The datoms since the base: a chain of blocks, and for each order, from the first time that it is read on, the set of
 * their items (set.h).
 *
 * A value of the database holds the sets it has read. Besides, a block holds the set of the chain up to itself, if it
 * is the newest that was made: the set of a later value is made from it and what was added since, whichever value the
 * earlier one was made for, and then moves on to the later block. Every RI_NOVELTY_STRIDE datoms one stays behind, so
 * that values of the past need not begin with nothing.
 *
 *   block      1 - 2 - 3 - 4 - 5 - 6 - 7        value at 7 reads avet: merges blocks 5 to 7 into the set of 4
 *   avet set               4 - - - - > 7
 *
 * A read of a short range need not wait for a set: it looks through the blocks that have none behind them yet. If none of
 * their datoms is in the range, the earlier set answers; few make a set of the range alone. When such reads have looked
 * at RI_NOVELTY_WALKS times as many datoms as a set would be made of, the set is made.
 *
 * Cost: adding a block O(1); a short range without a set 2 to 5 ns per new datom; the first read of an order O(n log n) of what is new. A value whose blocks have no set
 * behind them begins at the newest stride.
 * Threads: a novelty may be read by several threads; a block's sets are under the lock of its memory.
 */
#ifndef RI_NOVELTY_H
#define RI_NOVELTY_H

#include "block.h"
#include "schema.h"
#include "set.h"

#define RI_NOVELTY_STRIDE 16384U
#define RI_NOVELTY_WALKS 4U
#define RI_NOVELTY_WALKED_MIN 1024U /* datoms: about what it costs to add a few to a set */

typedef struct ri_novelty {
    _Atomic(ri_set_node *) set[RI_NOVELTY_ORDERS]; /* NULL: not read yet */
    atomic_uint walked[RI_NOVELTY_ORDERS];         /* datoms that reads without a set looked at, since there was one */
    atomic_uint behind[RI_NOVELTY_ORDERS];         /* ... and by the last of these reads */
    ri_block *last;                                /* newest block; holds the datoms' memory */
    uint64_t datom_count;                          /* of all blocks: what a flush must log */
    uint64_t claim;                                /* datom_count when a writer last began a flush; 0: none has */
} ri_novelty;                                      /* a value: copy with ri_novelty_copy */

void ri_novelty_copy(const ri_novelty *from, ri_novelty *to);
void ri_novelty_deinit(ri_novelty *novelty);
/* Adds a block (takes a reference; block->prev becomes the novelty's last, or is it already). Blocks come in the order
 * of their t, and are consistent: an assertion that the novelty knows nothing of is not in the base, a retraction that
 * it knows nothing of is. The schema is the one after the block. */
void ri_novelty_add(ri_novelty *novelty, ri_block *block, ri_schema *schema);
/* The set of an order, borrowed; NULL when there are no datoms. Only the first call for an order can take long or
 * fail. In a task that may pause it takes a portion further, and gives RILLE_NEED until it is there: so do all reads. */
int ri_novelty_set(const ri_novelty *novelty, ri_order order, const ri_set_node **out, rille_err *err);
/* A set that holds what the novelty has between two cuts, and perhaps more outside of them. *out is borrowed from the
 * novelty or from *hold, a reference (or NULL) to be released after it. */
int ri_novelty_between(const ri_novelty *novelty, const ri_set_cut *from, const ri_set_cut *to, const ri_set_node **out,
                       ri_set_node **hold, rille_err *err);
/* Makes the set of the chain up to a block, from that of the newest block before it that has one. */
int ri_block_make_set(ri_block *block, ri_order order, rille_err *err);
/* The same: a reference to it (chain_set.c). */
int ri_chain_set(ri_block *last, ri_order order, ri_set_node **out, rille_err *err);
/* A reference to the set that a block has, or NULL. */
ri_set_node *ri_block_set(ri_block *block, ri_order order);
/* Puts a set where there is none, or takes it away (NULL). Without memory it is not kept, and made again. */
void ri_block_set_put(ri_block *block, ri_order order, ri_set_node *set);
bool ri_block_has_set(const ri_block *block, ri_order order);
/* The orders, 1 << order each, in which it or an earlier value of the chain was read: the next one is likely to be. Walks
 * all blocks. */
unsigned ri_novelty_read_orders(const ri_novelty *novelty);
/* Those in which the novelty itself has a set, or the block: what it is made of. */
unsigned ri_novelty_set_orders(const ri_novelty *novelty);
unsigned ri_block_set_orders(const ri_block *block);

#endif
