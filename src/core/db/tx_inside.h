/* SPDX-License-Identifier: MIT
 *
 * A transaction from inside, for the files tx*.c.
 *
 *   tx.c           filling: items, tempids, lookup refs
 *   tx_form.c      filling from forms, the grammar of EDN text and Lua data
 *   tx_form_op.c   operations in them
 *   tx_entities.c  who is who: lookup refs, upserts, ids of new entities, unique values
 *   tx_sort.c      operations by (e a v)
 *   tx_datoms.c    operations and the database before -> datoms
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
    uint32_t *unique; /* items that add a value of a unique attribute */
    size_t unique_count;
    size_t unique_cap;
    tx_temp *temps;
    size_t temp_count;
    size_t temp_cap;
    tx_name *names;
    size_t name_count;
    size_t name_cap;
    tx_lookup *lookups;
    size_t lookup_count;
    size_t lookup_cap;
    ri_attr **made; /* attributes made on the spot; ids from db->next_attr */
    size_t made_count;
    size_t made_cap;
    ri_bytemap by_name;
    ri_map64 by_number;
    ri_bytemap by_made; /* ident -> index in made */
    uint64_t e_max;     /* largest id of a user's entity that is given by its number, or 0 */
    uint8_t self_names; /* by which names the transaction was named: a bit for each of ri_tx_self_names */
    tx_starts starts;   /* of the items of the transaction data */
    bool chained;       /* a unique attribute's value is a tempid, or it is said of a lookup ref */
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

/* ---- resolving ---- */

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

typedef struct tx_resolver {
    ri_tx *tx;
    const rille_db *db;
    ri_io *io;
    rille_err *err;
    uint64_t t;
    int64_t clock_ms;
    int64_t instant;
    uint64_t next_e;
    uint64_t next_attr;
    bool instant_given;
    bool need; /* something must be read first: the rest is only looked through for more of that */
    bool scan_open;
    ri_scan scan; /* EAVT */
    tx_key *keys;
    size_t key_count;
    uint8_t *slot_empty; /* per slot, NULL: not asked; 1: the attribute has datoms; 2: it has none */
    tx_op *ops;          /* heap; all of them, growing by retracted entities; or those of one entity */
    size_t op_count;
    size_t op_cap;
    ri_block *block;
    struct ri_long_value *blobs; /* scratch */
    size_t blob_count;
    tx_blame blame; /* set with an error */
} tx_resolver;

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

/* tx_entities.c */
uint32_t ri_tx_temp_root(ri_tx *tx, uint32_t temp);
/* Binds lookup refs and upserted tempids. Sets r->need. */
int ri_tx_bind_entities(tx_resolver *r);
/* Ids for new entities. */
int ri_tx_number_entities(tx_resolver *r);
/* After numbering: the id of a word; 0: a tempid that stands for nothing. */
uint64_t ri_tx_entity_id(const tx_resolver *r, uint64_t word);
/* A word as far as it is known: an id, or the root of its tempids. */
uint64_t ri_tx_known_word(const tx_resolver *r, uint64_t word);
/* Unique values, against the datoms of the block. */
int ri_tx_check_unique(tx_resolver *r);
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
/* By (e, slot, v); scratch memory comes from the arena. */
int ri_tx_sort(tx_op *ops, size_t count, ri_arena *scratch, rille_err *err);
/* Those of one entity; `other`, from scratch on first use, is room for other_count operations. */
int ri_tx_sort_entity(tx_op *ops, size_t count, tx_op **other, size_t other_count, ri_arena *scratch, rille_err *err);
int ri_tx_op_cmp_in_entity(const tx_op *a, const tx_op *b);

/* tx_datoms.c */
/* Adds retractions of all there is of retracted entities, and of the components of retracted attributes. ops: of
 * TX_RETRACT_ENTITY and TX_RETRACT_PARTS, known. Sets r->need. */
int ri_tx_expand(tx_resolver *r, const tx_op *ops, size_t count);
/* Datoms of the sorted operations into r->block. Sets r->need. */
int ri_tx_make_datoms(tx_resolver *r);
/* The same straight from the items, which lie in the order of entities and retract none as a whole. */
int ri_tx_make_datoms_in_order(tx_resolver *r);

/* tx.c */
#define RI_TX_SELF_NAME_COUNT 3U
extern const char *const ri_tx_self_names[RI_TX_SELF_NAME_COUNT];
int ri_tx_push(ri_tx *tx, const tx_op *op, rille_err *err);

#endif
