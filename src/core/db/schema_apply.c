/* SPDX-License-Identifier: MIT
 *
 * A schema after a transaction: the old one with schema datoms applied, and checked as far as that needs no data.
 *
 * What an entity said before and what it says now are both properties (struct props). Within a transaction retractions
 * are applied before assertions, whatever their order: a changed cardinality-one value comes as both.
 *
 * An entity with a :db/valueType or a :db/cardinality is an attribute. It needs an ident, an id below RI_EID_USER, and
 * a type unless the schema is read-flexible; its cardinality is one if nothing is said. In a read-flexible schema any
 * other property makes one, too, and so does the ident alone if the id is below RI_EID_USER.
 *
 * Cost: O(attributes + idents) for the copy, then O(log n) a datom.
 */
#include "schema_own.h"

#include <stdio.h>

typedef struct props {
    ri_attr attr;
    bool known; /* it was an attribute before */
    bool typed;
    bool cardinal;
} props;

typedef struct builder {
    const ri_schema *old;
    ri_schema *schema;
    size_t cap; /* of schema->attrs */
    uint64_t e; /* whose datoms are at hand */
} builder;

/* ---- copying ---- */

static int put_ident(ri_schema *schema, const char *ident, size_t len, uint64_t e, const char **kept)
{
    bool added;
    ri_bytemap_slot *slot = ri_bytemap_put(&schema->idents, ident, len, &added);
    if (slot == NULL) {
        return RILLE_NOMEM;
    }
    if (added) {
        char *copy = ri_arena_text(&schema->arena, ident, len);
        if (copy == NULL) {
            slot->value = 0;
            slot->key = (const uint8_t *)""; /* never looked at again: the schema is released */
            return RILLE_NOMEM;
        }
        slot->key = (const uint8_t *)copy;
    }
    slot->value = e;
    if (kept != NULL) {
        *kept = (const char *)slot->key;
    }
    return RILLE_OK;
}

static int copy_schema(builder *b)
{
    ri_schema *schema = b->schema;
    b->cap = b->old->attr_count;
    schema->attrs = ri_alloc_array(b->cap, sizeof *schema->attrs);
    if (schema->attrs == NULL) {
        return RILLE_NOMEM;
    }
    for (size_t i = 0; i < b->old->idents.cap; i++) {
        const ri_bytemap_slot *slot = &b->old->idents.slots[i];
        if (slot->key != NULL && slot->value != 0) {
            RI_TRY(put_ident(schema, (const char *)slot->key, slot->len, slot->value, NULL));
        }
    }
    for (size_t i = 0; i < b->old->attr_count; i++) {
        ri_attr attr = b->old->attrs[i];
        RI_TRY(put_ident(schema, attr.ident, attr.ident_len, attr.id, &attr.ident));
        schema->attrs[schema->attr_count++] = attr;
    }
    return RILLE_OK;
}

static bool put_attr(builder *b, const ri_attr *attr)
{
    ri_schema *schema = b->schema;
    size_t i = ri_schema_attr_lower(schema, attr->id);
    if (i == schema->attr_count || schema->attrs[i].id != attr->id) {
        if (!RI_GROW(&schema->attrs, &b->cap, schema->attr_count + 1)) {
            return false;
        }
        memmove(&schema->attrs[i + 1], &schema->attrs[i], (schema->attr_count - i) * sizeof *schema->attrs);
        schema->attr_count++;
    }
    schema->attrs[i] = *attr;
    return true;
}

static void drop_attr(builder *b, uint64_t id)
{
    ri_schema *schema = b->schema;
    size_t i = ri_schema_attr_lower(schema, id);
    if (i < schema->attr_count && schema->attrs[i].id == id) {
        memmove(&schema->attrs[i], &schema->attrs[i + 1], (schema->attr_count - i - 1) * sizeof *schema->attrs);
        schema->attr_count--;
    }
}

/* ---- datoms ---- */

/* Blocks come from storage, too: what a schema attribute's value may be is checked here again. */
static int check_datom(const ri_datom *d, rille_err *err)
{
    uint8_t wanted = RI_BOOL;
    if (d->a == RI_A_IDENT) {
        wanted = RI_KEYWORD;
    } else if (d->a == RI_A_VALUE_TYPE || d->a == RI_A_CARDINALITY || d->a == RI_A_UNIQUE) {
        wanted = RI_REF;
    }
    if (d->v.type != wanted || d->e == 0 || d->e > RI_EID_MAX) {
        return ri_fail(err, RILLE_SCHEMA, "a value of :%s cannot be %s %s", ri_own_ident(d->a),
                       ri_type_article(d->v.type), ri_type_name(d->v.type));
    }
    if (d->e < RI_EID_ATTR) {
        const char *ident = ri_own_ident(d->e);
        return ri_fail(err, RILLE_SCHEMA, "entity %u (:%s) is built in: its :%s cannot be changed", (unsigned)d->e,
                       ident == NULL ? "?" : ident, ri_own_ident(d->a));
    }
    return RILLE_OK;
}

