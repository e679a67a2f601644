/* SPDX-License-Identifier: MIT
 *
 * Filling a transaction: what a front end says becomes items of 32 bytes; nothing is read from the database yet.
 *
 * What can be checked without reading is checked here, where the user's words are still at hand: types, lengths, entity
 * ids. Cost of an item: some 10 ns, and the copy of its bytes if asked for.
 */
#include "tx.h"

#include "schema_own.h"
#include "tx_resolver.h"

#include <stdio.h>

#define ITEM_COUNT_MAX UINT32_MAX

const char *const ri_tx_self_names[RI_TX_SELF_NAME_COUNT] = { "datomic.tx", "datahike.tx", "db/current-tx" };

const rille_db *ri_tx_db(const ri_tx *tx)
{
    return tx->db;
}

ri_arena *ri_tx_arena(ri_tx *tx)
{
    return &tx->arena;
}

size_t ri_tx_fill_work(ri_tx *tx)
{
    size_t count = tx->item_count - tx->items_counted;
    tx->items_counted = tx->item_count;
    return (count + 1) * TX_DATOM_WORK;
}

/* The last item adds a value of a unique attribute. It is compared now, while it is at hand. */
static void note_unique(ri_tx *tx)
{
    const tx_op *items = tx->items;
    uint32_t item = (uint32_t)(tx->item_count - 1);
    if (tx->unique_count == 0) {
        tx->unique_rise = true;
    } else if (tx->unique_rise) {
        const tx_op *before = &items[tx->unique[tx->unique_count - 1]];
        tx->unique_rise =
            tx_op_slot(before) == tx_op_slot(&items[item]) && ri_value_cmp(&before->v, &items[item].v) < 0;
    }
    tx->unique[tx->unique_count++] = item;
}

/* ---- attributes ---- */

/* The two items that define an attribute made on the spot. */
static int define_made(ri_tx *tx, const ri_attr *attr, rille_err *err)
{
    const ri_attr *ident = &tx->schema->attrs[RI_A_IDENT - 1];
    const ri_attr *cardinality = &tx->schema->attrs[RI_A_CARDINALITY - 1];
    tx_op op = { .e = attr->id, .code = tx_slot(tx, ident) << TX_SLOT_SHIFT | TX_ADD };
    op.v = ri_bytes_value(RI_KEYWORD, attr->ident, attr->ident_len);
    if (!RI_GROW(&tx->unique, &tx->unique_cap, tx->unique_count + 1)) {
        return ri_fail_nomem(err);
    }
    RI_TRY(ri_tx_push(tx, &op, err));
    note_unique(tx);
    op.code = tx_slot(tx, cardinality) << TX_SLOT_SHIFT | TX_ADD;
    op.v = ri_ref(RI_A_CARD_ONE);
    return ri_tx_push(tx, &op, err);
}

/* Can an attribute of that name be made on the spot? */
static int check_new_name(const ri_tx *tx, const char *ident, size_t len, rille_err *err)
{
    const char *slash = len == 0 ? NULL : memchr(ident, '/', len);
    const char *name = slash == NULL ? ident : slash + 1;
    int shown = (int)(len < 80 ? len : 80);
    if (len > RI_VALUE_INLINE_MAX || !ri_name_valid(RI_KEYWORD, (const uint8_t *)ident, len)) {
        return ri_fail(err, RILLE_ATTRIBUTE,
                       "\"%.*s\" is not a valid attribute name: expected a name such as person/name",
                       (int)(len < 80 ? len : 80), ident);
    }
    if (len - (size_t)(name - ident) > 1 && *name == '_') {
        return ri_fail(err, RILLE_ATTRIBUTE,
                       ":%.*s is the reverse of an attribute: it can only be a key of an entity map", shown, ident);
    }
    uint64_t e = ri_schema_ident(tx->schema, ident, len);
    if (e != 0) {
        return ri_fail(err, RILLE_SCHEMA,
                       ":%.*s is the ident of entity %llu, which is not an attribute and cannot become one: use "
                       "another name, or retract its :db/ident first",
                       shown, ident, (unsigned long long)e);
    }
    return RILLE_OK;
}

