/* SPDX-License-Identifier: MIT
 *
 * A transaction from inside, for the files tx*.c.
 *
 *   tx.c           filling: items, tempids, lookup refs
 *   tx_memory.c    memory, from one transaction to the next
 *   tx_form.c      filling from forms, the grammar of EDN text and Lua data
 *   tx_form_op.c   operations in them
 *   tx_entities.c  who is who: lookup refs, upserts, ids of new entities, unique values
 *   tx_expand.c    retracted entities
 *   tx_sort.c      operations by (e a v)
 *   tx_datoms.c    operations and the database before -> datoms
 *   tx_turn.c      the same of additions to new entities, in place
 *   tx_resolve.c   the steps in order, the schema, the result
 *   tx_items.c     entities and items in messages
 *
 * AN ENTITY IS A WORD: an id, or TX_TEMP | index of a tempid, or TX_SELF, the transaction. A lookup ref is a tempid
 * too, one that must turn out to exist. Values of type RI_REF hold such a word.
 *
 * AN OPERATION is 32 bytes. Items are operations as they were filled; resolving copies them with ids in place of
 * tempids, sorts the copies and works on them, so that the items stay as they were and resolving can be done again.
 */
#ifndef RI_TX_INSIDE_H
#define RI_TX_INSIDE_H

#include "../base/slots.h"
#include "tx.h"
#include "tx_items.h"

#define TX_TEMP (UINT64_C(1) << 62)
#define TX_SELF (UINT64_C(1) << 63)
#define TX_INDEX_MASK UINT64_C(0xffffffff)

typedef enum tx_kind {
    TX_CHECK = 0,      /* v.as.p: a tx_cas. The new value is an item of its own, TX_ADD */
    TX_RETRACT_ALL,    /* no value */
    TX_RETRACT_ENTITY, /* no attribute, no value */
    TX_ADD,
    TX_RETRACT,
    TX_RETRACT_KNOWN, /* a retraction of what is known to be current */
    TX_RETRACT_PARTS  /* the components that the attribute refers to; a TX_RETRACT_ALL goes with it */
} tx_kind;

#define TX_KIND_MASK 7U
#define TX_WITH_BLOB 8U /* v is a stub that a tx_long follows */
#define TX_SLOT_SHIFT 4

typedef struct tx_op {
    uint64_t e; /* an entity word */
    ri_value v;
    uint32_t code; /* slot << 4 | TX_WITH_BLOB | tx_kind; slots are in the order of attribute ids */
} tx_op;

static inline tx_kind tx_op_kind(const tx_op *op)
{
    return (tx_kind)(op->code & TX_KIND_MASK);
}
static inline uint32_t tx_op_slot(const tx_op *op)
{
    return op->code >> TX_SLOT_SHIFT;
}

typedef struct tx_cas {
    ri_value old_v; /* RI_NIL: has none; an RI_REF is an entity word */
} tx_cas;

/* A long value: its stub, and the content behind it. */
typedef struct tx_long {
    uint8_t stub[RI_STUB_SIZE];
    const uint8_t *bytes;
    size_t len;
} tx_long;

enum {
    TEMP_REAL = 1, /* a tempid, not a lookup ref */
    TEMP_LOOKUP = 2,
    TEMP_SUBJECT = 4,    /* something is added to it */
    TEMP_VALUE = 8,      /* it is the value of something */
    TEMP_ATTRIBUTE = 16, /* it becomes an attribute */
    TEMP_NAMED = 32      /* it gets an ident in a read-flexible database, so it is an attribute if ids allow it */
};

typedef struct tx_temp {
    uint64_t e;      /* resolving, in the root: its id, 0: not known */
    uint32_t parent; /* resolving: union-find; the own index in a root */
    uint8_t given;   /* TEMP_ as filled */
    uint8_t flags;   /* resolving, in the root: of all its tempids */
} tx_temp;

typedef struct tx_name {
    const char *name; /* NULL: numbered */
    size_t len;
    int64_t number;
    uint32_t temp;
} tx_name;

typedef struct tx_lookup {
    ri_value v;
    uint32_t slot;
    uint32_t temp;
} tx_lookup;

struct ri_tx {
    rille_db *db;
    const ri_schema *schema; /* db's */
    ri_arena arena;
    ri_arena scratch; /* of the last resolving, its results included */
    tx_op *items;
    size_t item_count;
    size_t item_cap;
    ri_growth item_growth;
    size_t items_counted; /* by ri_tx_fill_work */
    uint32_t *unique;     /* items that add a value of a unique attribute */
    size_t unique_count;
    size_t unique_cap;
    bool unique_rise; /* they are of one attribute, and rise */
    tx_temp *temps;
    size_t temp_count;
    size_t temp_cap;
    ri_growth temp_growth;
    tx_name *names;
    size_t name_count;
    size_t name_cap;
    ri_growth name_growth;
    tx_lookup *lookups;
    size_t lookup_count;
    size_t lookup_cap;
    ri_attr **made; /* attributes made on the spot; ids from db->next_attr */
    size_t made_count;
    size_t made_cap;
    ri_slots by_name;   /* of names, the numbers among them */
    ri_bytemap by_made; /* ident -> index in made */
    uint64_t e_max;     /* largest id of a user's entity that is given by its number, or 0 */
    uint8_t self_names; /* by which names the transaction was named: a bit for each of ri_tx_self_names */
    tx_starts starts;   /* of the items of the transaction data */
    bool chained;       /* a unique attribute's value is a tempid, or it is said of a lookup ref */
    bool spent;         /* the items became datoms */
    bool is_guess;
    bool is_doubted;
    struct tx_resolver *resolver; /* of a resolving that paused */
    ri_block_memory *blocks;      /* memory for the block, and for those of the next ones */
    struct tx_resolver *ended;    /* memory for the next one, and its operations' */
};

/* An attribute's slot, and back. */
static inline uint32_t tx_slot(const ri_tx *tx, const ri_attr *attr)
{
    if (attr->id < tx->db->next_attr) {
        return (uint32_t)(attr - tx->schema->attrs);
    }
    return (uint32_t)(tx->schema->attr_count + (attr->id - tx->db->next_attr));
}
static inline const ri_attr *tx_attr(const ri_tx *tx, uint32_t slot)
{
    return slot < tx->schema->attr_count ? &tx->schema->attrs[slot] : tx->made[slot - tx->schema->attr_count];
}

/* Does an addition to a tempid that the attribute may have need no more than an item: nothing unique, no schema? */
static inline bool tx_is_plain(const ri_attr *attr)
{
    return attr->unique == RI_UNIQUE_NO && !ri_is_schema_attr(attr->id);
}
/* Such an item of a value that fits; false: there is no room for it. */
static inline bool tx_push_plain(ri_tx *tx, uint32_t temp, const ri_attr *attr, const ri_value *v)
{
    if (tx->item_count == tx->item_cap) {
        return false;
    }
    tx->temps[temp].given |= TEMP_SUBJECT;
    tx->items[tx->item_count++] =
        (tx_op){ .e = TX_TEMP | temp, .v = *v, .code = tx_slot(tx, attr) << TX_SLOT_SHIFT | TX_ADD };
    return true;
}

/* tx.c */
#define RI_TX_SELF_NAME_COUNT 3U
extern const char *const ri_tx_self_names[RI_TX_SELF_NAME_COUNT];
int ri_tx_push(ri_tx *tx, const tx_op *op, rille_err *err);

#endif
