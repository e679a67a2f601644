/* SPDX-License-Identifier: MIT
 *
 * Transaction data as EDN: entity maps and operations -> items.
 *
 *   data      [form ...] or (form ...)                 nil forms are skipped; nil is not a value
 *   map       {:db/id entity, attribute value, attribute [value ...], :ns/_attribute entity ...}
 *   operation [:db/add e a v]  [:db/retract e a v?]  [:db/retractEntity e]  [:db.fn/retractAttribute e a]
 *             [:db/cas e a old new]
 *   entity    id | negative number or string: tempid | [unique-attribute value] | ident | "datomic.tx"
 *
 * A vector or list is many values of an attribute of cardinality many; but for a ref, [a v] with a unique attribute a
 * is a lookup ref, and for a tuple or floats a vector of scalars is one value.
 *
 * Recursion follows the nesting of forms, which the reader limits (RI_EDN_DEPTH_MAX).
 */
#include "tx.h"

#include <stdio.h>

typedef struct filler {
    ri_tx *tx;
    rille_err *err;
    unsigned depth; /* of nested maps */
} filler;

#define SHOWN_BYTES 80U

static int fill_map(filler *f, const ri_form *map, ri_ent *out);

/* The form's text for a message, cut. */
static const char *show(const ri_form *form, char out[SHOWN_BYTES + 4])
{
    ri_buf text = { 0 };
    ri_edn_write(&text, form);
    size_t len = text.failed ? 0 : text.len;
    bool cut = len > SHOWN_BYTES;
    if (cut) {
        len = SHOWN_BYTES;
        while (len > 0 && (text.p[len] & 0xc0) == 0x80) { /* not within a character */
            len--;
        }
    }
    if (len > 0) {
        memcpy(out, text.p, len);
    }
    memcpy(out + len, cut ? "..." : "", cut ? 4 : 1);
    ri_buf_deinit(&text);
    return out;
}

static int syntax(const filler *f, const ri_form *form, const char *expected)
{
    char shown[SHOWN_BYTES + 4];
    return ri_fail(f->err, RILLE_TX_SYNTAX, "%s in transaction data: expected %s", show(form, shown), expected);
}

static bool is_sequence(const ri_form *form)
{
    return form->kind == RI_FORM_VECTOR || form->kind == RI_FORM_LIST;
}

static bool is_text(const ri_form *form, const char *text)
{
    size_t len = strlen(text);
    const ri_value *v = &form->u.v;
    size_t colon = (ri_form_is(form, RI_STRING) && v->len > 0 && v->as.p[0] == ':') ? 1 : 0;
    return (ri_form_is(form, RI_KEYWORD) || ri_form_is(form, RI_STRING)) && v->len - colon == len &&
           memcmp(v->as.p + colon, text, len) == 0;
}

static int wrong_type(const filler *f, const ri_attr *attr, const ri_form *form, const char *hint)
{
    char shown[SHOWN_BYTES + 4];
    return ri_fail(f->err, RILLE_TYPE, "attribute :%s: %s is not %s %s%s", attr->ident, show(form, shown),
                   ri_type_article(attr->type), attr->type == RI_NIL ? "plain value" : ri_type_name(attr->type), hint);
}

/* ---- attributes ---- */

static int attr_of(filler *f, const ri_form *form, const ri_attr **out)
{
    if (ri_form_is(form, RI_KEYWORD) || ri_form_is(form, RI_STRING)) {
        return ri_tx_attr(f->tx, (const char *)form->u.v.as.p, form->u.v.len, out, f->err);
    }
    if (ri_form_is(form, RI_LONG) && form->u.v.as.i > 0) {
        *out = ri_schema_attr_by_id(ri_tx_db(f->tx)->schema, (uint64_t)form->u.v.as.i);
        if (*out == NULL) {
            return ri_fail(f->err, RILLE_ATTRIBUTE, "attribute %lld is not in the schema", (long long)form->u.v.as.i);
        }
        return RILLE_OK;
    }
    return syntax(f, form, "an attribute, such as :person/name");
}

