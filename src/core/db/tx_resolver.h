/* SPDX-License-Identifier: MIT
 *
 * Resolving a transaction, from inside: for tx_resolve.c, tx_entities.c, tx_expand.c, tx_sort.c, tx_datoms.c, tx_turn.c
 * and, for messages, tx_items.c.
 */
#ifndef RI_TX_RESOLVER_H
#define RI_TX_RESOLVER_H

#include "tx_inside.h"

/* A value of a unique attribute that is asserted or looked up. */
typedef struct tx_key {
    uint64_t entity; /* word */
    ri_value v;
    uint32_t slot;
    uint32_t head;    /* the first key with this attribute and value; its own index in a head */
    uint64_t holder;  /* in a head: the entity that has it in the database before, 0: none */
    uint64_t subject; /* in a head: the first entity that gets it here, 0: none */
    bool lookup;
    bool asked; /* holder is known */
} tx_key;

/* What the items are as a whole. */
typedef struct tx_survey {
    size_t blob_count;
    size_t expand_count; /* retracted entities and components */
    bool plain;          /* tx_turn.c: nothing but additions to new entities, and nothing to decide among them */
    bool unsorted;       /* by entity */
    uint64_t before;     /* the entity of the item before, */
    uint64_t word;       /* as that item says it, */
    size_t first;        /* its first item in a row, */
    uint64_t slots;      /* and what slots those have, modulo 64 */
} tx_survey;

/* Sorting in slices (tx_sort.c). */
typedef struct tx_sort {
    tx_op *from;
    tx_op *to;
    uint64_t differing;
    unsigned shift; /* of the digit at hand */
    unsigned part;
    size_t places[256]; /* set before they are used */
} tx_sort;

/* Entities that are retracted with others, and what is left of them to do (tx_datoms.c). */
typedef struct tx_expansion {
    ri_map64 seen;
    uint64_t *todo;
    size_t todo_count;
    size_t todo_cap;
    uint64_t *later; /* those that lack a node, as do the first operations: for the next run */
    size_t later_count;
    size_t later_cap;
    size_t op_count;
} tx_expansion;

/* Resolving goes through phases (tx_resolve.c). Each does what is left of it, from `at` on, and pauses between slices. */
typedef struct tx_resolver {
    ri_tx *tx;
    const rille_db *db;
    ri_io *io;
    rille_err *err;
    unsigned phase;
    size_t at;
    uint64_t t;
    int64_t clock_ms;
    int64_t instant;
    uint64_t next_e;
    uint64_t next_attr;
    bool instant_given;
    bool need;   /* something must be read first: the rest is only looked through for more of that */
    bool paused; /* it is kept for the next run, which goes on */
    bool scan_open;
    bool instant_made;
    bool keys_are_heap;
    bool keys_are_there;
    bool keys_are_new; /* no two are the same, and none is held by an entity */
    bool passes;       /* a pass over the keys is at hand ... */
    bool backwards;    /* ... from the last one to the first ... */
    bool changed;      /* ... found out something */
    tx_key *keys;      /* scratch, or heap when they are many, as are the places */
    size_t key_count;
    uint32_t *places; /* index + 1 of a head; 0: free */
    size_t place_mask;
    uint8_t *slot_empty; /* per slot, NULL: not asked; 1: the attribute has datoms; 2: it has none */
    tx_op *ops;          /* heap; all of them, growing by retracted entities; or those of one entity */
    size_t op_count;
    size_t op_cap;
    tx_op *other; /* scratch, room for as many */
    size_t other_count;
    tx_op *expanded; /* scratch; of TX_RETRACT_ENTITY and TX_RETRACT_PARTS, known */
    size_t expanded_count;
    tx_expansion expansion;
    tx_survey survey;
    ri_block *block;
    struct ri_long_value *blobs; /* scratch */
    size_t blob_count;
    bool has_schema;
    ri_schema *schema; /* after it; a reference */
    struct ri_tempid *tempids;
    size_t tempid_count;
    ri_hasher digest;
    tx_blame blame; /* set with an error */
    tx_sort sort;
    ri_scan scan; /* EAVT */
} tx_resolver;

#define TX_RESOLVER_CLEARED (offsetof(tx_resolver, sort) + offsetof(tx_sort, places)) /* at its beginning */

/* Work of a pause (task.h): of a key that is looked up, of an item that is passed over, of a datom that is made. */
#define TX_KEY_WORK 256U
#define TX_ITEM_WORK 32U
#define TX_DATOM_WORK 96U

/* Does items [r->at, count) in slices, each of which f is given, then begins at 0 for the next phase. RILLE_NEED: paused.
 */