static bool is_reserved(const uint8_t *ident, size_t len)
{
    return len >= 3 && memcmp(ident, "db", 2) == 0 && (ident[2] == '/' || ident[2] == '.');
}

static int assert_ident(builder *b, props *p, const ri_datom *d, rille_err *err)
{
    const char *text = (const char *)d->v.as.p;
    int shown = (int)(d->v.len < 80 ? d->v.len : 80);
    if (is_reserved(d->v.as.p, d->v.len)) {
        return ri_fail(err, RILLE_SCHEMA, "ident :%.*s: names that begin with db/ or db. are reserved", shown, text);
    }
    if (d->v.len > RI_VALUE_INLINE_MAX) {
        return ri_fail(err, RILLE_SCHEMA, "ident :%.*s... is too long: %u bytes (the maximum is %u)", shown, text,
                       d->v.len, RI_VALUE_INLINE_MAX);
    }
    uint64_t holder = ri_schema_ident(b->schema, text, d->v.len);
    if (holder != 0 && holder != d->e) {
        return ri_fail(err, RILLE_SCHEMA, "ident :%.*s is already the ident of entity %llu", shown, text,
                       (unsigned long long)holder);
    }
    const char *kept;
    if (put_ident(b->schema, text, d->v.len, d->e, &kept) != RILLE_OK) {
        return ri_fail_nomem(err);
    }
    p->attr.ident = kept;
    p->attr.ident_len = d->v.len;
    return RILLE_OK;
}

static int wrong_ref(const ri_datom *d, const char *expected, rille_err *err)
{
    const char *found = ri_own_ident(d->v.as.u);
    char number[32];
    (void)snprintf(number, sizeof number, "entity %llu", (unsigned long long)d->v.as.u);
    return ri_fail(err, RILLE_SCHEMA, ":%s of entity %llu is %s%s, expected %s", ri_own_ident(d->a),
                   (unsigned long long)d->e, found == NULL ? "" : ":", found == NULL ? number : found, expected);
}

static int wrong_type(const ri_datom *d, rille_err *err)
{
    char expected[RI_TYPE_LIST_SIZE + 32] = "a type such as :db.type/long: ";
    ri_own_type_list(expected + strlen(expected));
    return wrong_ref(d, expected, err);
}

static int assert_prop(builder *b, props *p, const ri_datom *d, rille_err *err)
{
    uint64_t v = d->v.as.u;
    switch (d->a) {
    case RI_A_IDENT:
        return assert_ident(b, p, d, err);
    case RI_A_VALUE_TYPE:
        if (ri_own_type(v) < 0) {
            return wrong_type(d, err);
        }
        p->attr.type = (uint8_t)ri_own_type(v);
        p->typed = true;
        break;
    case RI_A_CARDINALITY:
        if (v != RI_A_CARD_ONE && v != RI_A_CARD_MANY) {
            return wrong_ref(d, ":db.cardinality/one or :db.cardinality/many", err);
        }
        p->attr.many = v == RI_A_CARD_MANY;
        p->cardinal = true;
        break;
    case RI_A_UNIQUE:
        if (v != RI_A_UNIQUE_VALUE && v != RI_A_UNIQUE_IDENTITY) {
            return wrong_ref(d, ":db.unique/value or :db.unique/identity", err);
        }
        p->attr.unique = v == RI_A_UNIQUE_VALUE ? RI_UNIQUE_VALUE : RI_UNIQUE_IDENTITY;
        break;
    case RI_A_INDEX:
        p->attr.index = v != 0;
        break;
    case RI_A_IS_COMPONENT:
        p->attr.component = v != 0;
        break;
    case RI_A_NO_HISTORY:
        p->attr.no_history = v != 0;
        break;
    default:
        break;
    }
    return RILLE_OK;
}

static void retract_prop(props *p, const ri_datom *d)
{
    switch (d->a) {
    case RI_A_IDENT:
        p->attr.ident = NULL;
        p->attr.ident_len = 0;
        break;
    case RI_A_VALUE_TYPE:
        p->attr.type = RI_NIL;
        p->typed = false;
        break;
    case RI_A_CARDINALITY:
        p->attr.many = false;
        p->cardinal = false;
        break;
    case RI_A_UNIQUE:
        p->attr.unique = RI_UNIQUE_NO;
        break;
    case RI_A_INDEX:
        p->attr.index = false;
        break;
    case RI_A_IS_COMPONENT:
        p->attr.component = false;
        break;
    case RI_A_NO_HISTORY:
        p->attr.no_history = false;
        break;
    default:
        break;
    }
}

/* ---- entities ---- */

static int check_attr(const builder *b, const props *p, uint64_t e, rille_err *err)
{
    const ri_attr *attr = &p->attr;
    if (attr->ident == NULL) {
        return ri_fail(err, RILLE_SCHEMA, "attribute %llu has no :db/ident: add one, such as :person/name",
                       (unsigned long long)e);
    }
    if (e >= RI_EID_USER) {
        return ri_fail(err, RILLE_SCHEMA,
                       "entity %llu (:%s) is not an attribute and cannot become one: define the attribute with a "
                       "tempid or without :db/id",
                       (unsigned long long)e, attr->ident);
    }
    if (!p->typed && !b->schema->read_flexible) {
        return ri_fail(err, RILLE_SCHEMA, "attribute :%s has no :db/valueType: add one, such as :db.type/string",
                       attr->ident);
    }
    if (attr->component && attr->type != RI_REF) {
        return ri_fail(err, RILLE_SCHEMA, "attribute :%s: :db/isComponent requires :db/valueType :db.type/ref",
                       attr->ident);
    }
    return RILLE_OK;
}

