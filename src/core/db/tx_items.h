/* SPDX-License-Identifier: MIT
 *
 * What messages call entities, and which items of the transaction data an error is about: it is told of the operations,
 * whose items are found when it has come to the top. For the files tx*.c.
 */
#ifndef RI_TX_ITEMS_H
#define RI_TX_ITEMS_H

#include "tx.h"

struct tx_op;
struct tx_resolver;

#define TX_SHOW_SIZE 160
/* "tempid \"ann\"", "an entity map without :db/id" */
const char *ri_tx_show_temp(const ri_tx *tx, uint32_t root, char *out, size_t size);
/* "entity 12", "entity 12 (tempid \"ann\")", "entity 12 (:color/red)" */
const char *ri_tx_show_entity(const struct tx_resolver *r, uint64_t e, char *out, size_t size);

/* How many operations came before each item of the transaction data. */
typedef struct tx_starts {
    uint32_t *at;
    size_t count;
    size_t cap;
    bool has_meta; /* the last of them is the options' meta */
} tx_starts;

/* What an error is about, for its message. */
typedef struct tx_blame {
    const struct tx_op *item; /* this one, or those: */
    unsigned kinds;           /* of operations: a bit for each tx_kind; 0: nothing is blamed */
    uint64_t word;            /* their entity */
    uint32_t slot;
    bool has_value; /* TX_ADD: of any entity, with this value */
    ri_value v;
} tx_blame;
#define TX_BLAME_ANY 0xffU /* whatever has the word as its entity or as its value */
#define TX_BLAME_BOTH_WAYS (1U << TX_ADD | 1U << TX_RETRACT | 1U << TX_RETRACT_ALL | 1U << TX_RETRACT_ENTITY)

/* The error that is set next, or was just set, is about operations of these kinds. v NULL: of the entity. */
void ri_tx_blame(struct tx_resolver *r, unsigned kinds, uint64_t word, uint32_t slot, const ri_value *v);
/* Puts the numbers of the blamed items before the message. */
void ri_tx_name_items(struct tx_resolver *r);

#endif
