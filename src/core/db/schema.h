/* SPDX-License-Identifier: MIT
 *
 * Attributes. The schema is data: attributes are entities with :db/ident, :db/valueType ..., this is the digest of
 * those datoms that transactions and queries look things up in. Immutable and shareable once published.
 *
 * ENTITY IDS: 1..99 the engine's own attributes and idents (below); 100..RI_EID_USER-1 attributes of the user (an
 * attribute id fits 32 bits); RI_EID_USER.. entities; RI_TX_BASE.. transactions (t); all below 2^53.
 */
#ifndef RI_SCHEMA_H
#define RI_SCHEMA_H

#include "../base/map.h"
#include "../base/sync.h"
#include "../data/datom.h"

#define RI_EID_ATTR UINT64_C(100)
#define RI_EID_USER (UINT64_C(1) << 20)
#define RI_TX_BASE (UINT64_C(1) << 40)
#define RI_EID_CHOSEN_END \
    (UINT64_C(1) << 39)                    /* ids that a user chooses are below: the rest cannot be used up at once */
#define RI_EID_NAMED_END (RI_EID_USER / 2) /* read-flexible: new attributes that are no more than an ident are below */

/* The engine's own attributes and idents: X(enum, id, ident) */
#define RI_IDENTS(X)                             \
    X(IDENT, 1, "db/ident")                      \
    X(VALUE_TYPE, 2, "db/valueType")             \
    X(CARDINALITY, 3, "db/cardinality")          \
    X(UNIQUE, 4, "db/unique")                    \
    X(INDEX, 5, "db/index")                      \
    X(IS_COMPONENT, 6, "db/isComponent")         \
    X(DOC, 7, "db/doc")                          \
    X(TX_INSTANT, 8, "db/txInstant")             \
    X(NO_HISTORY, 9, "db/noHistory")             \
    X(CARD_ONE, 20, "db.cardinality/one")        \
    X(CARD_MANY, 21, "db.cardinality/many")      \
    X(UNIQUE_VALUE, 22, "db.unique/value")       \
    X(UNIQUE_IDENTITY, 23, "db.unique/identity") \
    X(TYPE_BOOLEAN, 30, "db.type/boolean")       \
    X(TYPE_LONG, 31, "db.type/long")             \
    X(TYPE_DOUBLE, 32, "db.type/double")         \
    X(TYPE_BIGINT, 33, "db.type/bigint")         \
    X(TYPE_BIGDEC, 34, "db.type/bigdec")         \
    X(TYPE_INSTANT, 35, "db.type/instant")       \
    X(TYPE_UUID, 36, "db.type/uuid")             \
    X(TYPE_KEYWORD, 37, "db.type/keyword")       \
    X(TYPE_SYMBOL, 38, "db.type/symbol")         \
    X(TYPE_STRING, 39, "db.type/string")         \
    X(TYPE_BYTES, 40, "db.type/bytes")           \
    X(TYPE_REF, 41, "db.type/ref")               \
    X(TYPE_TUPLE, 42, "db.type/tuple")           \
    X(TYPE_FLOATS, 43, "db.type/floats")

enum {
#define X(name, id, ident) RI_A_##name = (id),
    RI_IDENTS(X)
#undef X
        RI_A_META_COMMIT = 90, /* META only: (commit id bytes, e = tx) */
    RI_A_META_BASE = 91,       /* META only: (be64 base t + base record address, e = base t) */
    RI_A_META_TX = 92,         /* META only: (be64 t + commit id + other parents, e = t) */
    RI_A_LOG_PARENT = 93,      /* LOG only: a parent of a merge besides the commit before it (commit id, e = t) */
    RI_A_META_PURGED = 94      /* META only: a transaction that datoms were purged of (be64 t + digest, e = t) */
};

typedef enum ri_unique { RI_UNIQUE_NO = 0, RI_UNIQUE_VALUE = 1, RI_UNIQUE_IDENTITY = 2 } ri_unique;

