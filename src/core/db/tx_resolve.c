/* SPDX-License-Identifier: MIT
 *
 * Resolving: the steps of tx.h in order, the schema after the transaction, the result.
 *
 * Items are never changed, but for those of bulk loads (tx_turn.c); everything that a run makes lies in the scratch
 * arena, in the resolver or in the block. So a run that lacked nodes, or was good, can be followed by another. A run that
 * paused leaves the resolver to the next one.
 */
#include "tx_resolver.h"

#include "../store/task.h"
#include "schema_own.h"

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

/* Does an item before this one say something of the same entity and attribute, which has cardinality one? */
static bool says_again(tx_resolver *r, size_t i, uint32_t slot)
{
    enum { LOOKED_AT_MAX = 128 };
    tx_survey *all = &r->survey;
    uint64_t bit = UINT64_C(1) << slot % 64;
    bool may = (all->slots & bit) != 0 && !tx_attr(r->tx, slot)->many;
    all->slots |= bit;
    if (may && i - all->first > LOOKED_AT_MAX) {
        return true; /* it may */
    }
    for (size_t k = all->first; may && k < i; k++) {
        if (tx_op_slot(&r->tx->items[k]) == slot) {
            return true;
        }
    }
    return false;
}

/* For tx_turn.c. */
static bool is_plain(tx_resolver *r, size_t i, uint64_t e)
{
    const tx_op *item = &r->tx->items[i];
    uint32_t slot = tx_op_slot(item);
    return tx_op_kind(item) == TX_ADD && tx_is_fresh(r, e) && slot != TX_INSTANT_SLOT &&
           !ri_is_schema_attr(tx_attr(r->tx, slot)->id) && !says_again(r, i, slot);
}

/* Is it one more value of an entity that is plain, of an attribute that none of its items had? As in bulk loads. */
static inline bool goes_on(tx_survey *all, const tx_op *item)
{
    uint32_t slot = tx_op_slot(item);
    uint64_t bit = UINT64_C(1) << slot % 64;
    bool goes = all->plain && item->e == all->word && (item->code & (TX_KIND_MASK | TX_WITH_BLOB)) == TX_ADD &&
                slot >= RI_OWN_ATTR_COUNT && item->v.type != RI_REF && (all->slots & bit) == 0;
    all->slots |= goes ? bit : 0;
    return goes;
}

static int survey_items(tx_resolver *r, size_t from, size_t to)
{
    tx_survey *all = &r->survey;
    for (size_t i = from; i < to; i++) {
        const tx_op *item = &r->tx->items[i];
        if (goes_on(all, item)) {
            continue;
        }
        uint64_t e = ri_tx_entity_id(r, item->e);
        r->blame.item = item;
        if (e == 0 || has_missing_value(r, item)) {
            return not_an_entity(r, item);
        }
        all->unsorted = all->unsorted || all->before > e;
        if (all->before != e) {
            all->before = e;
            all->first = i;
            all->slots = 0;
        }
        all->word = item->e;
        all->blob_count += (item->code & TX_WITH_BLOB) != 0;
        all->plain = all->plain && is_plain(r, i, e);
        if (is_expanded(tx_op_kind(item))) {
            all->expand_count++;
        } else if (tx_op_slot(item) == TX_INSTANT_SLOT) {
            RI_TRY(check_instant(r, e, item));
        }
    }
    r->blame.item = NULL;
    return RILLE_OK;
}

static int survey(tx_resolver *r)
{
    r->survey.plain = r->at == 0 || r->survey.plain;
    RI_TRY(ri_tx_slices(r, r->tx->item_count, TX_ITEM_WORK, survey_items));
    size_t blob_count = r->survey.blob_count;
    r->blobs = blob_count == 0 ? NULL : ri_arena_array(&r->tx->scratch, blob_count, sizeof *r->blobs);
    return r->blobs == NULL && blob_count > 0 ? ri_fail_nomem(r->err) : RILLE_OK;
}

/* Items that lie in the order of entities (bulk loads do) are not copied as a whole: touching as much memory once more
 * would cost about as much as all the rest. */
static bool is_in_order(const tx_resolver *r)
{
    return !r->survey.unsorted && r->survey.expand_count == 0;
}

static int copy_some(tx_resolver *r, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        tx_op op = tx_known_op(r, &r->tx->items[i]);
        if (is_expanded(tx_op_kind(&op))) {
            r->expanded[r->expanded_count++] = op;
        } else {
            r->ops[r->op_count++] = op;
        }
    }
    return RILLE_OK;
}

static int copy_items(tx_resolver *r)
{
    if (is_in_order(r)) {
        return RILLE_OK;
    }
    if (r->at == 0) {
        r->expanded = ri_arena_array(&r->tx->scratch, r->survey.expand_count, sizeof *r->expanded);
        if (r->expanded == NULL || !RI_GROW(&r->ops, &r->op_cap, r->tx->item_count + 1)) {
            return ri_fail_nomem(r->err);
        }
    }
    RI_TRY(ri_tx_slices(r, r->tx->item_count, TX_ITEM_WORK, copy_some));
    if (!r->instant_given) {
        r->ops[r->op_count++] = tx_instant_op(r);
    }
    return RILLE_OK;
}

