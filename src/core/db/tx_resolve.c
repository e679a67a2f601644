/* SPDX-License-Identifier: MIT
 *
 * Resolving: the steps of tx.h in order, the schema after the transaction, the result.
 *
 * Items are never changed; everything that a run makes lies in the scratch arena, in the resolver or in the block. So a
 * run that ended with RILLE_NEED, or was good, can be followed by another.
 */
#include "tx_inside.h"

void ri_tx_result_deinit(ri_tx_result *result)
{
    ri_block_release(result->block);
    ri_schema_release(result->schema);
    *result = (ri_tx_result){ 0 };
}

/* ---- operations ---- */

#define INSTANT_AHEAD_MS 60000 /* so far may a transaction be dated after the clock and the one before it */

int ri_tx_fixed_instant(rille_err *err)
{
    return ri_fail(err, RILLE_TX_SYNTAX,
                   "attribute :db/txInstant can only be added, and only to the transaction itself (\"datomic.tx\")");
}

/* Instants never go back, so one in the future would date all later transactions after it: it is refused, unless other
 * writers' clocks, or many transactions within a millisecond, have led there anyway. */
static int check_given_instant(const tx_resolver *r, int64_t given_ms)
{
    char given[40];
    char other[40];
    given[ri_instant_format(given, given_ms)] = '\0';
    if (given_ms < r->db->instant) {
        other[ri_instant_format(other, r->db->instant)] = '\0';
        return ri_fail(r->err, RILLE_TX_SYNTAX, "attribute :db/txInstant: %s is before the last transaction, %s", given,
                       other);
    }
    int64_t now_ms = r->clock_ms > r->db->instant ? r->clock_ms : r->db->instant;
    if (now_ms <= INT64_MAX - INSTANT_AHEAD_MS && given_ms > now_ms + INSTANT_AHEAD_MS) {
        other[ri_instant_format(other, now_ms)] = '\0';
        return ri_fail(
            r->err, RILLE_TX_SYNTAX,
            "attribute :db/txInstant: %s is more than a minute after %s, %s: later transactions could not be "
            "dated before it",
            given, r->clock_ms > r->db->instant ? "the clock" : "the last transaction", other);
    }
    return RILLE_OK;
}

static int check_instant(tx_resolver *r, uint64_t e, const tx_op *item)
{
    tx_kind kind = tx_op_kind(item);
    if (e !=
        r->t) { /* adding what an earlier transaction has already is nothing; anything else fails when it is made */
        return kind == TX_ADD ? RILLE_OK : ri_tx_fixed_instant(r->err);
    }
    if (kind != TX_ADD) {
        return ri_tx_fixed_instant(r->err);
    }
    RI_TRY(check_given_instant(r, item->v.as.i));
    r->instant = item->v.as.i;
    r->instant_given = true;
    return RILLE_OK;
}

/* The instant unless the data gives one: the clock's, or the one after the last transaction's. */
static int own_instant(tx_resolver *r)
{
    if (r->db->instant == INT64_MAX) {
        return ri_fail(r->err, RILLE_LIMIT,
                       "the last transaction has the largest instant there is, so none can come after it");
    }
    r->instant = r->clock_ms > r->db->instant ? r->clock_ms : r->db->instant + 1;
    return RILLE_OK;
}

static int not_an_entity(tx_resolver *r, const tx_op *item)
{
    if (tx_op_kind(item) == TX_RETRACT_ENTITY) {
        char shown[TX_SHOW_SIZE];
        uint32_t root = ri_tx_temp_root(r->tx, (uint32_t)(item->e & TX_INDEX_MASK));
        return ri_fail(r->err, RILLE_TX_SYNTAX,
                       "cannot retract %s, which does not resolve to an existing entity: use its id, its ident or a "
                       "lookup ref",
                       ri_tx_show_temp(r->tx, root, shown, sizeof shown));
    }
    return ri_fail(r->err, RILLE_TX_SYNTAX,
                   "attribute :%s: cannot retract a value of, or a reference to, a tempid that does not resolve to an "
                   "existing entity",
                   tx_attr(r->tx, tx_op_slot(item))->ident);
}

static bool is_expanded(tx_kind kind)
{
    return kind == TX_RETRACT_ENTITY || kind == TX_RETRACT_PARTS;
}