static int make_attr(ri_tx *tx, const char *ident, size_t len, const ri_attr **out, rille_err *err)
{
    RI_TRY(check_new_name(tx, ident, len, err));
    uint64_t id = tx->db->next_attr + tx->made_count;
    if (id >= RI_EID_USER) {
        return ri_fail(err, RILLE_LIMIT, "cannot add attribute :%.*s: a database can have at most %llu attributes",
                       (int)len, ident, (unsigned long long)(RI_EID_USER - RI_EID_ATTR));
    }
    const char *text = ri_arena_text(&tx->arena, ident, len);
    ri_attr *attr = ri_arena_alloc(&tx->arena, sizeof *attr);
    if (text == NULL || attr == NULL || !RI_GROW(&tx->made, &tx->made_cap, tx->made_count + 1)) {
        return ri_fail_nomem(err);
    }
    *attr = (ri_attr){ .ident = text, .id = (uint32_t)id, .ident_len = (uint32_t)len, .type = RI_NIL };
    bool added;
    ri_bytemap_slot *slot = ri_bytemap_put(&tx->by_made, text, len, &added);
    if (slot == NULL) {
        return ri_fail_nomem(err);
    }
    slot->value = tx->made_count;
    tx->made[tx->made_count++] = attr;
    RI_TRY(define_made(tx, attr, err));
    *out = attr;
    return RILLE_OK;
}

/* Does an item of this transaction give an entity that ident? */
static bool defines_ident(const ri_tx *tx, const char *ident, size_t len)
{
    for (size_t i = 0; i < tx->unique_count; i++) {
        const tx_op *op = &tx->items[tx->unique[i]];
        if (tx_attr(tx, tx_op_slot(op))->id == RI_A_IDENT && op->v.len == len && memcmp(op->v.as.p, ident, len) == 0) {
            return true;
        }
    }
    return false;
}

int ri_tx_attr(ri_tx *tx, const char *ident, size_t len, const ri_attr **out, rille_err *err)
{
    if (len > 0 && ident[0] == ':') {
        ident++;
        len--;
    }
    const ri_attr *attr = ri_schema_attr(tx->schema, ident, len);
    if (attr != NULL) {
        *out = attr;
        return RILLE_OK;
    }
    *out = NULL;
    if (tx->schema->read_flexible) {
        const uint64_t *made = ri_bytemap_get(&tx->by_made, ident, len);
        if (made != NULL) {
            *out = tx->made[*made];
            return RILLE_OK;
        }
        return make_attr(tx, ident, len, out, err);
    }
    if (defines_ident(tx, ident, len)) {
        return ri_fail(
            err, RILLE_ATTRIBUTE,
            "attribute :%.*s is defined in this transaction and cannot be used in it: transact the schema first",
            (int)(len < 80 ? len : 80), ident);
    }
    return ri_db_unknown_attr(tx->db, NULL, ident, len, err);
}

/* ---- entities ---- */

static int new_temp(ri_tx *tx, uint8_t given, ri_ent *out, rille_err *err)
{
    if (tx->temp_count == UINT32_MAX) {
        return ri_fail(err, RILLE_LIMIT,
                       "too many new entities in one transaction (the maximum is %lu): split the transaction",
                       (unsigned long)UINT32_MAX);
    }
    if (!RI_GROW_BY_ONE(&tx->temp_growth, &tx->temps, &tx->temp_cap, tx->temp_count)) {
        return ri_fail_nomem(err);
    }
    *out = (ri_ent){ RI_ENT_TEMP, { .temp = (uint32_t)tx->temp_count } };
    tx->temps[tx->temp_count++] = (tx_temp){ .given = given };
    return RILLE_OK;
}

static void note_temp(ri_tx *tx, uint64_t temp, uint8_t use)
{
    tx->temps[temp].given |= use;
    if (temp < tx->temp_growth.copied && tx->temp_growth.next != NULL) {
        ((tx_temp *)tx->temp_growth.next)[temp].given = tx->temps[temp].given;
    }
}

bool ri_tx_self(ri_tx *tx, const char *name, size_t len, ri_ent *out)
{
    for (size_t i = 0; i < RI_TX_SELF_NAME_COUNT; i++) {
        if (strlen(ri_tx_self_names[i]) == len && memcmp(ri_tx_self_names[i], name, len) == 0) {
            tx->self_names = (uint8_t)(tx->self_names | 1U << i);
            *out = (ri_ent){ RI_ENT_TX, { 0 } };
            return true;
        }
    }
    return false;
}

int ri_tx_temp_fresh(ri_tx *tx, ri_ent *out, rille_err *err)
{
    return new_temp(tx, TEMP_REAL, out, err);
}

static bool same_name(const tx_name *a, const tx_name *b)
{
    bool same = a->len == b->len && a->number == b->number && (a->name == NULL) == (b->name == NULL);
    return same && (a->len == 0 || memcmp(a->name, b->name, a->len) == 0);
}