static int sort_items(tx_resolver *r)
{
    return is_in_order(r) ? RILLE_OK : ri_tx_sort_by_entity(r);
}

static int make_datoms(tx_resolver *r)
{
    return ri_tx_turns(r)   ? ri_tx_turn_into_datoms(r)
           : is_in_order(r) ? ri_tx_make_datoms_in_order(r)
                            : ri_tx_make_datoms(r);
}

/* ---- schema ---- */

static int find_schema(tx_resolver *r, size_t from, size_t to)
{
    for (size_t i = from; i < to && !r->has_schema; i++) {
        r->has_schema = ri_is_schema_attr(r->block->datoms[i].a);
    }
    return RILLE_OK;
}

static int look_for_schema(tx_resolver *r)
{
    return r->tx->spent ? RILLE_OK : ri_tx_slices(r, r->block->count, TX_ITEM_WORK, find_schema);
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
    if (ri_tx_lacks_time(r, rc)) {
        return rc;
    }
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
    if (ri_tx_lacks_time(r, rc)) {
        return rc;
    }
    r->need = r->need || rc == RILLE_NEED;
    if (rc == RILLE_OK && count > 0) {
        ri_tx_blame(r, TX_BLAME_ANY, e, 0, NULL);
        return ri_fail(
            r->err, RILLE_SCHEMA,
            "attribute :%s has values (%llu), so its %s cannot change: retract the values first, or define a new "
            "attribute",
            before->ident, (unsigned long long)count, property);
    }
    return rc < 0 ? rc : RILLE_OK;
}

static int make_schema(tx_resolver *r)
{
    const ri_block *block = r->block;
    if (!r->has_schema) {
        r->schema = ri_schema_retain(r->db->schema);
        return RILLE_OK;
    }
    uint64_t wrong = 0;
    int rc = RILLE_OK;
    if (r->schema == NULL) {
        rc = ri_schema_apply(r->tx->schema, block->datoms, block->count, &r->schema, &wrong, r->err);
    }
    if (rc != RILLE_OK) {
        ri_tx_blame(r, TX_BLAME_ANY, wrong, 0, NULL);
        return rc;
    }
    uint64_t seen = 0;
    for (size_t i = 0; i < block->count; i++) {
        const ri_datom *d = &block->datoms[i];
        if (ri_is_schema_attr(d->a) && d->e != seen && d->e < RI_EID_USER) {
            seen = d->e;
            RI_TRY(check_change(r, r->schema, d->e));
        }
    }
    return RILLE_OK;
}

/* ---- the result ---- */

static int digest_datoms(tx_resolver *r, size_t from, size_t to)
{
    if (from == 0) {
        ri_hasher_begin(&r->digest);
    }
    ri_digest_add(&r->digest, r->block->datoms + from, to - from);
    return RILLE_OK;
}

static int finish_block(tx_resolver *r)
{
    enum { AT_ONCE_MAX = 64 };
    uint8_t digest[RI_HASH_SIZE];
    if (r->block->count <= AT_ONCE_MAX) {
        ri_block_digest(r->block, digest);
    } else {
        RI_TRY(ri_tx_slices(r, r->block->count, TX_ITEM_WORK, digest_datoms));
        ri_hasher_end(&r->digest, digest);
    }
    r->block->instant = r->instant;
    ri_block_chain_by(r->block, r->db->commit, digest);
    return RILLE_OK;
}

static int fill_tempids(tx_resolver *r, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        const tx_name *name = &r->tx->names[i];
        uint64_t e = ri_tx_entity_id(r, TX_TEMP | name->temp);
        if (e != 0) {
            r->tempids[r->tempid_count++] = (struct ri_tempid){ name->name, name->len, name->number, e };
        }
    }
    return RILLE_OK;
}

static int make_tempids(tx_resolver *r)
{
    ri_tx *tx = r->tx;
    if (tx->name_count == 0 && tx->self_names == 0) {
        return RILLE_OK;
    }
    if (r->tempids == NULL) {
        r->tempids = ri_arena_array(&tx->scratch, tx->name_count + RI_TX_SELF_NAME_COUNT, sizeof *r->tempids);
    }
    if (r->tempids == NULL) {
        return ri_fail_nomem(r->err);
    }
    RI_TRY(ri_tx_slices(r, tx->name_count, TX_ITEM_WORK, fill_tempids));
    for (size_t i = 0; i < RI_TX_SELF_NAME_COUNT; i++) {
        const char *name = ri_tx_self_names[i];
        if ((tx->self_names & 1U << i) != 0) {
            r->tempids[r->tempid_count++] = (struct ri_tempid){ name, strlen(name), 0, r->t };
        }
    }
    return RILLE_OK;
}

/* ---- phases ---- */

