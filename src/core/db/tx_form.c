/* SPDX-License-Identifier: MIT
 *
 * Transaction data as forms: entity maps -> items. One reader for both notations: EDN text as its forms, Lua data as
 * the forms that the binding makes of it.
 *
 *   data      [form ...] or (form ...)                 nil forms are skipped; nil is no value
 *   map       {:db/id entity, attribute value, attribute [value ...], :ns/_attribute entity ...}
 *   operation see tx_form_op.c
 *   entity    id | negative number or string: tempid | [unique-attribute value] | ident | "datomic.tx"
 *
 * A string with a leading colon is an ident; so is any string as a value of one of the engine's own attributes.
 *
 * In a map, a vector is many values of an attribute of cardinality many; but for a ref, [a v] with a unique attribute a
 * is a lookup ref, and for a tuple or floats a vector that does not begin with a vector is one value. For an attribute
 * of any type a vector is a tuple.
 *
 * WHAT DIFFERS BY NOTATION (ri_tx_filler.lua): Lua has no keywords in its syntax, so a pair of strings may be a lookup
 * ref; and its numbers and strings become values of the attribute's type where nothing is lost, while in EDN only
 * integers widen.
 *
 * Recursion follows the nesting of forms, which their readers limit.
 */
#include "tx_form.h"

#include "tx_inside.h"

#include <stdio.h>

static int fill_map(filler *f, const ri_form *map, ri_ent *out);

static const char *noun(const ri_form *form)
{
    switch ((ri_form_kind)form->kind) {
    case RI_FORM_VALUE:
        return ri_type_name(form->u.v.type);
    case RI_FORM_CHAR:
        return "character";
    case RI_FORM_DOUBLE:
        return form->u.v.as.d != form->u.v.as.d ? "NaN" : "double";
    case RI_FORM_LIST:
    case RI_FORM_VECTOR:
        return "list";
    case RI_FORM_SET:
        return "set";
    case RI_FORM_MAP:
        return "map";
    case RI_FORM_TAGGED:
        return "tagged form";
    }
    return "form";
}

static int wrong_type(const filler *f, const ri_attr *attr, const ri_form *form, const char *hint)
{
    char shown[FORM_SHOWN_SIZE];
    bool plain = attr->type == RI_NIL;
    return ri_fail(f->err, RILLE_TYPE, "attribute :%s: %s is a %s, expected %s %s%s", attr->ident,
                   ri_tx_form_show(f, form, shown), noun(form), ri_type_article(attr->type),
                   plain ? "plain value" : ri_type_name(attr->type), hint);
}

/* ---- attributes ---- */

int ri_tx_form_attr(filler *f, const ri_form *form, const ri_attr **out)
{
    if (ri_tx_form_is_name(form)) {
        return ri_tx_attr(f->tx, (const char *)form->u.v.as.p, form->u.v.len, out, f->err);
    }
    if (ri_form_is(form, RI_LONG) && form->u.v.as.i > 0) {
        *out = ri_schema_attr_by_id(ri_tx_db(f->tx)->schema, form->u.v.as.u);
        if (*out == NULL) {
            return ri_fail(f->err, RILLE_ATTRIBUTE, "attribute %lld is not in the schema", (long long)form->u.v.as.i);
        }
        return RILLE_OK;
    }
    return ri_tx_form_syntax(f, form, "an attribute, such as :person/name");
}

/* Where the underscore of ns/_name is; NULL: it is no reverse attribute. */
static const char *reverse_mark(const filler *f, const char *key, size_t len)
{
    const char *slash = len == 0 ? NULL : memchr(key, '/', len);
    const char *name = slash == NULL ? key : slash + 1;
    bool is_reverse =
        (size_t)(key + len - name) > 1 && *name == '_' && ri_schema_attr(ri_tx_db(f->tx)->schema, key, len) == NULL;
    return is_reverse ? name : NULL;
}