typedef struct ri_attr {
    const char *ident; /* "person/name", 0-terminated, without colon */
    uint32_t id;
    uint32_t ident_len;
    uint8_t type;   /* ri_type; RI_NIL: any (schema flexibility "read") */
    uint8_t unique; /* ri_unique */
    bool many;
    bool index; /* declared */
    bool component;
    bool no_history;
    bool avet; /* is in AVET: declared, unique, or a word type other than ref */
} ri_attr;
static inline bool ri_attr_is_indexed(const ri_attr *attr) /* for users: AVET has others, too, for queries */
{
    return attr->index || attr->unique != RI_UNIQUE_NO;
}

typedef struct ri_schema {
    ri_refs refs;
    ri_arena arena;
    ri_attr *attrs; /* sorted by id */
    size_t attr_count;
    ri_bytemap by_ident; /* ident -> index into attrs */
    ri_bytemap idents;   /* every :db/ident (attributes too) -> entity id */
    bool read_flexible;  /* unknown attributes are made on first use */
} ri_schema;

ri_schema *ri_schema_retain(ri_schema *schema);
void ri_schema_release(ri_schema *schema);
/* The schema of an empty database: the engine's own attributes. */
int ri_schema_bootstrap(bool read_flexible, ri_schema **out, rille_err *err);
/* The datoms of the bootstrap transaction, sorted by (e a v), t = RI_TX_BASE; values borrow from static text. */
int ri_schema_bootstrap_datoms(ri_arena *arena, ri_datom **out, size_t *count, rille_err *err);
/* NULL: unknown. A leading colon is not accepted here. */
const ri_attr *ri_schema_attr(const ri_schema *schema, const char *ident, size_t len);
const ri_attr *ri_schema_attr_by_id(const ri_schema *schema, uint64_t id);
/* Entity of an ident, 0: none. */
uint64_t ri_schema_ident(const ri_schema *schema, const char *ident, size_t len);
/* Ident of an entity, NULL: none. O(1) for attributes, O(idents) else. */
const char *ri_schema_ident_of(const ri_schema *schema, uint64_t e);
/* "attribute :person/nmae is not in the schema of $hr (did you mean :person/name?)" -> RILLE_ATTRIBUTE. source: its name
 * in the query; NULL: there is none to tell apart. */
int ri_schema_unknown(const ri_schema *schema, const char *source, const char *ident, size_t len, rille_err *err);

/* Does the datom define schema (an ident or a property of an attribute)? */
static inline bool ri_is_schema_attr(uint32_t a)
{
    return a >= RI_A_IDENT && a <= RI_A_NO_HISTORY && a != RI_A_DOC && a != RI_A_TX_INSTANT;
}
/* A new schema with the schema datoms among d[] applied (sorted by e a v added; retractions first). Checks what can be
 * checked without data: type and cardinality known, an attribute needs an ident, ids in range: RILLE_SCHEMA, and *wrong (unless NULL)
 * is the entity. */
int ri_schema_apply(const ri_schema *schema, const ri_datom *d, size_t count, ri_schema **out, uint64_t *wrong,
                    rille_err *err);

/* The digest as bytes, canonical, and back (hostile bytes). */
void ri_schema_write(const ri_schema *schema, ri_buf *out);
int ri_schema_read(const uint8_t *bytes, size_t len, ri_schema **out, rille_err *err);

/* Which of the current trees (EAVT, AEVT, AVET, VAET) a datom of this attribute belongs to. */
bool ri_attr_in_order(const ri_attr *attr, ri_order order);
/* The same by its id; one that the schema does not have is in EAVT and AEVT alone. */
bool ri_schema_in_order(const ri_schema *schema, uint32_t a, ri_order order);
/* Which values it may have: stubs stand for strings and bytes, longs are small bigints. */
static inline bool ri_attr_fits(const ri_attr *attr, uint8_t type)
{
    return type == attr->type || (attr->type == RI_BIGINT && type == RI_LONG) ||
           (attr->type == RI_STRING && type == RI_STRING_BLOB) || (attr->type == RI_BYTES && type == RI_BYTES_BLOB) ||
           (attr->type == RI_NIL && type != RI_NIL && type != RI_REF);
}

#endif
