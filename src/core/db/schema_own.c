/* SPDX-License-Identifier: MIT
 *
 * The engine's own attributes and idents, and the transaction that puts them into a new database.
 *
 * Their ids are part of the stored format: they are never changed or reused.
 */
#include "schema_own.h"

#include "../data/suggest.h"

#include <stdio.h>

const ri_own_ident_row ri_own_idents[RI_OWN_IDENT_COUNT] = {
#define X(name, id, ident) { id, ident },
    RI_IDENTS(X)
#undef X
};

/* The texts are stored in every database: never change them. */
const ri_own_attr ri_own_attrs[RI_OWN_ATTR_COUNT] = {
    { RI_A_IDENT, RI_KEYWORD, RI_UNIQUE_IDENTITY, false, "the name of an entity, unique in the database" },
    { RI_A_VALUE_TYPE, RI_REF, RI_UNIQUE_NO, false, "the type of an attribute's values" },
    { RI_A_CARDINALITY, RI_REF, RI_UNIQUE_NO, false, "whether an entity has one or many values of an attribute" },
    { RI_A_UNIQUE, RI_REF, RI_UNIQUE_NO, false, "that no two entities have the same value of an attribute" },
    { RI_A_INDEX, RI_BOOL, RI_UNIQUE_NO, false, "that entities are looked up by an attribute's value" },
    { RI_A_IS_COMPONENT, RI_BOOL, RI_UNIQUE_NO, false, "that what an attribute refers to is part of the entity" },
    { RI_A_DOC, RI_STRING, RI_UNIQUE_NO, false, "a description" },
    { RI_A_TX_INSTANT, RI_INSTANT, RI_UNIQUE_NO, true, "when a transaction was made" }, /* plain-english: ok */
    { RI_A_NO_HISTORY, RI_BOOL, RI_UNIQUE_NO, false, "that former values of an attribute are not kept" },
};

const char *ri_own_ident(uint64_t id)
{
    for (size_t i = 0; i < RI_OWN_IDENT_COUNT; i++) {
        if (ri_own_idents[i].id == id) {
            return ri_own_idents[i].text;
        }
    }
    return NULL;
}

int ri_own_type(uint64_t e)
{
    const char *ident = e >= RI_A_TYPE_BOOLEAN && e <= RI_A_TYPE_FLOATS ? ri_own_ident(e) : NULL;
    if (ident == NULL) {
        return -1;
    }
    ident += sizeof RI_TYPE_PREFIX - 1;
    return ri_type_by_name(ident, strlen(ident));
}

uint32_t ri_own_type_ident(uint8_t type)
{
    for (uint32_t e = RI_A_TYPE_BOOLEAN; e <= RI_A_TYPE_FLOATS; e++) {
        if (ri_own_type(e) == (int)type) {
            return e;
        }
    }
    return 0;
}

void ri_own_type_list(char out[RI_TYPE_LIST_SIZE])
{
    size_t len = 0;
    for (uint32_t e = RI_A_TYPE_BOOLEAN; e <= RI_A_TYPE_FLOATS; e++) {
        const char *name = ri_own_ident(e) + sizeof RI_TYPE_PREFIX - 1;
        len += (size_t)snprintf(out + len, RI_TYPE_LIST_SIZE - len, "%s%s", e == RI_A_TYPE_BOOLEAN ? "" : ", ", name);
        RI_ASSERT(len < RI_TYPE_LIST_SIZE);
    }
}

/* ---- did you mean ---- */

/* What other systems call the types of values. */
static const char *type_alias(const char *name, size_t len)
{
    static const char *const aliases[][2] = {
        { "int", "long" },          { "integer", "long" },   { "bool", "boolean" }, { "float", "double" },
        { "real", "double" },       { "text", "string" },    { "str", "string" },   { "varchar", "string" },
        { "date", "instant" },      { "time", "instant" },   { "inst", "instant" }, { "datetime", "instant" },
        { "timestamp", "instant" }, { "decimal", "bigdec" }, { "blob", "bytes" },   { "binary", "bytes" },
        { "entity", "ref" },        { "reference", "ref" },  { "vector", "floats" }
    };
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        if (strlen(aliases[i][0]) == len && memcmp(aliases[i][0], name, len) == 0) {
            return aliases[i][1];
        }
    }
    return NULL;
}

