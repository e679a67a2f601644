/* SPDX-License-Identifier: MIT
 *
 * Resolving: the steps of tx.h in order, the schema after the transaction, the result.
 *
 * Items are never changed; everything that a run makes lies in the scratch arena, in the resolver or in the block. So a
 * run that ended with RILLE_NEED, or was good, can be followed by another.
 */
#include "tx_inside.h"

#define INSTANT_SLOT (RI_A_TX_INSTANT - 1U) /* the engine's attributes come first, ids without gaps */

void ri_tx_result_deinit(ri_tx_result *result)
{
    ri_block_release(result->block);
    ri_schema_release(result->schema);
    *result = (ri_tx_result){ 0 };
}

/* ---- operations ---- */

static int check_instant(tx_resolver *r, const tx_op *op)
{
    if (op->e != r->t || tx_op_kind(op) != TX_ADD) {
        return ri_fail(
            r->err, RILLE_TX_SYNTAX,
            "attribute :db/txInstant can only be added, and only to the transaction itself (\"datomic.tx\")");
    }
    if (op->v.as.i < r->db->instant) {
        char given[40];
        char before[40];
        given[ri_instant_format(given, op->v.as.i)] = '\0';
        before[ri_instant_format(before, r->db->instant)] = '\0';
        return ri_fail(r->err, RILLE_TX_SYNTAX,
                       "attribute :db/txInstant %s lies before that of the last transaction, %s", given, before);
    }
    return RILLE_OK;
}

static int not_an_entity(tx_resolver *r, const tx_op *item)
{
    if (tx_op_kind(item) == TX_RETRACT_ENTITY) {
        return ri_fail(r->err, RILLE_TX_SYNTAX, "a tempid that names no existing entity cannot be retracted");
    }
    return ri_fail(r->err, RILLE_TX_SYNTAX,
                   "attribute :%s cannot be retracted from, or with, a tempid that names no entity",
                   tx_attr(r->tx, tx_op_slot(item))->ident);
}

/* One item with ids in place of tempids. */
static int copy_item(tx_resolver *r, const tx_op *item, tx_op *op)
{
    *op = *item;
    op->e = tx_entity_id(r, item->e);
    if (item->v.type == RI_REF) {
        op->v.as.u = tx_entity_id(r, item->v.as.u);
    }
    if (op->e == 0 || (item->v.type == RI_REF && op->v.as.u == 0)) {
        return not_an_entity(r, item);
    }
    return tx_op_slot(op) == INSTANT_SLOT && tx_op_kind(op) != TX_RETRACT_ENTITY ? check_instant(r, op) : RILLE_OK;
}

static int copy_items(tx_resolver *r, uint64_t **retracted, size_t *retracted_count)
{
    ri_tx *tx = r->tx;
    size_t retract_count = 0;
    size_t blob_count = 0;
    for (size_t i = 0; i < tx->item_count; i++) {
        retract_count += tx_op_kind(&tx->items[i]) == TX_RETRACT_ENTITY;
        blob_count += (tx->items[i].code & TX_WITH_BLOB) != 0;
    }
    *retracted_count = 0;
    *retracted = ri_arena_array(&tx->scratch, retract_count, sizeof **retracted);
    r->blobs = ri_arena_array(&tx->scratch, blob_count, sizeof *r->blobs);
    if (*retracted == NULL || r->blobs == NULL || !RI_GROW(&r->ops, &r->op_cap, tx->item_count + 1)) {
        return ri_fail_nomem(r->err);
    }
    bool given = false;
    for (size_t i = 0; i < tx->item_count; i++) {
        tx_op *op = &r->ops[r->op_count];
        RI_TRY(copy_item(r, &tx->items[i], op));
        if (tx_op_kind(op) == TX_RETRACT_ENTITY) {
            (*retracted)[(*retracted_count)++] = op->e;
            continue;
        }
        if (tx_op_slot(op) == INSTANT_SLOT) {
            r->instant = op->v.as.i;
            given = true;
        }
        r->op_count++;
    }
    if (!given) {
        r->ops[r->op_count++] = (tx_op){ .e = r->t,
                                         .v = ri_word(RI_INSTANT, (uint64_t)r->instant),
                                         .code = INSTANT_SLOT << TX_SLOT_SHIFT | TX_ADD };
    }
    return RILLE_OK;
}

/* ---- schema ---- */

static bool has_schema(const ri_block *block)
{
    for (size_t i = 0; i < block->count; i++) {
        if (ri_is_schema_attr(block->datoms[i].a)) {
            return true;
        }
    }
    return false;
}

static const char *changed_property(const ri_attr *before, const ri_attr *after)
{
    if (after == NULL) {
        return "definition";
    }
    return before->type != after->type       ? ":db/valueType"
           : before->unique != after->unique ? ":db/unique"
           : before->many != after->many     ? ":db/cardinality"
           : before->index != after->index   ? ":db/index"
                                             : NULL;
}

static bool block_uses(const ri_block *block, uint32_t a)
{
    for (size_t i = 0; i < block->count; i++) {
        if (block->datoms[i].a == a && block->datoms[i].added) {
            return true;
        }
    }
    return false;
}