/* The tempid of a name, whose hash is given, or a new one. */
static int name_temp(ri_tx *tx, tx_name name, uint64_t hash, ri_ent *out, rille_err *err)
{
    if (!ri_slots_reserve(&tx->by_name, NULL, 1)) {
        return ri_fail_nomem(err);
    }
    uint32_t tag = (uint32_t)(hash >> 32);
    size_t at = ri_slots_first(tx->by_name.cap, tag);
    for (const ri_slot *slot; (slot = &tx->by_name.slots[at])->row != 0; at = ri_slots_after(tx->by_name.cap, at)) {
        if (slot->tag == tag && same_name(&tx->names[slot->row - 1], &name)) {
            *out = (ri_ent){ RI_ENT_TEMP, { .temp = tx->names[slot->row - 1].temp } };
            return RILLE_OK;
        }
    }
    name.name = name.name == NULL ? NULL : ri_arena_text(&tx->arena, name.name, name.len);
    if ((name.name == NULL && name.len > 0) ||
        !RI_GROW_BY_ONE(&tx->name_growth, &tx->names, &tx->name_cap, tx->name_count)) {
        return ri_fail_nomem(err);
    }
    RI_TRY(new_temp(tx, TEMP_REAL, out, err));
    name.temp = out->u.temp;
    ri_slots_add(&tx->by_name, at, tag, (uint32_t)tx->name_count);
    tx->names[tx->name_count++] = name;
    return RILLE_OK;
}

int ri_tx_temp_named(ri_tx *tx, const char *name, size_t len, ri_ent *out, rille_err *err)
{
    return name_temp(tx, (tx_name){ .name = name, .len = len }, ri_keyed_bytes(name, len, 0), out, err);
}

int ri_tx_temp_number(ri_tx *tx, int64_t number, ri_ent *out, rille_err *err)
{
    return name_temp(tx, (tx_name){ .number = number }, ri_keyed_word((uint64_t)number), out, err);
}

int ri_tx_ident(ri_tx *tx, const char *ident, size_t len, ri_ent *out, rille_err *err)
{
    if (len > 0 && ident[0] == ':') {
        ident++;
        len--;
    }
    uint64_t e = ri_schema_ident(tx->schema, ident, len);
    if (e == 0) {
        *out = (ri_ent){ RI_ENT_ID, { 0 } };
        return ri_own_unknown(ident, len, err);
    }
    *out = (ri_ent){ RI_ENT_ID, { .id = e } };
    return RILLE_OK;
}

/* An id by its number: one that was given out, or one that the user chooses for a new entity. What is chosen moves the
 * count of ids for good, so it must leave enough of them: the upper half of the range is the engine's to give out. */
static int check_id(ri_tx *tx, uint64_t e, bool makes, rille_err *err)
{
    const rille_db *db = tx->db;
    bool user = e >= RI_EID_USER && e < RI_TX_BASE;
    bool unused = e < RI_EID_ATTR ? ri_schema_ident_of(tx->schema, e) == NULL : e >= db->next_attr && e < RI_EID_USER;
    if (unused || (e >= RI_TX_BASE && e > db->t)) {
        return ri_fail(err, RILLE_ENTITY_MISSING,
                       "unknown entity id %llu: use the id of an existing entity, a tempid (a negative number or a "
                       "string), or an id of %llu or greater",
                       (unsigned long long)e, (unsigned long long)RI_EID_USER);
    }
    if (user && makes && e >= RI_EID_CHOSEN_END && e >= db->next_e) {
        return ri_fail(err, RILLE_LIMIT,
                       "entity id %llu is too large for a new entity: choose an id below %llu, or use a tempid (larger "
                       "ids are assigned by rille, so that they cannot be used up)",
                       (unsigned long long)e, (unsigned long long)RI_EID_CHOSEN_END);
    }
    if (user && makes && e > tx->e_max) {
        tx->e_max = e;
    }
    return RILLE_OK;
}

/* As a word. `use` is what the tempid is used as: TEMP_SUBJECT, TEMP_VALUE, 0. */
static int ent_word(ri_tx *tx, ri_ent e, uint8_t use, uint64_t *word, rille_err *err)
{
    switch (e.kind) {
    case RI_ENT_ID:
        *word = e.u.id;
        return check_id(tx, e.u.id, use != 0, err);
    case RI_ENT_TEMP:
    case RI_ENT_LOOKUP:
        RI_ASSERT(e.u.temp < tx->temp_count);
        note_temp(tx, e.u.temp, use);
        *word = TX_TEMP | e.u.temp;
        return RILLE_OK;
    case RI_ENT_TX:
        *word = TX_SELF;
        return RILLE_OK;
    }
    return ri_fail(err, RILLE_MISUSE, "unknown kind of entity");
}

