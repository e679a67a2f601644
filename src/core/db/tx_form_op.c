/* SPDX-License-Identifier: MIT
 *
 * Operations in transaction data, and forms in messages.
 *
 *   [:db/add e a v]   [:db/retract e a v]   [:db/retract e a]   [:db.fn/retractAttribute e a]   [:db/retractEntity e]
 *   [:db/cas e a old new]
 *
 * An operation has exactly one value, so that whatever a datom has can be added and retracted as it is: a vector is a
 * tuple, floats, or a lookup ref, by the attribute's type, and never a list of values.
 */
#include "tx_form.h"

/* ---- messages ---- */

static void show_form(const filler *f, const ri_form *form, ri_buf *out);

/* Elements with what is between them, as far as they are shown. */
static void show_items(const filler *f, const ri_form *form, const char *open, const char *close, ri_buf *out)
{
    bool map = form->kind == RI_FORM_MAP;
    ri_buf_put_text(out, open);
    for (uint32_t i = 0; i < form->u.seq.count && out->len <= FORM_SHOWN_BYTES; i++) {
        bool value = map && i % 2 == 1;
        ri_buf_put_text(out, i == 0 ? "" : !f->lua ? " " : value ? " = " : ", ");
        ri_buf_put_text(out, f->lua && map && !value ? "[" : "");
        show_form(f, &form->u.seq.items[i], out);
        ri_buf_put_text(out, f->lua && map && !value ? "]" : "");
    }
    ri_buf_put_text(out, close);
}

static void show_form(const filler *f, const ri_form *form, ri_buf *out)
{
    char scalar[100];
    switch ((ri_form_kind)form->kind) {
    case RI_FORM_VALUE:
        ri_buf_put_text(out, ri_value_show(scalar, sizeof scalar, &form->u.v));
        return;
    case RI_FORM_CHAR:
    case RI_FORM_DOUBLE:
        ri_edn_write(out, form);
        return;
    case RI_FORM_LIST:
        show_items(f, form, f->lua ? "{" : "(", f->lua ? "}" : ")", out);
        return;
    case RI_FORM_VECTOR:
        show_items(f, form, f->lua ? "{" : "[", f->lua ? "}" : "]", out);
        return;
    case RI_FORM_SET:
        show_items(f, form, f->lua ? "set{" : "#{", "}", out);
        return;
    case RI_FORM_MAP:
        show_items(f, form, "{", "}", out);
        return;
    case RI_FORM_TAGGED:
        ri_buf_put_text(out, "#");
        show_form(f, &form->u.seq.items[0], out);
        ri_buf_put_text(out, " ");
        show_form(f, &form->u.seq.items[1], out);
        return;
    }
}

const char *ri_tx_form_show(const filler *f, const ri_form *form, char out[FORM_SHOWN_SIZE])
{
    ri_buf text = { 0 };
    show_form(f, form, &text);
    size_t len = text.failed ? 0 : text.len;
    bool cut = len > FORM_SHOWN_BYTES;
    if (cut) {
        len = FORM_SHOWN_BYTES;
        while (len > 0 && (text.p[len] & 0xc0) == 0x80) { /* not within a character */
            len--;
        }
    }
    for (size_t i = 0; i < len;) { /* Lua's strings may be anything */
        size_t good = ri_utf8_span(text.p + i, len - i);
        if (i + good < len) {
            text.p[i + good] = '?';
        }
        i += good + 1;
    }
    if (len > 0) {
        memcpy(out, text.p, len);
    }
    memcpy(out + len, cut ? "..." : "", cut ? 4 : 1);
    ri_buf_deinit(&text);
    return out;
}

int ri_tx_form_syntax(const filler *f, const ri_form *form, const char *expected)
{
    char shown[FORM_SHOWN_SIZE];
    return ri_fail(f->err, RILLE_TX_SYNTAX, "%s in transaction data: expected %s", ri_tx_form_show(f, form, shown),
                   expected);
}

