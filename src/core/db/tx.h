/* SPDX-License-Identifier: MIT
 *
 * Transactions: from items (add, retract, ...) against one database value to a block of datoms and the value after it.
 *
 * A transaction is filled by a front end (forms: tx_form.c, of EDN text or Lua tables), then resolved. It keeps no link to
 * where its items came from: on a conflict the front end fills a new one against the newer value.
 *
 * RESOLVING. (1) Identity attributes with a known value bind tempids to existing entities (upsert); tempids that share
 * one identity value inside the transaction are one entity. (2) Other tempids get fresh ids. (3) Each item becomes
 * datoms: re-asserting is nothing; a cardinality-one change is a retraction and an assertion. (4) Uniqueness, types,
 * conflicts are checked. (5) Schema datoms give the new schema. The result does not depend on the order of the items.
 * Fresh entities skip every look-up, so that bulk loads run at the speed of sorting.
 */
#ifndef RI_TX_H
#define RI_TX_H

#include "../data/edn.h"
#include "db.h"

typedef struct ri_tx ri_tx;

/* Names an entity in an item. */
typedef enum ri_ent_kind {
    RI_ENT_ID,     /* u.id */
    RI_ENT_TEMP,   /* u.temp: index from ri_tx_temp_* */
    RI_ENT_LOOKUP, /* u.lookup: index from ri_tx_lookup */
    RI_ENT_TX      /* the transaction itself */
} ri_ent_kind;
typedef struct ri_ent {
    ri_ent_kind kind;
    union {
        uint64_t id;
        uint32_t temp;
        uint32_t lookup;
    } u;
} ri_ent;

int ri_tx_new(rille_db *db, ri_tx **out, rille_err *err); /* retains db */
void ri_tx_release(ri_tx *tx);
/* Lets go of all that the transaction holds but memory, which serves another one (ri_tx_reuse). False: it has too much
 * of it. */
bool ri_tx_recycle(ri_tx *tx);
void ri_tx_reuse(ri_tx *tx, rille_db *db); /* retains db */
const rille_db *ri_tx_db(const ri_tx *tx);
/* Notes of who begins it: db is a guess, and was found wanting. */
void ri_tx_set_guess(ri_tx *tx, bool is_guess);
bool ri_tx_is_guess(const ri_tx *tx);
void ri_tx_set_doubted(ri_tx *tx);
bool ri_tx_is_doubted(const ri_tx *tx);
ri_arena *ri_tx_arena(ri_tx *tx); /* for values that must live as long as the transaction */

/* Attribute by ident (a leading colon is fine); in a read-flexible database a new one is made on the spot.
 * RILLE_ATTRIBUTE. The pointer is valid as long as the transaction. */
int ri_tx_attr(ri_tx *tx, const char *ident, size_t len, const ri_attr **out, rille_err *err);

/* Does the name stand for the transaction itself: "datomic.tx", "datahike.tx", "db/current-tx"? Then tempids have it. */
bool ri_tx_self(ri_tx *tx, const char *name, size_t len, ri_ent *out);
/* Tempids: the same name or number gives the same index. Names of the transaction itself do not come here. */
int ri_tx_temp_named(ri_tx *tx, const char *name, size_t len, ri_ent *out, rille_err *err);
int ri_tx_temp_number(ri_tx *tx, int64_t number, ri_ent *out, rille_err *err);
int ri_tx_temp_fresh(ri_tx *tx, ri_ent *out, rille_err *err);
/* A lookup ref names what has the value in the database before, else what gets it in this transaction. */
int ri_tx_lookup(ri_tx *tx, const ri_attr *attr, const ri_value *v, ri_ent *out,
                 rille_err *err); /* value copied; attr must be unique */
/* The same by a ref attribute: its value may be any entity. */
int ri_tx_lookup_ref(ri_tx *tx, const ri_attr *attr, ri_ent v, ri_ent *out, rille_err *err);
/* An ident -> RI_ENT_ID, RILLE_ENTITY_MISSING. An ident that this transaction defines itself is not seen. */
int ri_tx_ident(ri_tx *tx, const char *ident, size_t len, ri_ent *out, rille_err *err);

/* Here begins an item of the transaction data, or at last the options' meta: errors that are found later name it. */
int ri_tx_begin_item(ri_tx *tx, bool meta, rille_err *err);

/* Items. Values must already have the attribute's type (ri_attr_convert); their bytes are copied when `copy`, else they
 * outlive the transaction. */