/* Does a value of the item name a tempid that is no entity? */
static bool has_missing_value(const tx_resolver *r, const tx_op *item)
{
    ri_value v = item->v;
    if (tx_op_kind(item) == TX_CHECK) {
        v = ((const tx_cas *)(const void *)v.as.p)->old_v;
    }
    return v.type == RI_REF && ri_tx_entity_id(r, v.as.u) == 0;
}

/* What the items are as a whole. */
typedef struct survey {
    size_t blob_count;
    size_t expand_count; /* retracted entities and components */
    bool sorted;         /* by entity */
} survey;

static int survey_items(tx_resolver *r, survey *out)
{
    const ri_tx *tx = r->tx;
    uint64_t before = 0;
    *out = (survey){ .sorted = true };
    for (size_t i = 0; i < tx->item_count; i++) {
        const tx_op *item = &tx->items[i];
        uint64_t e = ri_tx_entity_id(r, item->e);
        r->blame.item = item;
        if (e == 0 || has_missing_value(r, item)) {
            return not_an_entity(r, item);
        }
        out->sorted = out->sorted && before <= e;
        before = e;
        out->blob_count += (item->code & TX_WITH_BLOB) != 0;
        if (is_expanded(tx_op_kind(item))) {
            out->expand_count++;
        } else if (tx_op_slot(item) == TX_INSTANT_SLOT) {
            RI_TRY(check_instant(r, e, item));
        }
    }
    r->blame.item = NULL;
    return RILLE_OK;
}

/* All operations in one sorted array, retracted entities spelled out. */
static int copy_items(tx_resolver *r, size_t expand_count)
{
    ri_tx *tx = r->tx;
    tx_op *expanded = ri_arena_array(&tx->scratch, expand_count, sizeof *expanded);
    if (expanded == NULL || !RI_GROW(&r->ops, &r->op_cap, tx->item_count + 1)) {
        return ri_fail_nomem(r->err);
    }
    expand_count = 0;
    for (size_t i = 0; i < tx->item_count; i++) {
        tx_op op = tx_known_op(r, &tx->items[i]);
        if (is_expanded(tx_op_kind(&op))) {
            expanded[expand_count++] = op;
        } else {
            r->ops[r->op_count++] = op;
        }
    }
    if (!r->instant_given) {
        r->ops[r->op_count++] = tx_instant_op(r);
    }
    RI_TRY(ri_tx_expand(r, expanded, expand_count));
    return ri_tx_sort(r->ops, r->op_count, &tx->scratch, r->err);
}

/* Datoms of all items. Items that lie in the order of entities (bulk loads do) are not copied as a whole: touching as
 * much memory once more would cost about as much as all the rest. */