/* Where the underscore of :ns/_name stands; NULL: an attribute looked along. */
static const uint8_t *reverse_mark(const ri_form *key)
{
    const uint8_t *p = key->u.v.as.p;
    const uint8_t *slash = key->u.v.len == 0 ? NULL : memchr(p, '/', key->u.v.len);
    const uint8_t *name = slash == NULL ? p : slash + 1;
    size_t left = key->u.v.len - (size_t)(name - p);
    return left > 1 && *name == '_' ? name : NULL;
}

static int reverse_attr(filler *f, const ri_form *key, const uint8_t *mark, const ri_attr **out)
{
    size_t before = (size_t)(mark - key->u.v.as.p);
    size_t len = key->u.v.len - 1;
    char *ident = ri_arena_alloc(ri_tx_arena(f->tx), len);
    if (ident == NULL) {
        return ri_fail_nomem(f->err);
    }
    if (before > 0) {
        memcpy(ident, key->u.v.as.p, before);
    }
    memcpy(ident + before, mark + 1, len - before);
    RI_TRY(ri_tx_attr(f->tx, ident, len, out, f->err));
    if ((*out)->type != RI_REF) {
        return ri_fail(f->err, RILLE_TYPE, "attribute :%s is of type %s: it cannot be used in reverse, only refs can",
                       (*out)->ident, (*out)->type == RI_NIL ? "any" : ri_type_name((*out)->type));
    }
    return RILLE_OK;
}

/* ---- values ---- */

static int write_tuple(filler *f, const ri_form *form, ri_buf *out, unsigned depth)
{
    for (uint32_t i = 0; i < form->u.seq.count; i++) {
        const ri_form *item = &form->u.seq.items[i];
        if (item->kind == RI_FORM_VALUE) {
            ri_value_write(out, &item->u.v);
        } else if (is_sequence(item) && depth < RI_TUPLE_DEPTH_MAX) {
            ri_buf nested = { 0 };
            int rc = write_tuple(f, item, &nested, depth + 1);
            ri_value v = ri_bytes_value(RI_TUPLE, nested.p, nested.len);
            if (rc == RILLE_OK && !nested.failed && nested.len <= RI_VALUE_BYTES_MAX) {
                ri_value_write(out, &v);
            } else {
                out->failed = true;
            }
            ri_buf_deinit(&nested);
            RI_TRY(rc);
        } else {
            return syntax(f, item, "a scalar or a vector in a tuple");
        }
    }
    return RILLE_OK;
}

static int write_floats(filler *f, const ri_attr *attr, const ri_form *form, ri_buf *out)
{
    for (uint32_t i = 0; i < form->u.seq.count; i++) {
        const ri_form *item = &form->u.seq.items[i];
        double d;
        if (ri_form_is(item, RI_LONG)) {
            d = (double)item->u.v.as.i;
        } else if (ri_form_is(item, RI_DOUBLE) || (item->kind == RI_FORM_DOUBLE && item->u.v.as.d == item->u.v.as.d)) {
            d = item->u.v.as.d;
        } else {
            return wrong_type(f, attr, form, ": expected only numbers in it");
        }
        float narrow = (float)d;
        uint32_t bits;
        memcpy(&bits, &narrow, sizeof bits);
        ri_buf_put_u32(out, bits);
    }
    return RILLE_OK;
}