static int reverse_attr(filler *f, const char *key, size_t len, const char *mark, const ri_attr **out)
{
    size_t before = (size_t)(mark - key);
    char *ident = ri_arena_alloc(ri_tx_arena(f->tx), len);
    if (ident == NULL) {
        return ri_fail_nomem(f->err);
    }
    memcpy(ident, key, before);
    memcpy(ident + before, mark + 1, len - 1 - before);
    RI_TRY(ri_tx_attr(f->tx, ident, len - 1, out, f->err));
    if ((*out)->type != RI_REF) {
        return ri_fail(f->err, RILLE_TYPE, "attribute :%s is of type %s: it cannot be used in reverse, only refs can",
                       (*out)->ident, (*out)->type == RI_NIL ? "any" : ri_type_name((*out)->type));
    }
    return RILLE_OK;
}

/* ---- values ---- */

/* A number or string of a tuple, as it is stored; false: it is no value. */
static bool element_value(const ri_form *item, ri_value *out)
{
    *out = item->u.v;
    if (item->kind == RI_FORM_DOUBLE || ri_form_is(item, RI_DOUBLE)) {
        *out = ri_double(out->as.d == 0 ? 0 : out->as.d); /* of -0, too */
        return out->as.d == out->as.d;
    }
    return item->kind == RI_FORM_VALUE;
}