/* ---- operations ---- */

typedef enum op_kind { OP_ADD, OP_RETRACT, OP_RETRACT_ENTITY, OP_RETRACT_ATTRIBUTE, OP_CAS } op_kind;

typedef struct op_info {
    const char *name;
    op_kind kind;
    uint8_t count_min; /* of the whole form */
    uint8_t count_max;
    const char *shape;
    const char *lua_shape;
} op_info;

#define ADD_SHAPE "[:db/add e a v]", "{\"db/add\", e, a, v}"
#define RETRACT_SHAPE "[:db/retract e a v] or [:db/retract e a]", "{\"db/retract\", e, a, v} or {\"db/retract\", e, a}"
#define ENTITY_SHAPE "[:db/retractEntity e]", "{\"db/retractEntity\", e}"
#define ATTRIBUTE_SHAPE "[:db.fn/retractAttribute e a]", "{\"db.fn/retractAttribute\", e, a}"
#define CAS_SHAPE "[:db/cas e a old new]", "{\"db/cas\", e, a, old, new}"

static const op_info operations[] = {
    { "db/add", OP_ADD, 4, 4, ADD_SHAPE },
    { "db/retract", OP_RETRACT, 3, 4, RETRACT_SHAPE },
    { "db/retractEntity", OP_RETRACT_ENTITY, 2, 2, ENTITY_SHAPE },
    { "db.fn/retractEntity", OP_RETRACT_ENTITY, 2, 2, ENTITY_SHAPE },
    { "db/retractAttribute", OP_RETRACT_ATTRIBUTE, 3, 3, ATTRIBUTE_SHAPE },
    { "db.fn/retractAttribute", OP_RETRACT_ATTRIBUTE, 3, 3, ATTRIBUTE_SHAPE },
    { "db/cas", OP_CAS, 5, 5, CAS_SHAPE },
    { "db.fn/cas", OP_CAS, 5, 5, CAS_SHAPE },
};

#define OPERATION_COUNT (sizeof operations / sizeof *operations)

unsigned ri_tx_op_args(const char *name, size_t len)
{
    for (size_t i = 0; i < OPERATION_COUNT; i++) {
        if (strlen(operations[i].name) == len && memcmp(operations[i].name, name, len) == 0) {
            return operations[i].count_max - 1U;
        }
    }
    return 0;
}

static int fill_retract(filler *f, ri_ent e, const ri_attr *attr, const ri_form *form)
{
    bool nil = ri_form_is(form, RI_NIL);
    if (attr->type == RI_REF && !nil) {
        ri_ent target;
        bool named = form->kind == RI_FORM_VALUE || (ri_tx_form_is_sequence(form) && form->u.seq.count == 2);
        if (!named) {
            return ri_fail(f->err, RILLE_TX_SYNTAX,
                           "db/retract: the value of :%s must be an entity id, an ident or a lookup ref; a map or a "
                           "list cannot be retracted",
                           attr->ident);
        }
        RI_TRY(ri_tx_form_target(f, attr, form, &target));
        return ri_tx_retract_ref(f->tx, e, attr, target, f->err);
    }
    ri_value v;
    bool copy;
    if (nil) {
        return ri_fail(f->err, RILLE_TYPE,
                       "attribute :%s: nil is a nil, expected %s %s: to retract all values, leave the value out",
                       attr->ident, ri_type_article(attr->type), ri_type_name(attr->type));
    }
    RI_TRY(ri_tx_form_value(f, attr, form, &v, &copy));
    return ri_tx_retract(f->tx, e, attr, &v, f->err);
}

/* The value of a ref attribute in a cas names an entity; it makes none. */
static int cas_target(filler *f, const ri_attr *attr, const ri_form *form, ri_ent *out)
{
    if (form->kind == RI_FORM_MAP) {
        return ri_tx_form_syntax(f, form, "a value to compare: an id, a tempid, an ident or a lookup ref");
    }
    return ri_tx_form_target(f, attr, form, out);
}