/* What an attribute is can only change while it has no values. */
static int check_change(tx_resolver *r, const ri_schema *schema, uint64_t e)
{
    const ri_tx *tx = r->tx;
    bool made = e >= r->db->next_attr && e < r->db->next_attr + tx->made_count;
    const ri_attr *before = made ? tx->made[e - r->db->next_attr] : ri_schema_attr_by_id(tx->schema, e);
    const ri_attr *after = ri_schema_attr_by_id(schema, e);
    const char *property = before == NULL ? NULL : changed_property(before, after);
    if (property == NULL) {
        return RILLE_OK;
    }
    if (block_uses(r->block, before->id)) {
        return ri_fail(r->err, RILLE_SCHEMA,
                       "attribute :%s: its %s cannot change in the transaction that gives it values", before->ident,
                       property);
    }
    uint64_t count = 0;
    ri_bound from = ri_bound_a(before->id, false);
    ri_bound to = ri_bound_a(before->id, true);
    int rc = made ? RILLE_OK : ri_db_count(r->db, RI_AEVT, &from, &to, r->io, &count, r->err);
    r->need = r->need || rc == RILLE_NEED;
    if (rc == RILLE_OK && count > 0) {
        return ri_fail(
            r->err, RILLE_SCHEMA,
            "attribute :%s has %llu values, so its %s cannot change (its ident, :db/doc, :db/isComponent and "
            ":db/noHistory can; else retract the values first, or define a new attribute)",
            before->ident, (unsigned long long)count, property);
    }
    return rc < 0 ? rc : RILLE_OK;
}

static int make_schema(tx_resolver *r, ri_schema **out)
{
    const ri_block *block = r->block;
    if (!has_schema(block)) {
        *out = ri_schema_retain(r->db->schema);
        return RILLE_OK;
    }
    RI_TRY(ri_schema_apply(r->tx->schema, block->datoms, block->count, out, r->err));
    uint64_t seen = 0;
    for (size_t i = 0; i < block->count; i++) {
        const ri_datom *d = &block->datoms[i];
        if (ri_is_schema_attr(d->a) && d->e != seen && d->e < RI_EID_USER) {
            seen = d->e;
            RI_TRY(check_change(r, *out, d->e));
        }
    }
    return RILLE_OK;
}

/* ---- the result ---- */

static void finish_block(tx_resolver *r)
{
    ri_block *block = r->block;
    block->instant = r->instant;
    memcpy(block->parents[0], r->db->commit, RI_HASH_SIZE);
    block->parent_count = 1;
    ri_block_commit_id(block);
}

static int fill_tempids(tx_resolver *r, ri_tx_result *out)
{
    ri_tx *tx = r->tx;
    out->tempids = ri_arena_array(&tx->scratch, tx->name_count, sizeof *out->tempids);
    if (out->tempids == NULL) {
        return ri_fail_nomem(r->err);
    }
    for (size_t i = 0; i < tx->name_count; i++) {
        const tx_name *name = &tx->names[i];
        uint64_t e = tx_entity_id(r, TX_TEMP | name->temp);
        if (e != 0) {
            out->tempids[out->tempid_count++] = (struct ri_tempid){ name->name, name->len, name->number, e };
        }
    }
    return RILLE_OK;
}

static int resolve(tx_resolver *r, ri_tx_result *out)
{
    if (r->t > RI_EID_MAX) {
        return ri_fail(r->err, RILLE_LIMIT, "the ids of transactions are used up: the next one would be %llu",
                       (unsigned long long)r->t);
    }
    RI_TRY(tx_bind_entities(r));
    if (r->need) {
        return RILLE_NEED;
    }
    RI_TRY(tx_number_entities(r));
    uint64_t *retracted;
    size_t retracted_count;
    RI_TRY(copy_items(r, &retracted, &retracted_count));
    RI_TRY(tx_expand_entities(r, retracted, retracted_count));
    RI_TRY(tx_sort(r->ops, r->op_count, &r->tx->scratch, r->err));
    RI_TRY(tx_make_datoms(r));
    if (r->need) {
        return RILLE_NEED;
    }
    RI_TRY(tx_check_unique(r));
    RI_TRY(make_schema(r, &out->schema));
    if (r->need) {
        return RILLE_NEED;
    }
    finish_block(r);
    return fill_tempids(r, out);
}

int ri_tx_resolve(ri_tx *tx, int64_t instant_ms, ri_io *io, ri_tx_result *out, rille_err *err)
{
    const rille_db *db = tx->db;
    *out = (ri_tx_result){ 0 };
    ri_arena_reset(&tx->scratch);
    tx_resolver r = { .tx = tx, .db = db, .io = io, .err = err };
    r.t = (db->t < RI_TX_BASE ? RI_TX_BASE : db->t) + 1;
    r.instant = instant_ms > db->instant || db->instant == INT64_MAX ? instant_ms : db->instant + 1;
    r.instant = r.instant < db->instant ? db->instant : r.instant;
    int rc = resolve(&r, out);
    if (r.scan_open) {
        ri_scan_deinit(&r.scan);
    }
    ri_free(r.ops);
    if (rc != RILLE_OK) {
        ri_block_release(r.block);
        ri_tx_result_deinit(out);
        return rc;
    }
    out->block = r.block;
    out->next_e = r.next_e;
    out->next_attr = r.next_attr;
    out->blobs = r.blobs;
    out->blob_count = r.blob_count;
    return RILLE_OK;
}