static int write_tuple(filler *f, const ri_attr *attr, const ri_form *form, ri_buf *out, unsigned depth)
{
    for (uint32_t i = 0; i < form->u.seq.count; i++) {
        const ri_form *item = &form->u.seq.items[i];
        ri_value v;
        if (element_value(item, &v)) {
            if (v.type == RI_STRING && !ri_utf8_valid(v.as.p, v.len)) {
                return ri_fail(f->err, RILLE_TYPE, "attribute :%s: element %u of a tuple is not valid UTF-8",
                               attr->ident, (unsigned)i + 1U);
            }
            ri_value_write(out, &v);
        } else if (ri_tx_form_is_sequence(item) && depth < RI_TUPLE_DEPTH_MAX) {
            ri_buf nested = { 0 };
            int rc = write_tuple(f, attr, item, &nested, depth + 1);
            v = ri_bytes_value(RI_TUPLE, nested.p, nested.len);
            if (rc == RILLE_OK && !nested.failed && nested.len <= RI_VALUE_BYTES_MAX) {
                ri_value_write(out, &v);
            } else {
                out->failed = true;
            }
            ri_buf_deinit(&nested);
            RI_TRY(rc);
        } else if (ri_tx_form_is_sequence(item)) {
            return ri_fail(f->err, RILLE_LIMIT, "attribute :%s: tuples are nested too deeply (the maximum depth is %d)",
                           attr->ident, RI_TUPLE_DEPTH_MAX);
        } else {
            return ri_tx_form_syntax(f, item, "a scalar or a vector in a tuple");
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
            char shown[FORM_SHOWN_SIZE];
            return ri_fail(f->err, RILLE_TYPE, "attribute :%s: element %u is %s, but floats hold only numbers",
                           attr->ident, (unsigned)i + 1U, ri_tx_form_show(f, item, shown));
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
    bool floats = attr->type == RI_FLOATS;
    ri_type type = floats ? RI_FLOATS : RI_TUPLE;
    int rc = floats ? write_floats(f, attr, form, &bytes) : write_tuple(f, attr, form, &bytes, 1);
    if (rc == RILLE_OK && bytes.failed) {
        rc = ri_fail_nomem(f->err);
    }
    if (rc == RILLE_OK && bytes.len > RI_VALUE_INLINE_MAX) {
        rc = ri_fail(f->err, RILLE_LIMIT, "attribute :%s: the %s is too long: %zu bytes (the maximum is %u)",
                     attr->ident, ri_type_name((uint8_t)type), bytes.len, RI_VALUE_INLINE_MAX);
    }
    if (rc == RILLE_OK) {
        *out = ri_bytes_value(type, ri_arena_copy(ri_tx_arena(f->tx), bytes.p, bytes.len), bytes.len);
        rc = out->as.p == NULL ? ri_fail_nomem(f->err) : ri_value_valid(out) ? RILLE_OK : wrong_type(f, attr, form, "");
    }
    ri_buf_deinit(&bytes);
    return rc;
}

/* Values that are not plain scalars. */
static int composite_value(filler *f, const ri_attr *attr, const ri_form *form, ri_value *out)
{
    bool takes_double = attr->type == RI_DOUBLE || attr->type == RI_NIL;
    if (form->kind == RI_FORM_TAGGED && attr->type == RI_FLOATS &&
        ri_form_is_symbol(&form->u.seq.items[0], "rille/floats")) {
        form = &form->u.seq.items[1];
    }
    if (ri_tx_form_is_sequence(form) && (attr->type == RI_TUPLE || attr->type == RI_FLOATS || attr->type == RI_NIL)) {
        return sequence_value(f, attr, form, out);
    }
    if (form->kind == RI_FORM_DOUBLE && takes_double && form->u.v.as.d == form->u.v.as.d) {
        *out = ri_double(form->u.v.as.d);
        return RILLE_OK;
    }
    bool collection = ri_tx_form_is_sequence(form) || form->kind == RI_FORM_SET;
    return wrong_type(f, attr, form,
                      !collection  ? ""
                      : attr->many ? ": an operation has one value"
                                   : ": the attribute has one value (cardinality one)");
}

static bool borrows(const ri_value *v, const ri_value *from)
{
    uintptr_t at = (uintptr_t)v->as.p;
    uintptr_t start = (uintptr_t)from->as.p;
    return !ri_type_is_word(from->type) && at >= start && at - start <= from->len;
}

int ri_tx_form_value(filler *f, const ri_attr *attr, const ri_form *form, ri_value *out, bool *copy)
{
    *copy = false;
    if (form->kind != RI_FORM_VALUE) {
        return composite_value(f, attr, form, out);
    }
    if (form->u.v.type == attr->type && ri_type_is_word(attr->type) && attr->type != RI_DOUBLE) {
        *out = form->u.v;
        return RILLE_OK;
    }
    if (form->u.v.type == attr->type && attr->type == RI_STRING && ri_utf8_valid(form->u.v.as.p, form->u.v.len)) {
        *out = form->u.v;
        *copy = !f->lua || f->copies;
        return RILLE_OK;
    }
    if (form->u.v.type == RI_NIL) {
        return wrong_type(f, attr, form, ": to remove a value, use :db/retract");
    }
    RI_TRY(ri_attr_convert(attr, &form->u.v, !f->lua, ri_tx_arena(f->tx), out, f->err));
    *copy = (!f->lua || f->copies) && !ri_type_is_word(out->type) && borrows(out, &form->u.v);
    return RILLE_OK;
}

/* ---- entities ---- */

static int lookup_of(filler *f, const ri_form *form, ri_ent *out)
{
    const ri_attr *attr;
    const ri_form *value = &form->u.seq.items[1];
    RI_TRY(ri_tx_form_attr(f, &form->u.seq.items[0], &attr));
    if (attr->type == RI_REF) {
        ri_ent target;
        RI_TRY(ri_tx_form_entity(f, value, &target));
        return ri_tx_lookup_ref(f->tx, attr, target, out, f->err);
    }
    ri_value v;
    bool copy;
    if (ri_form_is(value, RI_NIL)) {
        return ri_fail(f->err, RILLE_TYPE, "lookup ref [:%s nil]: nil is not a value", attr->ident);
    }
    RI_TRY(ri_tx_form_value(f, attr, value, &v, &copy));
    return ri_tx_lookup(f->tx, attr, &v, out, f->err);
}

static int entity_by_name(filler *f, const ri_form *form, ri_ent *out)
{
    size_t len;
    const char *name = ri_tx_form_name(form, &len);
    if (ri_tx_self(f->tx, name, len, out)) {
        return RILLE_OK;
    }
    if (form->u.v.type == RI_KEYWORD || len < form->u.v.len) {
        return ri_tx_ident(f->tx, name, len, out, f->err);
    }
    if (!ri_utf8_valid((const uint8_t *)name, len)) {
        return ri_fail(f->err, RILLE_TYPE, "a tempid is not valid UTF-8");
    }
    return ri_tx_temp_named(f->tx, name, len, out, f->err);
}

/* Is the form a number that stands for an integer? */
static bool is_integer(const filler *f, const ri_form *form, int64_t *out)
{
    if (ri_form_is(form, RI_LONG)) {
        *out = form->u.v.as.i;
        return true;
    }
    double d = f->lua && ri_form_is(form, RI_DOUBLE) ? form->u.v.as.d : 0.5;
    if (!(d >= -(double)RI_EID_MAX && d <= (double)RI_EID_MAX) || d != (double)(int64_t)d) {
        return false;
    }
    *out = (int64_t)d;
    return true;
}

int ri_tx_form_entity(filler *f, const ri_form *form, ri_ent *out)
{
    int64_t id;
    *out = (ri_ent){ RI_ENT_ID, { 0 } };
    if (is_integer(f, form, &id)) {
        if (id < 0) {
            return ri_tx_temp_number(f->tx, id, out, f->err);
        }
        if (id == 0 || (uint64_t)id > RI_EID_MAX) {
            return ri_fail(f->err, RILLE_TX_SYNTAX,
                           "%lld is not a valid entity id: expected an entity by a positive id below 2^53",
                           (long long)id);
        }
        out->u.id = (uint64_t)id;
        return RILLE_OK;
    }
    if (ri_tx_form_is_name(form)) {
        return entity_by_name(f, form, out);
    }
    if (ri_tx_form_is_sequence(form) && form->u.seq.count == 2) {
        if (f->depth == RI_EDN_DEPTH_MAX) {
            return ri_fail(f->err, RILLE_LIMIT, "lookup refs are nested too deeply (the maximum depth is %d)",
                           RI_EDN_DEPTH_MAX);
        }
        f->depth++;
        RI_TRY(lookup_of(f, form, out));
        f->depth--;
        return RILLE_OK;
    }
    char shown[FORM_SHOWN_SIZE];
    bool nil = ri_form_is(form, RI_NIL);
    return ri_fail(
        f->err, RILLE_TX_SYNTAX,
        "%s%s%s in transaction data: expected an entity: an id, a tempid (a negative number or a string), an "
        "ident or a lookup ref",
        ri_tx_form_show(f, form, shown), nil ? "" : ", a ", nil ? "" : noun(form));
}

int ri_tx_form_target(filler *f, const ri_attr *attr, const ri_form *form, ri_ent *out)
{
    if (form->kind == RI_FORM_MAP) {
        return fill_map(f, form, out);
    }
    if (attr->id < RI_EID_ATTR && ri_form_is(form, RI_STRING)) { /* a tempid would never be meant */
        size_t len;
        const char *name = ri_tx_form_name(form, &len);
        int rc = ri_tx_ident(f->tx, name, len, out, f->err);
        if (rc != RILLE_OK) {
            ri_err_prefix(f->err, "attribute :%s", attr->ident);
        }
        return rc;
    }
    int64_t id;
    bool entity = is_integer(f, form, &id) || ri_tx_form_is_name(form) ||
                  (ri_tx_form_is_sequence(form) && form->u.seq.count == 2);
    if (!entity) {
        bool list = ri_tx_form_is_sequence(form) || form->kind == RI_FORM_SET;
        return wrong_type(f, attr, form,
                          list && !attr->many       ? ": the attribute has one value (cardinality one)"
                          : attr->id == RI_A_UNIQUE ? ": use :db.unique/identity or :db.unique/value"
                                                    : ": an id, a tempid, an ident, a lookup ref or a map");
    }
    int rc = ri_tx_form_entity(f, form, out);
    if (rc != RILLE_OK) {
        ri_err_prefix(f->err, "attribute :%s", attr->ident);
    }
    return rc;
}

/* ---- items ---- */

int ri_tx_form_add(filler *f, ri_ent e, const ri_attr *attr, const ri_form *form)
{
    if (attr->type == RI_REF) {
        ri_ent target;
        RI_TRY(ri_tx_form_target(f, attr, form, &target));
        return ri_tx_add_ref(f->tx, e, attr, target, f->err);
    }
    ri_value v;
    bool copy;
    RI_TRY(ri_tx_form_value(f, attr, form, &v, &copy));
    return ri_tx_add(f->tx, e, attr, &v, copy, f->err);
}

/* A value that is of the attribute's type as it is, and that the transaction may borrow. */
static inline bool is_direct(const filler *f, const ri_attr *attr, const ri_form *form)
{
    const ri_value *v = &form->u.v;
    if (form->kind != RI_FORM_VALUE || v->type != attr->type) {
        return false;
    }
    return v->type == RI_STRING ? !f->copies && v->len <= RI_VALUE_INLINE_MAX && ri_text_valid(v->as.p, v->len)
                                : v->type == RI_LONG || v->type == RI_INSTANT || v->type == RI_BOOL;
}

/* [a v] with a unique attribute a. */
static bool is_lookup(const filler *f, const ri_form *form)
{
    if (!ri_tx_form_is_sequence(form) || form->u.seq.count != 2) {
        return false;
    }
    const ri_form *name = &form->u.seq.items[0];
    size_t len;
    if (!ri_form_is(name, RI_KEYWORD) && !(f->lua && ri_form_is(name, RI_STRING))) {
        return false;
    }
    const char *ident = ri_tx_form_name(name, &len);
    const ri_attr *attr = ri_schema_attr(ri_tx_db(f->tx)->schema, ident, len);
    return attr != NULL && attr->unique != RI_UNIQUE_NO;
}

/* Is the form several values of the attribute, rather than one? */
static bool is_many(const filler *f, const ri_attr *attr, const ri_form *form)
{
    if (form->kind == RI_FORM_SET) {
        return true;
    }
    if (!ri_tx_form_is_sequence(form)) {
        return false;
    }
    if (attr->type == RI_REF) {
        return !is_lookup(f, form);
    }
    bool composite = attr->type == RI_TUPLE || attr->type == RI_FLOATS;
    return !composite || form->u.seq.count == 0 || ri_tx_form_is_sequence(&form->u.seq.items[0]);
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
        return ri_tx_form_add(f, e, attr, form);
    }
    for (uint32_t i = 0; i < form->u.seq.count; i++) {
        RI_TRY(refuse_nil(f, attr, &form->u.seq.items[i]));
        RI_TRY(ri_tx_form_add(f, e, attr, &form->u.seq.items[i]));
    }
    return RILLE_OK;
}

/* Every entity that the form names refers to e. */
static int add_reverse(filler *f, ri_ent e, const ri_attr *attr, const ri_form *form)
{
    RI_TRY(refuse_nil(f, attr, form));
    ri_ent from;
    if (!is_many(f, attr, form)) {
        RI_TRY(ri_tx_form_target(f, attr, form, &from));
        return ri_tx_add_ref(f->tx, from, attr, e, f->err);
    }
    for (uint32_t i = 0; i < form->u.seq.count; i++) {
        RI_TRY(refuse_nil(f, attr, &form->u.seq.items[i]));
        RI_TRY(ri_tx_form_target(f, attr, &form->u.seq.items[i], &from));
        RI_TRY(ri_tx_add_ref(f->tx, from, attr, e, f->err));
    }
    return RILLE_OK;
}

static int fill_entry(filler *f, ri_ent e, const ri_form *key, const ri_form *value)
{
    const ri_attr *attr;
    size_t len = 0;
    const char *name = ri_tx_form_is_name(key) ? ri_tx_form_name(key, &len) : "";
    const char *mark = memchr(name, '_', len) == NULL ? NULL : reverse_mark(f, name, len);
    if (mark != NULL) {
        RI_TRY(reverse_attr(f, name, len, mark, &attr));
        return add_reverse(f, e, attr, value);
    }
    RI_TRY(ri_tx_form_attr(f, key, &attr));
    if (f->lua && ri_tx_form_is_name(key)) {
        ri_tx_form_know_attr(f, key, attr);
    }
    return add_values(f, e, attr, value);
}

static bool is_id(const ri_form *key)
{
    if (!ri_tx_form_is_name(key) || key->u.v.len < 5 || key->u.v.len > 6) {
        return false;
    }
    size_t len;
    const char *name = ri_tx_form_name(key, &len);
    return len == 5 && memcmp(name, "db/id", 5) == 0;
}

static int map_entity(filler *f, const ri_form *map, ri_ent *out)
{
    const ri_form *id = NULL;
    for (uint32_t i = 0; i < map->u.seq.count; i += 2) {
        if (!is_id(&map->u.seq.items[i])) {
            continue;
        }
        if (id != NULL) {
            return ri_tx_form_syntax(f, map, "one :db/id");
        }
        id = &map->u.seq.items[i + 1];
    }
    return id != NULL ? ri_tx_form_entity(f, id, out) : ri_tx_temp_fresh(f->tx, out, f->err);
}

/* An entry with a known attribute. */
static int fill_known(filler *f, ri_ent e, const ri_attr *attr, const ri_form *value)
{
    if (!is_direct(f, attr, value)) {
        return add_values(f, e, attr, value);
    }
    bool plain = e.kind == RI_ENT_TEMP && tx_is_plain(attr) && tx_push_plain(f->tx, e.u.temp, attr, &value->u.v);
    return plain ? RILLE_OK : ri_tx_add_fit(f->tx, e, attr, &value->u.v, f->err);
}

static int fill_entries(filler *f, const ri_form *map, ri_ent e)
{
    if (f->depth == RI_EDN_DEPTH_MAX) {
        return ri_fail(f->err, RILLE_LIMIT, "entity maps are nested too deeply (the maximum depth is %d)",
                       RI_EDN_DEPTH_MAX);
    }
    f->depth++;
    for (uint32_t i = 0; i < map->u.seq.count; i += 2) {
        const ri_form *key = &map->u.seq.items[i];
        const ri_attr *attr = f->lua ? ri_tx_form_known_attr(f, key) : NULL;
        if (attr != NULL) {
            RI_TRY(fill_known(f, e, attr, key + 1));
        } else if (!is_id(key)) {
            RI_TRY(fill_entry(f, e, key, key + 1));
        }
    }
    f->depth--;
    return RILLE_OK;
}

static int fill_map(filler *f, const ri_form *map, ri_ent *out)
{
    RI_TRY(map_entity(f, map, out));
    return fill_entries(f, map, *out);
}

int ri_tx_fill_item(ri_tx_filler *f, const ri_form *item)
{
    RI_TRY(ri_tx_begin_item(f->tx, false, f->err));
    if (item->kind == RI_FORM_MAP) {
        ri_ent ignored;
        return fill_map(f, item, &ignored);
    }
    if (ri_tx_form_is_sequence(item)) {
        return ri_tx_form_operation(f, item);
    }
    if (ri_form_is(item, RI_NIL)) {
        return RILLE_OK;
    }
    return ri_tx_form_syntax(f, item, "an entity map or an operation: wrap a single operation in a list");
}

int ri_tx_fill_meta(ri_tx_filler *f, const ri_form *map)
{
    if (map->kind != RI_FORM_MAP) {
        return ri_tx_form_syntax(f, map, "a map of attributes of the transaction");
    }
    RI_TRY(ri_tx_begin_item(f->tx, true, f->err));
    return fill_entries(f, map, (ri_ent){ RI_ENT_TX, { 0 } });
}

void ri_tx_filler_init(ri_tx_filler *f, ri_tx *tx, bool lua, rille_err *err)
{
    *f = (ri_tx_filler){ .tx = tx, .err = err, .lua = lua };
}

int ri_tx_fill_edn_step(ri_tx *tx, const ri_form *form, size_t *next, rille_err *err)
{
    enum { STEP_ITEMS = 16 };
    filler f;
    ri_tx_filler_init(&f, tx, false, err);
    if (!ri_tx_form_is_sequence(form)) {
        return ri_tx_form_syntax(&f, form, "a vector of entity maps and operations");
    }
    size_t count = form->u.seq.count;
    for (size_t end = count - *next < STEP_ITEMS ? count : *next + STEP_ITEMS; *next < end;) {
        int rc = ri_tx_fill_item(&f, &form->u.seq.items[*next]);
        *next += 1;
        if (rc != RILLE_OK) {
            ri_err_prefix(err, "transaction data, item %zu", *next);
            return rc;
        }
    }
    return *next < count ? RILLE_AGAIN : RILLE_OK;
}

int ri_tx_fill_edn(ri_tx *tx, const ri_form *form, rille_err *err)
{
    size_t next = 0;
    int rc;
    do {
        rc = ri_tx_fill_edn_step(tx, form, &next, err);
    } while (rc == RILLE_AGAIN);
    return rc;
}