static int sequence_value(filler *f, const ri_attr *attr, const ri_form *form, ri_value *out)
{
    ri_buf bytes = { 0 };
    bool tuple = attr->type == RI_TUPLE;
    int rc = tuple ? write_tuple(f, form, &bytes, 1) : write_floats(f, attr, form, &bytes);
    if (rc == RILLE_OK && bytes.failed) {
        rc = ri_fail_nomem(f->err);
    }
    if (rc == RILLE_OK && bytes.len > RI_VALUE_INLINE_MAX) {
        rc = ri_fail(f->err, RILLE_LIMIT, "attribute :%s: the %s is too long: %zu bytes (the maximum is %u)",
                     attr->ident, ri_type_name(attr->type), bytes.len, RI_VALUE_INLINE_MAX);
    }
    if (rc == RILLE_OK) {
        *out = ri_bytes_value((ri_type)attr->type, ri_arena_copy(ri_tx_arena(f->tx), bytes.p, bytes.len), bytes.len);
        rc = out->as.p == NULL ? ri_fail_nomem(f->err) : ri_value_valid(out) ? RILLE_OK : wrong_type(f, attr, form, "");
    }
    ri_buf_deinit(&bytes);
    return rc;
}

/* A value of an attribute that is no ref. *copy: it borrows from the form. */
static int value_of(filler *f, const ri_attr *attr, const ri_form *form, ri_value *out, bool *copy)
{
    *copy = false;
    if (form->kind == RI_FORM_TAGGED && attr->type == RI_FLOATS &&
        ri_form_is_symbol(&form->u.seq.items[0], "rille/floats")) {
        form = &form->u.seq.items[1];
    }
    if (is_sequence(form) && (attr->type == RI_TUPLE || attr->type == RI_FLOATS)) {
        return sequence_value(f, attr, form, out);
    }
    if (form->kind == RI_FORM_DOUBLE && attr->type == RI_DOUBLE && form->u.v.as.d == form->u.v.as.d) {
        *out = ri_double(form->u.v.as.d);
        return RILLE_OK;
    }
    if (form->kind != RI_FORM_VALUE) {
        bool collection = is_sequence(form) || form->kind == RI_FORM_SET;
        return wrong_type(f, attr, form, collection && !attr->many ? ": the attribute has cardinality one" : "");
    }
    if (form->u.v.type == RI_NIL) {
        return wrong_type(f, attr, form, ": to remove a value, use :db/retract");
    }
    RI_TRY(ri_attr_convert(attr, &form->u.v, true, ri_tx_arena(f->tx), out, f->err));
    *copy = !ri_type_is_word(out->type) && out->as.p == form->u.v.as.p;
    return RILLE_OK;
}

/* ---- entities ---- */

static int lookup_of(filler *f, const ri_form *form, ri_ent *out)
{
    const ri_attr *attr;
    ri_value v;
    bool copy;
    RI_TRY(attr_of(f, &form->u.seq.items[0], &attr));
    const ri_form *value = &form->u.seq.items[1];
    if (attr->type == RI_REF) {
        ri_ent target = { RI_ENT_ID, { 0 } };
        if (ri_form_is(value, RI_KEYWORD)) {
            RI_TRY(ri_tx_ident(f->tx, (const char *)value->u.v.as.p, value->u.v.len, &target, f->err));
            v = ri_ref(target.u.id);
            return ri_tx_lookup(f->tx, attr, &v, out, f->err);
        }
    }
    RI_TRY(value_of(f, attr, value, &v, &copy));
    return ri_tx_lookup(f->tx, attr, &v, out, f->err);
}

static bool is_tx_name(const ri_form *form)
{
    return is_text(form, "db/current-tx") ||
           (ri_form_is(form, RI_STRING) && (is_text(form, "datomic.tx") || is_text(form, "datahike.tx")));
}

static int entity_of(filler *f, const ri_form *form, ri_ent *out)
{
    if (is_tx_name(form)) {
        *out = (ri_ent){ RI_ENT_TX, { 0 } };
        return RILLE_OK;
    }
    const ri_value *v = &form->u.v;
    if (ri_form_is(form, RI_LONG) && v->as.i != 0) {
        if (v->as.i < 0) {
            return ri_tx_temp_number(f->tx, v->as.i, out, f->err);
        }
        *out = (ri_ent){ RI_ENT_ID, { .id = v->as.u } };
        return RILLE_OK;
    }
    if (ri_form_is(form, RI_STRING)) {
        return ri_tx_temp_named(f->tx, (const char *)v->as.p, v->len, out, f->err);
    }
    if (ri_form_is(form, RI_KEYWORD)) {
        return ri_tx_ident(f->tx, (const char *)v->as.p, v->len, out, f->err);
    }
    if (is_sequence(form) && form->u.seq.count == 2) {
        return lookup_of(f, form, out);
    }
    return syntax(f, form, "an entity: an id, a tempid (a negative number or a string), an ident or a lookup ref");
}