/* ---- values ---- */

static int long_value(ri_tx *tx, const ri_attr *attr, const ri_value *v, bool copy, tx_op *op, rille_err *err)
{
    if (v->len > RI_VALUE_BYTES_MAX) {
        return ri_fail(err, RILLE_LIMIT, "attribute :%s: the value is too long: %lu bytes (the maximum is %u)",
                       attr->ident, (unsigned long)v->len, RI_VALUE_BYTES_MAX);
    }
    if (v->type != RI_STRING && v->type != RI_BYTES) {
        return ri_fail(err, RILLE_LIMIT, "attribute :%s: the %s is too long: %lu bytes (the maximum is %u)",
                       attr->ident, ri_type_name(v->type), (unsigned long)v->len, RI_VALUE_INLINE_MAX);
    }
    tx_long *stub = ri_arena_alloc(&tx->arena, sizeof *stub);
    const uint8_t *bytes = copy ? ri_arena_copy(&tx->arena, v->as.p, v->len) : v->as.p;
    if (stub == NULL || bytes == NULL) {
        return ri_fail_nomem(err);
    }
    ri_stub_write(stub->stub, bytes, v->len);
    stub->bytes = bytes;
    stub->len = v->len;
    op->v = ri_bytes_value(v->type == RI_STRING ? RI_STRING_BLOB : RI_BYTES_BLOB, stub->stub, RI_STUB_SIZE);
    op->code |= TX_WITH_BLOB;
    return RILLE_OK;
}

/* What is done with a value that comes in. */
enum {
    TAKE_COPY = 1, /* its bytes are the caller's */
    TAKE_NEW = 2   /* it becomes a fact: an id in it counts as given out */
};

static int take_value(ri_tx *tx, const ri_attr *attr, const ri_value *v, unsigned how, tx_op *op, rille_err *err)
{
    bool copy = (how & TAKE_COPY) != 0;
    if (!ri_attr_fits(attr, v->type)) {
        char shown[100];
        return ri_fail(err, RILLE_TYPE, "attribute :%s: %s is %s %s, expected %s %s", attr->ident,
                       ri_value_show(shown, sizeof shown, v), ri_type_article(v->type), ri_type_name(v->type),
                       ri_type_article(attr->type), attr->type == RI_NIL ? "plain value" : ri_type_name(attr->type));
    }
    op->v = *v;
    if (ri_type_is_word(v->type)) {
        return v->type == RI_REF ? check_id(tx, v->as.u, (how & TAKE_NEW) != 0, err) : RILLE_OK;
    }
    if (v->len > RI_VALUE_INLINE_MAX) {
        return long_value(tx, attr, v, copy, op, err);
    }
    if (copy && !ri_value_copy(&tx->arena, v, &op->v)) {
        return ri_fail_nomem(err);
    }
    return RILLE_OK;
}

static int check_lookup(const ri_attr *attr, const ri_value *v, rille_err *err)
{
    char shown[100];
    return attr->unique != RI_UNIQUE_NO
               ? RILLE_OK
               : ri_fail(err, RILLE_TX_SYNTAX,
                         "lookup ref [:%s %s]: the attribute is not unique (define it with :db/unique)", attr->ident,
                         v == NULL ? "..." : ri_value_show(shown, sizeof shown, v));
}

static int push_lookup(ri_tx *tx, const ri_attr *attr, ri_value v, ri_ent *out, rille_err *err)
{
    if (!RI_GROW(&tx->lookups, &tx->lookup_cap, tx->lookup_count + 1)) {
        return ri_fail_nomem(err);
    }
    RI_TRY(new_temp(tx, TEMP_LOOKUP, out, err));
    out->kind = RI_ENT_LOOKUP;
    tx->lookups[tx->lookup_count++] = (tx_lookup){ v, tx_slot(tx, attr), out->u.temp };
    return RILLE_OK;
}

int ri_tx_lookup(ri_tx *tx, const ri_attr *attr, const ri_value *v, ri_ent *out, rille_err *err)
{
    *out = (ri_ent){ RI_ENT_LOOKUP, { 0 } };
    RI_TRY(check_lookup(attr, v, err));
    tx_op op = { .code = 0 };
    RI_TRY(take_value(tx, attr, v, TAKE_COPY, &op, err));
    return push_lookup(tx, attr, op.v, out, err);
}