static int finish_entity(builder *b, const props *p, uint64_t e, rille_err *err)
{
    const ri_attr *attr = &p->attr;
    bool has_more = attr->unique != RI_UNIQUE_NO || attr->index || attr->component || attr->no_history;
    bool free_type = b->schema->read_flexible && (has_more || (attr->ident != NULL && e < RI_EID_USER));
    if (p->typed || p->cardinal || free_type) {
        RI_TRY(check_attr(b, p, e, err));
        return put_attr(b, attr) ? RILLE_OK : ri_fail_nomem(err);
    }
    if (has_more) {
        return ri_fail(
            err, RILLE_SCHEMA,
            "entity %llu%s%s has properties of an attribute, but no :db/valueType: add one, such as :db.type/string",
            (unsigned long long)e, attr->ident == NULL ? "" : " :", attr->ident == NULL ? "" : attr->ident);
    }
    if (p->known) {
        drop_attr(b, e);
    }
    return RILLE_OK;
}

static props props_before(const builder *b, uint64_t e)
{
    const ri_attr *attr = ri_schema_attr_by_id(b->schema, e);
    props p = { .attr = { .id = (uint32_t)(e < RI_EID_USER ? e : 0) } };
    if (attr != NULL) {
        p = (props){ .attr = *attr, .known = true, .typed = attr->type != RI_NIL, .cardinal = true };
    }
    return p;
}

/* d[0..count) are the schema datoms of one entity, and others in between, which are skipped. */
static int apply_entity(builder *b, const ri_datom *d, size_t count, rille_err *err)
{
    props p = props_before(b, d->e);
    bool named = p.known;
    for (size_t i = 0; i < count; i++) {
        if (ri_is_schema_attr(d[i].a) && !d[i].added) {
            retract_prop(&p, &d[i]);
            named = named || d[i].a == RI_A_IDENT;
        }
    }
    if (p.known && !p.typed && p.attr.ident == NULL) {
        p.cardinal = false; /* it goes altogether; a cardinality that was never said cannot be retracted */
    }
    for (size_t i = 0; i < count; i++) {
        if (ri_is_schema_attr(d[i].a) && d[i].added) {
            RI_TRY(assert_prop(b, &p, &d[i], err));
            named = named || d[i].a == RI_A_IDENT;
        }
    }
    if (!named) { /* an entity that has its name from before */
        p.attr.ident = ri_schema_ident_of(b->schema, d->e);
        p.attr.ident_len = p.attr.ident == NULL ? 0 : (uint32_t)strlen(p.attr.ident);
    }
    return finish_entity(b, &p, d->e, err);
}

/* Names that are given up must be free before any is taken. */
static int free_idents(builder *b, const ri_datom *d, size_t count, rille_err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!ri_is_schema_attr(d[i].a)) {
            continue;
        }
        b->e = d[i].e;
        RI_TRY(check_datom(&d[i], err));
        uint64_t *e =
            d[i].a != RI_A_IDENT || d[i].added ? NULL : ri_bytemap_get(&b->schema->idents, d[i].v.as.p, d[i].v.len);
        if (e != NULL && *e == d[i].e) {
            *e = 0;
        }
    }
    return RILLE_OK;
}

static int apply(builder *b, const ri_datom *d, size_t count, rille_err *err)
{
    if (copy_schema(b) != RILLE_OK) {
        return ri_fail_nomem(err);
    }
    RI_TRY(free_idents(b, d, count, err));
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;
        bool any = ri_is_schema_attr(d[i].a);
        while (end < count && d[end].e == d[i].e) {
            any = any || ri_is_schema_attr(d[end].a);
            end++;
        }
        b->e = d[i].e;
        if (any) {
            RI_TRY(apply_entity(b, d + i, end - i, err));
        }
        i = end;
    }
    return ri_schema_derive(b->schema) ? RILLE_OK : ri_fail_nomem(err);
}

int ri_schema_apply(const ri_schema *schema, const ri_datom *d, size_t count, ri_schema **out, uint64_t *wrong,
                    rille_err *err)
{
    *out = NULL;
    builder b = { .old = schema, .schema = ri_alloc_zero(sizeof *b.schema) };
    if (b.schema == NULL) {
        return ri_fail_nomem(err);
    }
    ri_refs_init(&b.schema->refs);
    b.schema->read_flexible = schema->read_flexible;
    int rc = apply(&b, d, count, err);
    if (rc != RILLE_OK) {
        ri_schema_release(b.schema);
        if (wrong != NULL) {
            *wrong = b.e;
        }
        return rc;
    }
    *out = b.schema;
    return RILLE_OK;
}