int ri_tx_add(ri_tx *tx, ri_ent e, const ri_attr *attr, const ri_value *v, bool copy, rille_err *err);
/* The same of a value that is known to fit: of the attribute's type, no ref, not too long; its bytes are not copied. */
int ri_tx_add_fit(ri_tx *tx, ri_ent e, const ri_attr *attr, const ri_value *v, rille_err *err);
int ri_tx_add_ref(ri_tx *tx, ri_ent e, const ri_attr *attr, ri_ent v, rille_err *err);
int ri_tx_retract(ri_tx *tx, ri_ent e, const ri_attr *attr, const ri_value *v, rille_err *err); /* v NULL: all values */
int ri_tx_retract_ref(ri_tx *tx, ri_ent e, const ri_attr *attr, ri_ent v, rille_err *err);
int ri_tx_retract_attribute(ri_tx *tx, ri_ent e, const ri_attr *attr, rille_err *err); /* all values, with components */
int ri_tx_retract_entity(ri_tx *tx, ri_ent e, rille_err *err); /* with components, and incoming refs */
/* Cardinality one: the value must be old_v. Many: old_v must be among the values, and stays; NULL: there must be none.
 * Either way new_v is then added like any other value. */
int ri_tx_cas(ri_tx *tx, ri_ent e, const ri_attr *attr, const ri_value *old_v, const ri_value *new_v,
              rille_err *err); /* old NULL: has none */
int ri_tx_cas_ref(ri_tx *tx, ri_ent e, const ri_attr *attr, const ri_ent *old_v, ri_ent new_v, rille_err *err);

/* Transaction data as forms: one grammar for EDN text and for Lua data, which the binding turns into forms. */
#define RI_TX_KEY_SETS 16U /* a power of two */
#define RI_TX_KEY_WAYS 4U
typedef struct ri_tx_filler {
    ri_tx *tx;
    rille_err *err;
    unsigned depth; /* of nested maps */
    bool lua;       /* strings name attributes everywhere and become keywords, instants ... by the attribute's type; the
                       bytes of the forms outlive the transaction, unless it copies them, and strings may be invalid
                       UTF-8 */
    bool copies;
    struct ri_tx_key {
        const uint8_t *text;
        const ri_attr *attr;
    } keys[RI_TX_KEY_SETS][RI_TX_KEY_WAYS]; /* Lua: keys of maps come again and again as the same string */
} ri_tx_filler;
void ri_tx_filler_init(ri_tx_filler *f, ri_tx *tx, bool lua, rille_err *err);
/* An entity map, an operation, or nil. */
int ri_tx_fill_item(ri_tx_filler *f, const ri_form *item);
/* A map of the transaction itself. */
int ri_tx_fill_meta(ri_tx_filler *f, const ri_form *map);
/* A vector (or list) of items. */
int ri_tx_fill_edn(ri_tx *tx, const ri_form *form, rille_err *err);
/* The same in steps of a few items, from number *next on: RILLE_AGAIN until all are filled. */
int ri_tx_fill_edn_step(ri_tx *tx, const ri_form *form, size_t *next, rille_err *err);
/* Work of the items that were filled since this was asked last. */
size_t ri_tx_fill_work(ri_tx *tx);
/* How many arguments the operation of that name has at most; 0: there is none. (tx_form_op.c) */
unsigned ri_tx_op_args(const char *name, size_t len);

/* What came of it. */
typedef struct ri_tx_result {
    ri_block *block;   /* datoms, t, instant, commit id, parent set; prev NULL. A reference. */
    ri_schema *schema; /* after it. A reference. */
    uint64_t next_e;
    uint64_t next_attr;
    struct ri_tempid {
        const char *name; /* NULL: numbered; owned by the tx */
        size_t name_len;
        int64_t number;
        uint64_t e;
    } * tempids; /* named and numbered ones; owned by the tx */
    size_t tempid_count;
    struct ri_long_value {
        const uint8_t *addr; /* in its stub */
        const uint8_t *bytes;
        size_t len;
    } * blobs; /* contents of stubs in the block, to be stored; owned by the tx */
    size_t blob_count;
} ri_tx_result;
void ri_tx_result_deinit(ri_tx_result *result);
/* instant_ms: of the clock; the transaction's is at least one above db->instant, unless its data gives one: not before
 * db->instant, and not more than a minute after both. May return RILLE_NEED any time: call again. Where it lacked nodes it
 * restarts from its items, with the instant of that call; where it paused (task.h) it goes on. Else it is not called
 * again: the items may have become the datoms. */
int ri_tx_resolve(ri_tx *tx, int64_t instant_ms, ri_io *io, ri_tx_result *out, rille_err *err);
/* Frees the items of a transaction that will not be resolved again. Results stay. */
void ri_tx_forget_items(ri_tx *tx);

#endif