/* What a ref's value names; a map makes an entity. */
static int target_of(filler *f, const ri_attr *attr, const ri_form *form, ri_ent *out)
{
    if (form->kind == RI_FORM_MAP) {
        return fill_map(f, form, out);
    }
    bool entity = ri_form_is(form, RI_LONG) || ri_form_is(form, RI_STRING) || ri_form_is(form, RI_KEYWORD) ||
                  (is_sequence(form) && form->u.seq.count == 2);
    return entity ? entity_of(f, form, out)
                  : wrong_type(f, attr, form, ": expected an id, a tempid, an ident, a lookup ref or a map");
}

/* ---- items ---- */

static int add_one(filler *f, ri_ent e, const ri_attr *attr, const ri_form *form)
{
    if (attr->type == RI_REF) {
        ri_ent target;
        RI_TRY(target_of(f, attr, form, &target));
        return ri_tx_add_ref(f->tx, e, attr, target, f->err);
    }
    ri_value v;
    bool copy;
    RI_TRY(value_of(f, attr, form, &v, &copy));
    return ri_tx_add(f->tx, e, attr, &v, copy, f->err);
}

/* [a v] with a unique attribute a. */
static bool is_lookup(const filler *f, const ri_form *form)
{
    if (!is_sequence(form) || form->u.seq.count != 2 || !ri_form_is(&form->u.seq.items[0], RI_KEYWORD)) {
        return false;
    }
    const ri_value *ident = &form->u.seq.items[0].u.v;
    const ri_attr *attr = ri_schema_attr(ri_tx_db(f->tx)->schema, (const char *)ident->as.p, ident->len);
    return attr != NULL && attr->unique != RI_UNIQUE_NO;
}

/* Is the form several values of the attribute, rather than one? */
static bool is_many(const filler *f, const ri_attr *attr, const ri_form *form)
{
    if (form->kind == RI_FORM_SET) {
        return true;
    }
    if (!is_sequence(form)) {
        return false;
    }
    if (attr->type == RI_REF) {
        return !is_lookup(f, form);
    }
    bool composite = attr->type == RI_TUPLE || attr->type == RI_FLOATS;
    return !composite || form->u.seq.count == 0 || is_sequence(&form->u.seq.items[0]);
}

static int refuse_nil(const filler *f, const ri_attr *attr, const ri_form *form)
{
    return !ri_form_is(form, RI_NIL)
               ? RILLE_OK
               : ri_fail(f->err, RILLE_TX_SYNTAX,
                         "attribute :%s: nil is not a value: omit the attribute, or remove a value with :db/retract",
                         attr->ident);
}

static int add_values(filler *f, ri_ent e, const ri_attr *attr, const ri_form *form)
{
    RI_TRY(refuse_nil(f, attr, form));
    if (!attr->many || !is_many(f, attr, form)) {
        return add_one(f, e, attr, form);
    }
    for (uint32_t i = 0; i < form->u.seq.count; i++) {
        RI_TRY(refuse_nil(f, attr, &form->u.seq.items[i]));
        RI_TRY(add_one(f, e, attr, &form->u.seq.items[i]));
    }
    return RILLE_OK;
}

