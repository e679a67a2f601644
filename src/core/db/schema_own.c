/* SPDX-License-Identifier: MIT
 *
 * The engine's own attributes and idents, and the transaction that puts them into a new database.
 *
 * Their ids are part of the stored format: they are never changed or reused.
 */
#include "schema_own.h"

#include <stdio.h>

const ri_own_ident_row ri_own_idents[RI_OWN_IDENT_COUNT] = {
#define X(name, id, ident) { id, ident },
    RI_IDENTS(X)
#undef X
};

const ri_own_attr ri_own_attrs[RI_OWN_ATTR_COUNT] = {
    { RI_A_IDENT, RI_KEYWORD, RI_UNIQUE_IDENTITY, false, "the name of an entity, unique in the database" },
    { RI_A_VALUE_TYPE, RI_REF, RI_UNIQUE_NO, false, "the type of an attribute's values" },
    { RI_A_CARDINALITY, RI_REF, RI_UNIQUE_NO, false, "whether an entity has one or many values of an attribute" },
    { RI_A_UNIQUE, RI_REF, RI_UNIQUE_NO, false, "that no two entities have the same value of an attribute" },
    { RI_A_INDEX, RI_BOOL, RI_UNIQUE_NO, false, "that entities are looked up by an attribute's value" },
    { RI_A_IS_COMPONENT, RI_BOOL, RI_UNIQUE_NO, false, "that what an attribute refers to is part of the entity" },
    { RI_A_DOC, RI_STRING, RI_UNIQUE_NO, false, "a description" },
    { RI_A_TX_INSTANT, RI_INSTANT, RI_UNIQUE_NO, true, "when a transaction was made" },
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