int ri_tx_lookup_ref(ri_tx *tx, const ri_attr *attr, ri_ent v, ri_ent *out, rille_err *err)
{
    uint64_t word = 0;
    *out = (ri_ent){ RI_ENT_LOOKUP, { 0 } };
    RI_TRY(check_lookup(attr, NULL, err));
    RI_TRY(ent_word(tx, v, 0, &word, err));
    tx->chained = tx->chained || (word & TX_TEMP) != 0;
    return push_lookup(tx, attr, ri_ref(word), out, err);
}

/* ---- items ---- */

int ri_tx_push(ri_tx *tx, const tx_op *op, rille_err *err)
{
    if (tx->item_count == tx->item_cap) {
        if (tx->item_count == ITEM_COUNT_MAX) {
            return ri_fail(err, RILLE_LIMIT,
                           "too many items in one transaction (the maximum is %lu): split the transaction",
                           (unsigned long)ITEM_COUNT_MAX);
        }
    }
    if (!RI_GROW_BY_ONE(&tx->item_growth, &tx->items, &tx->item_cap, tx->item_count)) {
        return ri_fail_nomem(err);
    }
    tx->items[tx->item_count++] = *op;
    return RILLE_OK;
}

static int push_add(ri_tx *tx, const ri_attr *attr, const tx_op *op, rille_err *err)
{
    if (attr->unique != RI_UNIQUE_NO) {
        if (!RI_GROW(&tx->unique, &tx->unique_cap, tx->unique_count + 1)) {
            return ri_fail_nomem(err);
        }
        RI_TRY(ri_tx_push(tx, op, err));
        bool lookup = (op->e & TX_TEMP) != 0 && (tx->temps[op->e & TX_INDEX_MASK].given & TEMP_LOOKUP) != 0;
        tx->chained = tx->chained || lookup;
        if (attr->id == RI_A_IDENT && tx->schema->read_flexible && (op->e & TX_TEMP) != 0) {
            note_temp(tx, op->e & TX_INDEX_MASK, TEMP_NAMED);
        }
        note_unique(tx);
        return RILLE_OK;
    }
    bool declares = attr->id == RI_A_VALUE_TYPE || attr->id == RI_A_CARDINALITY ||
                    (tx->schema->read_flexible && ri_is_schema_attr(attr->id));
    if (declares && (op->e & TX_TEMP) != 0) {
        note_temp(tx, op->e & TX_INDEX_MASK, TEMP_ATTRIBUTE);
    }
    return ri_tx_push(tx, op, err);
}

int ri_tx_add(ri_tx *tx, ri_ent e, const ri_attr *attr, const ri_value *v, bool copy, rille_err *err)
{
    tx_op op = { .code = tx_slot(tx, attr) << TX_SLOT_SHIFT | TX_ADD };
    RI_TRY(ent_word(tx, e, TEMP_SUBJECT, &op.e, err));
    RI_TRY(take_value(tx, attr, v, TAKE_NEW | (copy ? TAKE_COPY : 0U), &op, err));
    return push_add(tx, attr, &op, err);
}

int ri_tx_add_fit(ri_tx *tx, ri_ent e, const ri_attr *attr, const ri_value *v, rille_err *err)
{
    tx_op op = { .v = *v, .code = tx_slot(tx, attr) << TX_SLOT_SHIFT | TX_ADD };
    RI_TRY(ent_word(tx, e, TEMP_SUBJECT, &op.e, err));
    return push_add(tx, attr, &op, err);
}

static int ref_op(ri_tx *tx, ri_ent e, const ri_attr *attr, ri_ent v, tx_kind kind, tx_op *op, rille_err *err)
{
    bool adds = kind == TX_ADD;
    if (attr->type != RI_REF) {
        return ri_fail(err, RILLE_TYPE, "attribute :%s: its values are %s%s, so it cannot refer to an entity",
                       attr->ident, attr->type == RI_NIL ? "untyped values" : ri_type_name(attr->type),
                       attr->type == RI_NIL ? " (define it with :db.type/ref first)" : "s");
    }
    *op = (tx_op){ .code = tx_slot(tx, attr) << TX_SLOT_SHIFT | (uint32_t)kind };
    RI_TRY(ent_word(tx, e, adds ? TEMP_SUBJECT : 0, &op->e, err));
    uint64_t word = 0;
    RI_TRY(ent_word(tx, v, adds ? TEMP_VALUE : 0, &word, err));
    op->v = ri_ref(word);
    if (attr->unique != RI_UNIQUE_NO && (word & TX_TEMP) != 0) {
        tx->chained = true;
    }
    return RILLE_OK;
}