static int make_datoms(tx_resolver *r)
{
    survey all;
    RI_TRY(survey_items(r, &all));
    r->blobs = all.blob_count == 0 ? NULL : ri_arena_array(&r->tx->scratch, all.blob_count, sizeof *r->blobs);
    if (r->blobs == NULL && all.blob_count > 0) {
        return ri_fail_nomem(r->err);
    }
    if (all.sorted && all.expand_count == 0) {
        return ri_tx_make_datoms_in_order(r);
    }
    RI_TRY(copy_items(r, all.expand_count));
    return ri_tx_make_datoms(r);
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

/* The property whose change values stand in the way of, or NULL: what moves no datom and asks nothing of the values can
 * always change. */
static const char *changed_property(const ri_attr *before, const ri_attr *after)
{
    if (after == NULL) {
        return "definition";
    }
    bool restricts = before->unique == RI_UNIQUE_NO && after->unique != RI_UNIQUE_NO;
    bool moves = before->avet != after->avet;
    return before->type != after->type                               ? ":db/valueType"
           : restricts || (moves && before->unique != after->unique) ? ":db/unique"
           : before->many && !after->many                            ? ":db/cardinality"
           : moves                                                   ? ":db/index"
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

/* An attribute that is none any more leaves nothing of its definition behind: a :db/cardinality may have been left. */
static int check_rest(tx_resolver *r, const ri_attr *before)
{
    ri_bound from = ri_bound_ea(before->id, RI_A_CARDINALITY, false);
    ri_bound to = ri_bound_ea(before->id, RI_A_CARDINALITY, true);
    uint64_t count = 0;
    int rc = ri_db_count(r->db, RI_EAVT, &from, &to, r->io, &count, r->err);
    r->need = r->need || rc == RILLE_NEED;
    for (size_t i = 0; i < r->block->count && count > 0; i++) {
        const ri_datom *d = &r->block->datoms[i];
        count -= d->e == before->id && d->a == RI_A_CARDINALITY && !d->added;
    }
    if (rc == RILLE_OK && count > 0) {
        return ri_fail(r->err, RILLE_SCHEMA,
                       "attribute :%s loses its definition but keeps its :db/cardinality: retract that, too "
                       "(:db/retractEntity retracts all)",
                       before->ident);
    }
    return rc < 0 ? rc : RILLE_OK;
}

/* What an attribute's values depend on can only change while it has none. */
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
    if (after == NULL && !made) {
        RI_TRY(check_rest(r, before));
    }
    if (block_uses(r->block, before->id)) {
        ri_tx_blame(r, TX_BLAME_ANY, e, 0, NULL);
        return ri_fail(r->err, RILLE_SCHEMA,
                       "attribute :%s: its %s cannot change in a transaction that also asserts values of it",
                       before->ident, property);
    }
    uint64_t count = 0;
    ri_bound from = ri_bound_a(before->id, false);
    ri_bound to = ri_bound_a(before->id, true);
    int rc = made ? RILLE_OK : ri_db_count(r->db, RI_AEVT, &from, &to, r->io, &count, r->err);
    r->need = r->need || rc == RILLE_NEED;
    if (rc == RILLE_OK && count > 0) {
        ri_tx_blame(r, TX_BLAME_ANY, e, 0, NULL);
        return ri_fail(
            r->err, RILLE_SCHEMA,
            "attribute :%s has %llu values, so its %s cannot change: retract the values first, or define a new "
            "attribute",
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
    uint64_t wrong = 0;
    int rc = ri_schema_apply(r->tx->schema, block->datoms, block->count, out, &wrong, r->err);
    if (rc != RILLE_OK) {
        ri_tx_blame(r, TX_BLAME_ANY, wrong, 0, NULL);
        return rc;
    }
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
    ri_block_chain(block, r->db->commit);
}

static int fill_tempids(tx_resolver *r, ri_tx_result *out)
{
    ri_tx *tx = r->tx;
    if (tx->name_count == 0 && tx->self_names == 0) {
        return RILLE_OK;
    }
    out->tempids = ri_arena_array(&tx->scratch, tx->name_count + RI_TX_SELF_NAME_COUNT, sizeof *out->tempids);
    if (out->tempids == NULL) {
        return ri_fail_nomem(r->err);
    }
    for (size_t i = 0; i < tx->name_count; i++) {
        const tx_name *name = &tx->names[i];
        uint64_t e = ri_tx_entity_id(r, TX_TEMP | name->temp);
        if (e != 0) {
            out->tempids[out->tempid_count++] = (struct ri_tempid){ name->name, name->len, name->number, e };
        }
    }
    for (size_t i = 0; i < RI_TX_SELF_NAME_COUNT; i++) {
        const char *name = ri_tx_self_names[i];
        if ((tx->self_names & 1U << i) != 0) {
            out->tempids[out->tempid_count++] = (struct ri_tempid){ name, strlen(name), 0, r->t };
        }
    }
    return RILLE_OK;
}

static int resolve(tx_resolver *r, ri_tx_result *out)
{
    if (r->t > RI_EID_MAX) {
        return ri_fail(r->err, RILLE_LIMIT, "the database has no more transaction ids: the next one would be %llu",
                       (unsigned long long)r->t);
    }
    RI_TRY(own_instant(r));
    RI_TRY(ri_tx_bind_entities(r));
    if (r->need) {
        return RILLE_NEED;
    }
    RI_TRY(ri_tx_number_entities(r));
    RI_TRY(make_datoms(r));
    if (r->need) {
        return RILLE_NEED;
    }
    RI_TRY(ri_tx_check_unique(r));
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
    tx_resolver r = { .tx = tx, .db = db, .io = io, .err = err, .clock_ms = instant_ms };
    r.t = (db->t < RI_TX_BASE ? RI_TX_BASE : db->t) + 1;
    int rc = resolve(&r, out);
    if (r.scan_open) {
        ri_scan_deinit(&r.scan);
    }
    ri_free(r.ops);
    if (rc != RILLE_OK) {
        if (rc < 0 && rc != RILLE_NOMEM) {
            ri_tx_name_items(&r);
        }
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