/* Every entity that the form names refers to e. */
static int add_reverse(filler *f, ri_ent e, const ri_attr *attr, const ri_form *form)
{
    RI_TRY(refuse_nil(f, attr, form));
    ri_ent from;
    if (!is_many(f, attr, form)) {
        RI_TRY(target_of(f, attr, form, &from));
        return ri_tx_add_ref(f->tx, from, attr, e, f->err);
    }
    for (uint32_t i = 0; i < form->u.seq.count; i++) {
        RI_TRY(refuse_nil(f, attr, &form->u.seq.items[i]));
        RI_TRY(target_of(f, attr, &form->u.seq.items[i], &from));
        RI_TRY(ri_tx_add_ref(f->tx, from, attr, e, f->err));
    }
    return RILLE_OK;
}

static int fill_entry(filler *f, ri_ent e, const ri_form *key, const ri_form *value)
{
    const ri_attr *attr;
    const uint8_t *mark = ri_form_is(key, RI_KEYWORD) || ri_form_is(key, RI_STRING) ? reverse_mark(key) : NULL;
    if (mark != NULL) {
        RI_TRY(reverse_attr(f, key, mark, &attr));
        return add_reverse(f, e, attr, value);
    }
    RI_TRY(attr_of(f, key, &attr));
    return add_values(f, e, attr, value);
}

static int map_entity(filler *f, const ri_form *map, ri_ent *out)
{
    for (uint32_t i = 0; i < map->u.seq.count; i += 2) {
        const ri_form *value = &map->u.seq.items[i + 1];
        if (is_text(&map->u.seq.items[i], "db/id")) {
            return entity_of(f, value, out);
        }
    }
    return ri_tx_temp_fresh(f->tx, out, f->err);
}

static int fill_map(filler *f, const ri_form *map, ri_ent *out)
{
    if (f->depth == RI_EDN_DEPTH_MAX) {
        return ri_fail(f->err, RILLE_LIMIT, "entity maps are nested too deeply (the maximum depth is %d)",
                       RI_EDN_DEPTH_MAX);
    }
    RI_TRY(map_entity(f, map, out));
    f->depth++;
    for (uint32_t i = 0; i < map->u.seq.count; i += 2) {
        if (!is_text(&map->u.seq.items[i], "db/id")) {
            RI_TRY(fill_entry(f, *out, &map->u.seq.items[i], &map->u.seq.items[i + 1]));
        }
    }
    f->depth--;
    return RILLE_OK;
}

/* ---- operations ---- */

typedef enum op_kind { OP_ADD, OP_RETRACT, OP_RETRACT_ENTITY, OP_RETRACT_ATTRIBUTE, OP_CAS } op_kind;

typedef struct op_info {
    const char *name;
    op_kind kind;
    uint8_t count_min; /* of the whole form */
    uint8_t count_max;
    const char *shape;
} op_info;

static const op_info operations[] = {
    { "db/add", OP_ADD, 4, 4, "[:db/add e a v]" },
    { "db/retract", OP_RETRACT, 3, 4, "[:db/retract e a v] or [:db/retract e a]" },
    { "db/retractEntity", OP_RETRACT_ENTITY, 2, 2, "[:db/retractEntity e]" },
    { "db.fn/retractEntity", OP_RETRACT_ENTITY, 2, 2, "[:db.fn/retractEntity e]" },
    { "db/retractAttribute", OP_RETRACT_ATTRIBUTE, 3, 3, "[:db/retractAttribute e a]" },
    { "db.fn/retractAttribute", OP_RETRACT_ATTRIBUTE, 3, 3, "[:db.fn/retractAttribute e a]" },
    { "db/cas", OP_CAS, 5, 5, "[:db/cas e a old new]" },
    { "db.fn/cas", OP_CAS, 5, 5, "[:db.fn/cas e a old new]" },
};

static int fill_retract(filler *f, ri_ent e, const ri_attr *attr, const ri_form *form)
{
    ri_value v;
    bool copy;
    if (attr->type == RI_REF && !ri_form_is(form, RI_NIL)) {
        ri_ent target;
        if (form->kind == RI_FORM_MAP) {
            return syntax(f, form, "the value to retract: an id, an ident or a lookup ref");
        }
        RI_TRY(target_of(f, attr, form, &target));
        return ri_tx_retract_ref(f->tx, e, attr, target, f->err);
    }
    RI_TRY(value_of(f, attr, form, &v, &copy));
    return ri_tx_retract(f->tx, e, attr, &v, f->err);
}