int ri_tx_add_ref(ri_tx *tx, ri_ent e, const ri_attr *attr, ri_ent v, rille_err *err)
{
    tx_op op;
    RI_TRY(ref_op(tx, e, attr, v, TX_ADD, &op, err));
    return push_add(tx, attr, &op, err);
}

int ri_tx_retract(ri_tx *tx, ri_ent e, const ri_attr *attr, const ri_value *v, rille_err *err)
{
    tx_op op = { .code = tx_slot(tx, attr) << TX_SLOT_SHIFT | (uint32_t)(v == NULL ? TX_RETRACT_ALL : TX_RETRACT) };
    op.v = ri_nil();
    RI_TRY(ent_word(tx, e, 0, &op.e, err));
    if (v != NULL) {
        RI_TRY(take_value(tx, attr, v, TAKE_COPY, &op, err));
    }
    return ri_tx_push(tx, &op, err);
}

int ri_tx_retract_ref(ri_tx *tx, ri_ent e, const ri_attr *attr, ri_ent v, rille_err *err)
{
    tx_op op;
    RI_TRY(ref_op(tx, e, attr, v, TX_RETRACT, &op, err));
    return ri_tx_push(tx, &op, err);
}

int ri_tx_retract_attribute(ri_tx *tx, ri_ent e, const ri_attr *attr, rille_err *err)
{
    RI_TRY(ri_tx_retract(tx, e, attr, NULL, err));
    if (!attr->component) {
        return RILLE_OK;
    }
    tx_op op = { .v = ri_nil(), .code = tx_slot(tx, attr) << TX_SLOT_SHIFT | TX_RETRACT_PARTS };
    RI_TRY(ent_word(tx, e, 0, &op.e, err));
    return ri_tx_push(tx, &op, err);
}

int ri_tx_retract_entity(ri_tx *tx, ri_ent e, rille_err *err)
{
    tx_op op = { .v = ri_nil(), .code = TX_RETRACT_ENTITY };
    RI_TRY(ent_word(tx, e, 0, &op.e, err));
    return ri_tx_push(tx, &op, err);
}

/* check.e and add are ready. */
static int push_cas(ri_tx *tx, const ri_attr *attr, tx_op check, const tx_op *add, ri_value old_v, rille_err *err)
{
    tx_cas *cas = ri_arena_alloc(&tx->arena, sizeof *cas);
    if (cas == NULL) {
        return ri_fail_nomem(err);
    }
    cas->old_v = old_v;
    check.code = tx_slot(tx, attr) << TX_SLOT_SHIFT | TX_CHECK;
    check.v = (ri_value){ { .p = (const uint8_t *)cas }, 0, RI_NIL };
    RI_TRY(ri_tx_push(tx, &check, err));
    return push_add(tx, attr, add, err);
}

int ri_tx_cas(ri_tx *tx, ri_ent e, const ri_attr *attr, const ri_value *old_v, const ri_value *new_v, rille_err *err)
{
    tx_op old = { .v = ri_nil() };
    tx_op add = { .code = tx_slot(tx, attr) << TX_SLOT_SHIFT | TX_ADD };
    RI_TRY(ent_word(tx, e, TEMP_SUBJECT, &add.e, err));
    if (old_v != NULL) {
        RI_TRY(take_value(tx, attr, old_v, TAKE_COPY, &old, err));
    }
    RI_TRY(take_value(tx, attr, new_v, TAKE_COPY | TAKE_NEW, &add, err));
    return push_cas(tx, attr, (tx_op){ .e = add.e }, &add, old.v, err);
}

int ri_tx_cas_ref(ri_tx *tx, ri_ent e, const ri_attr *attr, const ri_ent *old_v, ri_ent new_v, rille_err *err)
{
    tx_op add;
    uint64_t old = 0;
    RI_TRY(ref_op(tx, e, attr, new_v, TX_ADD, &add, err));
    if (old_v != NULL) {
        RI_TRY(ent_word(tx, *old_v, 0, &old, err));
    }
    return push_cas(tx, attr, (tx_op){ .e = add.e }, &add, old_v == NULL ? ri_nil() : ri_ref(old), err);
}