bool ri_tx_pause(tx_resolver *r, size_t work)
{
    r->paused = ri_task_pause(work);
    return r->paused;
}

bool ri_tx_lacks_time(tx_resolver *r, int rc)
{
    r->paused = r->paused || (rc == RILLE_NEED && ri_task_lacks_time());
    return r->paused;
}

int ri_tx_slices(tx_resolver *r, size_t count, size_t item_work, int (*f)(tx_resolver *r, size_t from, size_t to))
{
    enum { SLICE_WORK = 8192 };
    while (r->at < count) {
        size_t some = SLICE_WORK / item_work;
        size_t to = count - r->at < some ? count : r->at + some;
        RI_TRY(f(r, r->at, to));
        size_t work = (to - r->at) * item_work;
        r->at = to;
        if (ri_tx_pause(r, work)) {
            return RILLE_NEED;
        }
    }
    r->at = 0;
    return RILLE_OK;
}

static int begin(tx_resolver *r)
{
    if (r->t > RI_EID_MAX) {
        return ri_fail(r->err, RILLE_LIMIT, "the database has no more transaction ids: the next one would be %llu",
                       (unsigned long long)r->t);
    }
    return own_instant(r);
}

static int (*const phases[])(tx_resolver *r) = {
    begin,       ri_tx_begin_temps, ri_tx_look_at_keys, ri_tx_bind_entities, ri_tx_number_entities, survey,
    copy_items,  ri_tx_expand,      sort_items,         make_datoms,         ri_tx_check_unique,    look_for_schema,
    make_schema, finish_block,      make_tempids
};
enum { PHASES = sizeof phases / sizeof *phases };

static int resolve(tx_resolver *r)
{
    while (r->phase < PHASES) {
        RI_TRY(phases[r->phase](r));
        if (r->need) {
            return RILLE_NEED;
        }
        r->phase++;
        r->at = 0;
    }
    return RILLE_OK;
}

static tx_resolver *resolver_new(ri_tx *tx, int64_t instant_ms)
{
    const rille_db *db = tx->db;
    tx_resolver *r = tx->ended;
    tx_op *ops = r != NULL ? r->ops : NULL;
    size_t op_cap = r != NULL ? r->op_cap : 0;
    tx->ended = NULL;
    r = r != NULL ? r : ri_alloc(sizeof *r);
    if (r != NULL) {
        memset(r, 0, TX_RESOLVER_CLEARED);
        r->tx = tx;
        r->ops = ops;
        r->op_cap = op_cap;
        r->db = db;
        r->clock_ms = instant_ms;
        r->t = (db->t < RI_TX_BASE ? RI_TX_BASE : db->t) + 1;
    }
    return r;
}

void ri_tx_resolver_free(tx_resolver *r)
{
    if (r != NULL) {
        ri_free(r->ops);
        ri_free(r);
    }
}

#define OPS_KEPT_MAX 256U

void ri_tx_resolver_release(tx_resolver *r)
{
    if (r == NULL) {
        return;
    }
    if (r->scan_open) {
        ri_scan_deinit(&r->scan);
    }
    ri_tx_forget_keys(r);
    if (r->op_cap > OPS_KEPT_MAX) {
        ri_free_sized(r->ops, r->op_cap * sizeof *r->ops);
        r->ops = NULL;
        r->op_cap = 0;
    }
    ri_map64_deinit(&r->expansion.seen);
    ri_free(r->expansion.todo);
    ri_free(r->expansion.later);
    ri_block_release(r->block);
    ri_schema_release(r->schema);
    ri_tx_resolver_free(r->tx->ended); /* NULL: there is one at a time */
    r->tx->ended = r;
}

static void give_result(tx_resolver *r, ri_tx_result *out)
{
    *out = (ri_tx_result){ .block = r->block,
                           .schema = r->schema,
                           .next_e = r->next_e,
                           .next_attr = r->next_attr,
                           .tempids = r->tempids,
                           .tempid_count = r->tempid_count,
                           .blobs = r->blobs,
                           .blob_count = r->blob_count };
    r->block = NULL;
    r->schema = NULL;
}

int ri_tx_resolve(ri_tx *tx, int64_t instant_ms, ri_io *io, ri_tx_result *out, rille_err *err)
{
    *out = (ri_tx_result){ 0 };
    tx_resolver *r = tx->resolver;
    RI_ASSERT(!tx->spent);
    tx->resolver = NULL;
    if (r == NULL) {
        ri_arena_reset(&tx->scratch);
        r = resolver_new(tx, instant_ms);
    }
    if (r == NULL) {
        return ri_fail_nomem(err);
    }
    r->io = io;
    r->err = err;
    r->paused = false;
    int rc = resolve(r);
    if (rc == RILLE_NEED && r->paused) {
        tx->resolver = r;
        return rc;
    }
    if (rc == RILLE_OK) {
        give_result(r, out);
    } else if (rc < 0 && rc != RILLE_NOMEM) {
        ri_tx_name_items(r);
    }
    ri_tx_resolver_release(r);
    return rc;
}