/* Offers the idents of the engine: with the prefix that this one lacks, by another system's name, or nearly the same. */
static void offer_idents(ri_suggest *suggest)
{
    static const char *const prefixes[] = { RI_TYPE_PREFIX, "db.cardinality/", "db.unique/" };
    size_t prefix_len = strlen(RI_TYPE_PREFIX);
    bool is_type = suggest->len > prefix_len && memcmp(suggest->name, RI_TYPE_PREFIX, prefix_len) == 0;
    size_t skip = is_type ? prefix_len : 0;
    const char *alias = type_alias(suggest->name + skip, suggest->len - skip);
    for (size_t i = 0; i < RI_OWN_IDENT_COUNT; i++) {
        const char *own = ri_own_idents[i].text;
        size_t len = strlen(own);
        ri_suggest_offer(suggest, own, len);
        for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes; p++) {
            size_t cut = strlen(prefixes[p]);
            bool has = len > cut && memcmp(own, prefixes[p], cut) == 0;
            if (has && len - cut == suggest->len && memcmp(own + cut, suggest->name, suggest->len) == 0) {
                ri_suggest_offer_as(suggest, own, len, 0);
            }
            if (has && p == 0 && alias != NULL && strcmp(own + cut, alias) == 0) {
                ri_suggest_offer_as(suggest, own, len, 0);
            }
        }
    }
}

int ri_own_unknown(const char *ident, size_t len, rille_err *err)
{
    char hint[RI_SUGGESTION_SIZE];
    char types[RI_TYPE_LIST_SIZE] = "";
    ri_suggest suggest = ri_suggest_for(ident, len);
    offer_idents(&suggest);
    const char *meant = suggest.best == NULL ? "" : suggest.best;
    size_t prefix_len = strlen(RI_TYPE_PREFIX);
    if (strncmp(meant, RI_TYPE_PREFIX, prefix_len) == 0 ||
        (len > prefix_len && memcmp(ident, RI_TYPE_PREFIX, prefix_len) == 0)) {
        ri_own_type_list(types);
    }
    return ri_fail(err, RILLE_ENTITY_MISSING, "no entity has the ident :%.*s%s%s%s", (int)(len < 80 ? len : 80), ident,
                   ri_suggest_show(&suggest, ":", hint), types[0] == '\0' ? "" : "; the types are ", types);
}

/* ---- the bootstrap transaction ---- */

#define OWN_DATOMS_MAX (RI_OWN_IDENT_COUNT + RI_OWN_ATTR_COUNT * 5U + 1U)

static ri_datom own_datom(uint64_t e, uint32_t a, ri_value v)
{
    return (ri_datom){ .e = e, .t = RI_TX_BASE, .v = v, .a = a, .added = true };
}

static size_t attr_datoms(const ri_own_attr *own, ri_datom *d)
{
    size_t n = 0;
    d[n++] = own_datom(own->id, RI_A_VALUE_TYPE, ri_ref(ri_own_type_ident(own->type)));
    d[n++] = own_datom(own->id, RI_A_CARDINALITY, ri_ref(RI_A_CARD_ONE));
    if (own->unique == RI_UNIQUE_IDENTITY) {
        d[n++] = own_datom(own->id, RI_A_UNIQUE, ri_ref(RI_A_UNIQUE_IDENTITY));
    }
    if (own->index) {
        d[n++] = own_datom(own->id, RI_A_INDEX, ri_word(RI_BOOL, 1));
    }
    d[n++] = own_datom(own->id, RI_A_DOC, ri_bytes_value(RI_STRING, own->doc, strlen(own->doc)));
    return n;
}

int ri_schema_bootstrap_datoms(ri_arena *arena, ri_datom **out, size_t *count, rille_err *err)
{
    *count = 0;
    ri_datom *d = *out = ri_arena_array(arena, OWN_DATOMS_MAX, sizeof *d);
    if (d == NULL) {
        return ri_fail_nomem(err);
    }
    size_t n = 0;
    for (size_t i = 0; i < RI_OWN_IDENT_COUNT; i++) {
        const ri_own_ident_row *row = &ri_own_idents[i];
        d[n++] = own_datom(row->id, RI_A_IDENT, ri_bytes_value(RI_KEYWORD, row->text, strlen(row->text)));
        if (i < RI_OWN_ATTR_COUNT) {
            n += attr_datoms(&ri_own_attrs[i], d + n);
        }
    }
    d[n++] = own_datom(RI_TX_BASE, RI_A_TX_INSTANT, ri_word(RI_INSTANT, 0));
    *count = n;
    return RILLE_OK;
}