static int cas_value(filler *f, const ri_attr *attr, const ri_form *form, ri_value *out)
{
    bool copy;
    if (attr->type == RI_REF && ri_form_is(form, RI_KEYWORD)) {
        ri_ent target;
        RI_TRY(ri_tx_ident(f->tx, (const char *)form->u.v.as.p, form->u.v.len, &target, f->err));
        *out = ri_ref(target.u.id);
        return RILLE_OK;
    }
    return value_of(f, attr, form, out, &copy);
}

static int fill_cas(filler *f, ri_ent e, const ri_attr *attr, const ri_form *old_form, const ri_form *new_form)
{
    ri_value old_v = ri_nil();
    ri_value new_v;
    bool none = ri_form_is(old_form, RI_NIL);
    if (!none) {
        RI_TRY(cas_value(f, attr, old_form, &old_v));
    }
    RI_TRY(cas_value(f, attr, new_form, &new_v));
    return ri_tx_cas(f->tx, e, attr, none ? NULL : &old_v, &new_v, f->err);
}

static const op_info *find_operation(const ri_form *name)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (is_text(name, operations[i].name)) {
            return &operations[i];
        }
    }
    return NULL;
}

static int fill_operation(filler *f, const ri_form *form)
{
    const ri_form *items = form->u.seq.items;
    const op_info *op = form->u.seq.count == 0 ? NULL : find_operation(&items[0]);
    if (op == NULL) {
        return syntax(f, form,
                      "an operation: :db/add, :db/retract, :db/retractEntity, :db.fn/retractAttribute or :db/cas");
    }
    if (form->u.seq.count < op->count_min || form->u.seq.count > op->count_max) {
        return syntax(f, form, op->shape);
    }
    ri_ent e;
    const ri_attr *attr = NULL;
    RI_TRY(entity_of(f, &items[1], &e));
    if (op->kind != OP_RETRACT_ENTITY) {
        RI_TRY(attr_of(f, &items[2], &attr));
    }
    switch (op->kind) {
    case OP_ADD:
        return add_one(f, e, attr, &items[3]);
    case OP_RETRACT:
        return form->u.seq.count == 3 ? ri_tx_retract(f->tx, e, attr, NULL, f->err)
                                      : fill_retract(f, e, attr, &items[3]);
    case OP_RETRACT_ENTITY:
        return ri_tx_retract_entity(f->tx, e, f->err);
    case OP_RETRACT_ATTRIBUTE:
        return ri_tx_retract(f->tx, e, attr, NULL, f->err);
    case OP_CAS:
        return fill_cas(f, e, attr, &items[3], &items[4]);
    }
    return RILLE_OK;
}

static int fill_item(filler *f, const ri_form *item)
{
    if (item->kind == RI_FORM_MAP) {
        ri_ent ignored;
        return fill_map(f, item, &ignored);
    }
    if (is_sequence(item)) {
        return fill_operation(f, item);
    }
    return ri_form_is(item, RI_NIL) ? RILLE_OK : syntax(f, item, "an entity map or an operation");
}

int ri_tx_fill_edn(ri_tx *tx, const ri_form *form, rille_err *err)
{
    filler f = { tx, err, 0 };
    if (!is_sequence(form)) {
        return syntax(&f, form, "a vector of entity maps and operations");
    }
    for (uint32_t i = 0; i < form->u.seq.count; i++) {
        int rc = fill_item(&f, &form->u.seq.items[i]);
        if (rc != RILLE_OK) {
            ri_err_prefix(err, "transaction data, item %u", (unsigned)i + 1U);
            return rc;
        }
    }
    return RILLE_OK;
}