static int fill_cas(filler *f, ri_ent e, const ri_attr *attr, const ri_form *old_form, const ri_form *new_form)
{
    bool none = ri_form_is(old_form, RI_NIL);
    if (ri_form_is(new_form, RI_NIL)) {
        return ri_fail(f->err, RILLE_TX_SYNTAX,
                       "db/cas: the new value of :%s is missing: to remove the old one, use "
                       "db/retract",
                       attr->ident);
    }
    if (attr->type == RI_REF) {
        ri_ent old_v = { RI_ENT_ID, { 0 } };
        ri_ent new_v;
        if (!none) {
            RI_TRY(cas_target(f, attr, old_form, &old_v));
        }
        RI_TRY(cas_target(f, attr, new_form, &new_v));
        return ri_tx_cas_ref(f->tx, e, attr, none ? NULL : &old_v, new_v, f->err);
    }
    ri_value old_v = ri_nil();
    ri_value new_v;
    bool copy;
    if (!none) {
        RI_TRY(ri_tx_form_value(f, attr, old_form, &old_v, &copy));
    }
    RI_TRY(ri_tx_form_value(f, attr, new_form, &new_v, &copy));
    return ri_tx_cas(f->tx, e, attr, none ? NULL : &old_v, &new_v, f->err);
}

static const op_info *find_operation(const ri_form *form)
{
    size_t len;
    const char *name = ri_tx_form_is_name(form) ? ri_tx_form_name(form, &len) : NULL;
    for (size_t i = 0; i < OPERATION_COUNT && name != NULL; i++) {
        if (strlen(operations[i].name) == len && memcmp(operations[i].name, name, len) == 0) {
            return &operations[i];
        }
    }
    return NULL;
}

static int unknown_operation(const filler *f, const ri_form *form)
{
    static const char *const later[] = { "db.fn/call", "db/purge" };
    const ri_form *first = form->u.seq.count == 0 ? NULL : &form->u.seq.items[0];
    size_t len = 0;
    const char *name = first != NULL && ri_tx_form_is_name(first) ? ri_tx_form_name(first, &len) : "";
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        if (strlen(later[i]) == len && memcmp(later[i], name, len) == 0) {
            return ri_fail(f->err, RILLE_TX_SYNTAX, "%s is not supported yet (see \"Status\" in the README)", later[i]);
        }
    }
    return ri_tx_form_syntax(f, form,
                             "an operation: db/add, db/retract, db/retractEntity, db.fn/retractAttribute or db/cas");
}

int ri_tx_form_operation(filler *f, const ri_form *form)
{
    const ri_form *items = form->u.seq.items;
    const op_info *op = form->u.seq.count == 0 ? NULL : find_operation(&items[0]);
    if (op == NULL) {
        return unknown_operation(f, form);
    }
    if (form->u.seq.count < op->count_min || form->u.seq.count > op->count_max) {
        return ri_tx_form_syntax(f, form, f->lua ? op->lua_shape : op->shape);
    }
    ri_ent e;
    const ri_attr *attr = NULL;
    RI_TRY(ri_tx_form_entity(f, &items[1], &e));
    if (op->kind != OP_RETRACT_ENTITY) {
        RI_TRY(ri_tx_form_attr(f, &items[2], &attr));
    }
    switch (op->kind) {
    case OP_ADD:
        return ri_tx_form_add(f, e, attr, &items[3]);
    case OP_RETRACT:
        return form->u.seq.count == 3 ? ri_tx_retract(f->tx, e, attr, NULL, f->err)
                                      : fill_retract(f, e, attr, &items[3]);
    case OP_RETRACT_ENTITY:
        return ri_tx_retract_entity(f->tx, e, f->err);
    case OP_RETRACT_ATTRIBUTE:
        return ri_tx_retract_attribute(f->tx, e, attr, f->err);
    case OP_CAS:
        return fill_cas(f, e, attr, &items[3], &items[4]);
    }
    return RILLE_OK;
}