int ri_tx_slices(tx_resolver *r, size_t count, size_t item_work, int (*f)(tx_resolver *r, size_t from, size_t to));

/* An id that the database before knows nothing of. */
static inline bool tx_is_fresh(const tx_resolver *r, uint64_t e)
{
    if (e >= RI_EID_USER) {
        return e >= r->db->next_e && (e < RI_TX_BASE || e > r->db->t);
    }
    return e >= r->db->next_attr;
}

#define TX_INSTANT_SLOT (RI_A_TX_INSTANT - 1U) /* the engine's attributes come first, ids without gaps */

/* tx_resolve.c */
int ri_tx_fixed_instant(rille_err *err);

/* Ends it; its memory stays with the transaction. */
void ri_tx_resolver_release(tx_resolver *r);
void ri_tx_resolver_free(tx_resolver *r); /* which has ended */
/* Counts work that was done (task.h). True: return RILLE_NEED. */
bool ri_tx_pause(tx_resolver *r, size_t work);

/* Did a read, which gave rc, lack time? Then return RILLE_NEED at once: what was being made is made again. */
bool ri_tx_lacks_time(tx_resolver *r, int rc);

/* Phases: 0, RILLE_NEED when they paused, or an error. */

/* tx_entities.c */
uint32_t ri_tx_temp_root(ri_tx *tx, uint32_t temp);
int ri_tx_begin_temps(tx_resolver *r);
/* Finds out whether there is nothing to find out about keys. Sets r->need. */
int ri_tx_look_at_keys(tx_resolver *r);
/* Binds lookup refs and upserted tempids. Sets r->need. */
int ri_tx_bind_entities(tx_resolver *r);
/* Ids for new entities. */
int ri_tx_number_entities(tx_resolver *r);
/* After numbering: the id of a word; 0: a tempid that stands for nothing. */
static inline uint64_t ri_tx_entity_id(const tx_resolver *r, uint64_t word)
{
    if ((word & TX_TEMP) != 0) {
        uint32_t temp = (uint32_t)(word & TX_INDEX_MASK);
        const tx_temp *temps = r->tx->temps;
        return temps[temps[temp].parent == temp ? temp : ri_tx_temp_root(r->tx, temp)].e;
    }
    return word == TX_SELF ? r->t : word;
}
/* A word as far as it is known: an id, or the root of its tempids. */
uint64_t ri_tx_known_word(const tx_resolver *r, uint64_t word);
/* Unique values, against the datoms of the block. */
int ri_tx_check_unique(tx_resolver *r);
/* They are looked at no more. */
void ri_tx_forget_keys(tx_resolver *r);
/* After numbering: an item with ids in place of tempids. */
static inline tx_op tx_known_op(const tx_resolver *r, const tx_op *item)
{
    tx_op op = *item;
    op.e = ri_tx_entity_id(r, item->e);
    if (item->v.type == RI_REF) {
        op.v.as.u = ri_tx_entity_id(r, item->v.as.u);
    }
    return op;
}
/* What says when the transaction was made, where no item does. */
static inline tx_op tx_instant_op(const tx_resolver *r)
{
    return (tx_op){ .e = r->t,
                    .v = ri_word(RI_INSTANT, (uint64_t)r->instant),
                    .code = TX_INSTANT_SLOT << TX_SLOT_SHIFT | TX_ADD };
}

/* tx_sort.c */
/* r->ops by e. */
int ri_tx_sort_by_entity(tx_resolver *r);
/* Those of one entity by (slot, v); r->other, from scratch on first use, is room for r->other_count operations. */
int ri_tx_sort_entity(tx_resolver *r, tx_op *ops, size_t count);
int ri_tx_op_cmp_in_entity(const tx_op *a, const tx_op *b);

/* tx_expand.c */
/* Adds retractions of all there is of retracted entities, and of the components of retracted attributes: r->expanded.
 * Sets r->need. */
int ri_tx_expand(tx_resolver *r);

/* tx_datoms.c */
/* Datoms of the operations, which are sorted by e, into r->block. Sets r->need. */
int ri_tx_make_datoms(tx_resolver *r);
/* The same straight from the items, which lie in the order of entities and retract none as a whole. */
int ri_tx_make_datoms_in_order(tx_resolver *r);
/* Those of one entity, whose operations are sorted. */
int ri_tx_make_entity(tx_resolver *r, const tx_op *ops, size_t count);

/* tx_turn.c */
/* May the items be turned into datoms where they lie? After the survey. */
bool ri_tx_turns(const tx_resolver *r);
int ri_tx_turn_into_datoms(tx_resolver *r);

#endif
