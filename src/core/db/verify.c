/* SPDX-License-Identifier: MIT
 *
 * Verification: everything that a branch's head reaches is read and checked, in four rounds.
 *
 *  1. every tree, in one walk each: addresses, order, counts, boundaries, canonical bytes (ri_tree_check), and what the
 *     next rounds need of its datoms: numbers, and sums of hashes
 *  2. EAVT, AEVT, AVET and VAET hold the same facts: their sums and numbers agree; the base's schema is what its facts
 *     say, and its counters are beyond all ids
 *  3. the log: commit ids chain from the first transaction to the base's commit; what it asserts and does not retract
 *     are the facts of EAVT; what it asserts at all are these and the rows of RET, and what it retracts are those
 *  4. the blobs of long values and retained bases are there, and so are the trees of those: each node once
 *  5. every pack is what its name says
 * Where sums differ, datoms are looked up one by one to say which one is missing. Other datoms have the same sum but by an
 * accident of 1 in 2^64. So each node is read about once, however small the cache is, but those of META twice.
 *
 * The cell itself (frames and their blocks) was checked when the value was opened; commit ids of segments are
 * checked here.
 */
#include "conn.h"
#include "flush.h"
#include "meta.h"
#include "segment.h"
#include "verify_ahead.h"

#include "../base/hash.h"

#include <string.h>

typedef struct verify {
    const rille_db *db;
    ri_verify_report *report;
    ri_io io;
    ri_node_set nodes; /* those that were checked */
} verify;

/* Of the fact and its transaction, with the secret of this process: nobody can choose datoms for their sum. */
static uint64_t hash_with(const ri_datom *d, uint64_t t)
{
    bool word = ri_type_is_word(d->v.type);
    uint64_t value = word ? d->v.as.u : ri_keyed_bytes(d->v.as.p, d->v.len, 0);
    const uint64_t parts[] = { d->e, (uint64_t)d->a << 8 | d->v.type, value, t };
    return ri_keyed_bytes(parts, sizeof parts, 1);
}

/* ---- walking a tree ---- */

typedef int (*visit_fn)(verify *v, const ri_datom *d, void *context, rille_err *err);

static int walk(verify *v, ri_order order, visit_fn visit, void *context, rille_err *err)
{
    ri_cursor cursor;
    ri_bound start = ri_bound_all(false);
    int rc;
    ri_cursor_init(&cursor, v->db->store, &v->db->base->tree[order]);
    RI_FETCHING(rc, &v->io, ri_cursor_seek(&cursor, &start, &v->io, err), err)
    while (rc == 0) {
        const ri_node *leaf = ri_cursor_leaf(&cursor);
        for (uint32_t row = 0; row < leaf->count && rc == 0; row++) {
            ri_datom d;
            ri_node_datom(leaf, row, &d);
            rc = visit(v, &d, context, err);
        }
        if (rc == 0) {
            ri_io_clear(&v->io);
            RI_FETCHING(rc, &v->io, ri_cursor_next_leaf(&cursor, NULL, &v->io, err), err)
        }
    }
    ri_cursor_deinit(&cursor);
    ri_io_clear(&v->io);
    return rc == RILLE_DONE ? 0 : rc;
}

static int missing(const ri_datom *d, const char *where, rille_err *err)
{
    return ri_fail(err, RILLE_CORRUPT, "datom of entity %llu, attribute %u, transaction %llu is not in %s",
                   (unsigned long long)d->e, d->a, (unsigned long long)d->t, where);
}

/* Is a datom with this one's key in a tree, and of the same transaction? */
static int expect_in(verify *v, ri_order order, const ri_datom *d, rille_err *err)
{
    bool found = false;
    ri_datom there = { 0 };
    ri_node *leaf = NULL;
    int rc;
    RI_FETCHING(rc, &v->io, ri_tree_get(v->db->store, &v->db->base->tree[order], d, &v->io, &found, &there, &leaf, err),
                err)
    ri_node_release(leaf);
    return rc != 0 ? rc : found && there.t == d->t ? 0 : missing(d, ri_order_name(order), err);
}

/* ---- round 2 ---- */

typedef struct expected {
    verify *v;
    uint64_t count[RI_NOVELTY_ORDERS];
    uint64_t sum[RI_NOVELTY_ORDERS];   /* of facts with their transactions, as EAVT has them */
    uint64_t found[RI_NOVELTY_ORDERS]; /* the same, as the order itself has them */
    ri_order order;                    /* that is being walked */
    uint64_t hash_sum;                 /* of all facts */
    uint64_t e_max;                    /* of users' entities, as subject or referred to */
    uint64_t attr_max;                 /* of ids below them */
    ri_block *schema;                  /* facts that define it */
} expected;

static int check_long_value(verify *v, const ri_datom *d, rille_err *err)
{
    if (!ri_type_is_stub(d->v.type)) {
        return 0;
    }
    ri_blob *blob = NULL;
    int rc;
    RI_FETCHING(rc, &v->io, ri_store_get_blob(v->db->store, ri_stub_addr(&d->v), &v->io, &blob, err), err)
    if (rc == 0 && blob->len != ri_stub_len(&d->v)) {
        rc = ri_fail(err, RILLE_CORRUPT, "long value of entity %llu is %zu bytes long, expected %llu",
                     (unsigned long long)d->e, blob->len, (unsigned long long)ri_stub_len(&d->v));
    }
    v->report->blobs++;
    ri_object_release(blob == NULL ? NULL : &blob->object);
    return rc;
}

static bool keep_datom(ri_block *block, const ri_datom *d)
{
    ri_value copy;
    if (!RI_GROW(&block->datoms, &block->memory->heap_cap, block->count + 1) ||
        !ri_value_copy(&block->memory->arena, &d->v, &copy)) {
        return false;
    }
    block->datoms[block->count] = *d;
    block->datoms[block->count++].v = copy;
    return true;
}

static void note_id(expected *want, uint64_t id)
{
    uint64_t *max = id < RI_EID_USER ? &want->attr_max : &want->e_max;
    if (id < RI_TX_BASE && id > *max) {
        *max = id;
    }
}

static int visit_current(void *context, const ri_datom *d, rille_err *err)
{
    expected *want = context;
    verify *v = want->v;
    uint64_t hash = hash_with(d, d->t);
    want->hash_sum += ri_datom_hash(RI_EAVT, d);
    note_id(want, d->e);
    if (d->v.type == RI_REF) {
        note_id(want, d->v.as.u);
    }
    if (d->e >= RI_EID_ATTR && ri_is_schema_attr(d->a) && !keep_datom(want->schema, d)) {
        return ri_fail_nomem(err);
    }
    const ri_attr *attr = ri_schema_attr_by_id(v->db->schema, d->a);
    for (int order = RI_EAVT; order <= RI_VAET; order++) {
        if (order <= RI_AEVT || (attr != NULL && ri_attr_in_order(attr, (ri_order)order))) {
            want->count[order]++;
            want->sum[order] += hash;
        }
    }
    int rc = check_long_value(v, d, err);
    ri_io_clear(&v->io);
    return rc;
}

static int visit_other(void *context, const ri_datom *d, rille_err *err)
{
    expected *want = context;
    (void)err;
    want->found[want->order] += hash_with(d, d->t);
    return 0;
}

/* Looks up where a datom of EAVT should be: in the orders whose sums differ, or in the log. */
static int visit_lookup(verify *v, const ri_datom *d, void *context, rille_err *err)
{
    const expected *want = context;
    const ri_attr *attr = ri_schema_attr_by_id(v->db->schema, d->a);
    for (int order = RI_AEVT; want != NULL && order <= RI_VAET; order++) {
        bool belongs = order == RI_AEVT || (attr != NULL && ri_attr_in_order(attr, (ri_order)order));
        if (belongs && want->sum[order] != want->found[order]) {
            RI_TRY(expect_in(v, (ri_order)order, d, err));
        }
    }
    return want == NULL ? expect_in(v, RI_LOG, d, err) : 0;
}

/* The orders agree with EAVT, or which datom they lack. */
static int check_sums(verify *v, expected *want, rille_err *err)
{
    for (int order = RI_AEVT; order <= RI_VAET; order++) {
        if (want->sum[order] != want->found[order]) {
            return walk(v, RI_EAVT, visit_lookup, want, err);
        }
    }
    return 0;
}

static int check_counts(const ri_base *base, const expected *want, rille_err *err)
{
    for (int order = RI_EAVT; order <= RI_VAET; order++) {
        uint64_t count = base->tree[order].count;
        if (count != want->count[order]) {
            return ri_fail(err, RILLE_CORRUPT, "%s contains %llu datoms, expected %llu", ri_order_name((ri_order)order),
                           (unsigned long long)count, (unsigned long long)want->count[order]);
        }
        if (order != RI_EAVT && want->sum[order] != want->found[order]) {
            return ri_fail(err, RILLE_CORRUPT, "the datoms in %s are not those in eavt",
                           ri_order_name((ri_order)order));
        }
    }
    if (want->e_max >= base->next_e || want->attr_max >= base->next_attr) {
        return ri_fail(err, RILLE_CORRUPT,
                       "the base's next entity is %llu and its next attribute %llu, but %llu and %llu are already used",
                       (unsigned long long)base->next_e, (unsigned long long)base->next_attr,
                       (unsigned long long)want->e_max, (unsigned long long)want->attr_max);
    }
    return 0;
}

/* The base's schema is made anew of its facts. */
static int check_schema(verify *v, const expected *want, rille_err *err)
{
    ri_schema *own = NULL;
    ri_schema *made = NULL;
    rille_db *base = NULL;
    ri_buf expected_bytes = { 0 };
    ri_buf found_bytes = { 0 };
    int rc = ri_db_of_base(v->db->store, v->db->branch, v->db->base, NULL, &base, err);
    rc = rc == 0 ? ri_schema_bootstrap(v->db->base->read_flexible, &own, err) : rc;
    rc = rc == 0 ? ri_schema_apply(own, want->schema->datoms, want->schema->count, &made, NULL, err) : rc;
    if (rc == 0) {
        ri_schema_write(made, &expected_bytes);
        ri_schema_write(base->schema, &found_bytes);
        if (expected_bytes.failed || found_bytes.failed) {
            rc = ri_fail_nomem(err);
        } else if (expected_bytes.len != found_bytes.len ||
                   memcmp(expected_bytes.p, found_bytes.p, found_bytes.len) != 0) {
            rc = ri_fail(err, RILLE_CORRUPT, "the schema of the base does not match its facts");
        }
    }
    ri_buf_deinit(&expected_bytes);
    ri_buf_deinit(&found_bytes);
    ri_schema_release(made);
    ri_schema_release(own);
    ri_db_release(base);
    return rc;
}

/* ---- round 3 ---- */

typedef struct log_state {
    verify *v;
    ri_block *block;      /* the transaction being read */
    ri_block *parents;    /* its rows of other parents */
    ri_meta_walk commits; /* META's rows beside the log's transactions */
    ri_meta_walk purged;
    uint8_t commit[RI_HASH_SIZE];
    bool has_commit;
    unsigned rule;     /* of its id: those of format 1 come first */
    uint64_t live;     /* assertions - retractions: must equal EAVT's count */
    uint64_t hash_sum; /* of their facts, likewise: no other facts have this sum but by an accident of 1 in 2^64 */
    uint64_t retractions;
    uint64_t asserted; /* sums of facts with their transactions */
    uint64_t retracted;
    uint64_t retired_since; /* the same of the rows of RET: when they were asserted, when they were retracted */
    uint64_t retired_until;
} log_state;

/* META and the log name the same other parents. */
static bool same_parents(const ri_block *block, const ri_block *rows)
{
    bool same = block->merged_count == rows->count;
    for (size_t i = 0; same && i < rows->count; i++) {
        const ri_value *v = &rows->datoms[i].v;
        same = v->type == RI_BYTES && v->len == RI_HASH_SIZE && memcmp(v->as.p, block->merged[i], RI_HASH_SIZE) == 0;
    }
    return same;
}

/* Of a transaction that datoms were purged of: the digest of what it had. NULL: of what it has. */
static const uint8_t *purged_digest(log_state *log, uint64_t t, ri_datom *row)
{
    return ri_meta_walk_row(&log->purged, row) && row->e == t && row->v.len == RI_META_KEY_SIZE ? row->v.as.p + 8
                                                                                                : NULL;
}

static int check_transaction(verify *v, log_state *log, rille_err *err)
{
    ri_block *block = log->block;
    ri_datom row;
    RI_TRY(ri_meta_take_commit(&log->commits, block, err));
    const uint8_t *digest = purged_digest(log, block->t, &row);
    unsigned rule = ri_block_commit_rule(block, log->has_commit ? log->commit : NULL, digest);
    if (rule == 0 && digest != NULL && log->rule < 2) {
        rule = 1; /* the id of format 1 has no digest: of what was purged, it cannot be checked */
    }
    if (!same_parents(block, log->parents) || rule < log->rule) {
        return ri_fail(err, RILLE_CORRUPT, "the log's transaction %llu does not match its commit id",
                       (unsigned long long)block->t);
    }
    memcpy(log->commit, block->commit, RI_HASH_SIZE);
    log->has_commit = true;
    log->rule = rule;
    v->report->transactions++;
    return digest != NULL ? ri_meta_walk_next(&log->purged, err) : 0;
}

static int close_transaction(verify *v, log_state *log, rille_err *err)
{
    int rc = log->block == NULL ? 0 : check_transaction(v, log, err);
    ri_block_release(log->block);
    log->block = NULL;
    log->parents->count = 0;
    return rc;
}

static int visit_log(void *context, const ri_datom *d, rille_err *err)
{
    log_state *log = context;
    verify *v = log->v;
    if (log->block != NULL && log->block->t != d->t) {
        RI_TRY(close_transaction(v, log, err));
        ri_io_clear(&v->io);
    }
    if (log->block == NULL) {
        log->block = ri_block_new();
        if (log->block == NULL) {
            return ri_fail_nomem(err);
        }
        log->block->t = d->t;
    }
    if (!keep_datom(d->a == RI_A_LOG_PARENT ? log->parents : log->block, d)) {
        return ri_fail_nomem(err);
    }
    if (d->a == RI_A_LOG_PARENT) {
        return 0;
    }
    uint64_t hash = ri_datom_hash(RI_EAVT, d);
    log->live += d->added ? 1 : UINT64_MAX; /* -1 */
    log->hash_sum += d->added ? hash : 0 - hash;
    log->retractions += d->added ? 0 : 1;
    *(d->added ? &log->asserted : &log->retracted) += hash_with(d, d->t);
    return 0;
}

static int visit_retired(void *context, const ri_datom *d, rille_err *err)
{
    log_state *log = context;
    (void)err;
    log->retired_since += hash_with(d, d->t);
    log->retired_until += hash_with(d, d->x);
    return 0;
}

/* A retired datom was asserted by its t and retracted by its x. */
static int look_up_retired(verify *v, const ri_datom *d, void *context, rille_err *err)
{
    (void)context;
    ri_datom asserted = *d;
    ri_datom retracted = *d;
    asserted.added = true;
    retracted.added = false;
    retracted.t = d->x;
    asserted.x = retracted.x = 0;
    RI_TRY(expect_in(v, RI_LOG, &asserted, err));
    return expect_in(v, RI_LOG, &retracted, err);
}

/* After the walks. */
static int check_log(verify *v, const log_state *log, const expected *want, rille_err *err)
{
    const ri_base *base = v->db->base;
    bool same = log->asserted == want->sum[RI_EAVT] + log->retired_since && log->retracted == log->retired_until;
    RI_TRY(same ? 0 : walk(v, RI_EAVT, visit_lookup, NULL, err));
    if (base->t > 0 && memcmp(log->commit, base->commit, RI_HASH_SIZE) != 0) {
        return ri_fail(err, RILLE_CORRUPT, "the log does not lead to the base's commit");
    }
    if (log->live != base->tree[RI_EAVT].count) {
        return ri_fail(err, RILLE_CORRUPT, "the log leaves %llu facts, but eavt contains %llu",
                       (unsigned long long)log->live, (unsigned long long)base->tree[RI_EAVT].count);
    }
    if (log->hash_sum != want->hash_sum) {
        return ri_fail(err, RILLE_CORRUPT, "the facts that the log leaves are not the facts in eavt");
    }
    if (base->tree[RI_RET].count != log->retractions) {
        return ri_fail(err, RILLE_CORRUPT, "the log retracts %llu facts, but ret contains %llu",
                       (unsigned long long)log->retractions, (unsigned long long)base->tree[RI_RET].count);
    }
    RI_TRY(same ? 0 : walk(v, RI_RET, look_up_retired, NULL, err));
    return same ? 0 : ri_fail(err, RILLE_CORRUPT, "the log's facts are not those in eavt and ret");
}

/* ---- round 4 ---- */

/* What the base of a past value reaches and no newer one does. */
static int check_old_trees(verify *v, const ri_base *base, rille_err *err)
{
    for (int order = 0; order < RI_ORDER_COUNT; order++) {
        ri_check_report tree = { 0 };
        int rc = ri_tree_check_unseen(v->db->store, &base->tree[order], &v->nodes, &tree, err);
        if (rc != 0) {
            ri_err_prefix(err, "%s as of transaction %llu", ri_order_name((ri_order)order),
                          (unsigned long long)base->t);
            return rc;
        }
        v->report->nodes += tree.nodes;
        v->report->bytes += tree.bytes;
    }
    return 0;
}

static int visit_meta(verify *v, const ri_datom *d, void *context, rille_err *err)
{
    (void)context;
    if (d->a != RI_A_META_BASE || d->v.len != RI_META_KEY_SIZE) {
        return 0;
    }
    ri_blob *blob = NULL;
    ri_base *base = NULL;
    int rc;
    RI_FETCHING(rc, &v->io, ri_store_get_blob(v->db->store, d->v.as.p + 8, &v->io, &blob, err), err)
    if (rc == 0) {
        rc = ri_base_read(blob->bytes, blob->len, &base, err);
    }
    if (rc == 0 && base->t != d->e) {
        rc = ri_fail(err, RILLE_CORRUPT, "retained base %llu is stored as base %llu", (unsigned long long)d->e,
                     (unsigned long long)base->t);
    }
    if (rc == 0) {
        rc = check_old_trees(v, base, err);
    }
    v->report->blobs++;
    ri_base_release(base);
    ri_object_release(blob == NULL ? NULL : &blob->object);
    return rc;
}

static int check_attempts(verify *v, rille_err *err)
{
    const ri_base *base = v->db->base;
    ri_blob *blob = NULL;
    uint64_t t;
    uint64_t t_last = 0;
    int rc;
    if (ri_addr_is_zero(base->attempts_addr)) {
        return 0;
    }
    RI_FETCHING(rc, &v->io, ri_store_get_blob(v->db->store, base->attempts_addr, &v->io, &blob, err), err)
    if (rc == 0) {
        rc = ri_attempts_find(blob->bytes, blob->len, 0, &t, &t_last, err);
        ri_object_release(&blob->object);
    }
    v->report->blobs++;
    return rc != 0 || t_last <= base->t
               ? rc
               : ri_fail(err, RILLE_CORRUPT, "there is an attempt of transaction %llu, which is not in the trees",
                         (unsigned long long)t_last);
}

/* ---- all rounds ---- */

typedef struct walks {
    expected want;
    log_state log;
} walks;

static int walk_tree(verify *v, walks *w, ri_order order, rille_err *err)
{
    ri_check_report tree = { 0 };
    bool is_log = order == RI_LOG || order == RI_RET;
    ri_check_visit *visits[RI_ORDER_COUNT] = {
        [RI_EAVT] = visit_current, [RI_AEVT] = visit_other, [RI_AVET] = visit_other,
        [RI_VAET] = visit_other,   [RI_LOG] = visit_log,    [RI_RET] = visit_retired
    };
    ri_check_visit *visit = is_log && !v->db->base->keep_history ? NULL : visits[order];
    w->want.order = order;
    int rc = ri_tree_check_noting(v->db->store, &v->db->base->tree[order], &v->nodes, visit,
                                  is_log ? (void *)&w->log : (void *)&w->want, &tree, err);
    if (rc != 0) {
        ri_err_prefix(err, "%s", ri_order_name(order));
        return rc;
    }
    v->report->nodes += tree.nodes;
    v->report->datoms += tree.datoms;
    v->report->bytes += tree.bytes;
    return 0;
}

/* Rounds 1 to 3. META comes before the log, which reads it. */
static int check_trees(verify *v, walks *w, rille_err *err)
{
    static const ri_order orders[] = { RI_EAVT, RI_AEVT, RI_AVET, RI_VAET, RI_META };
    const ri_base *base = v->db->base;
    w->want = (expected){ .v = v, .schema = ri_block_new() };
    w->log = (log_state){ .v = v, .parents = ri_block_new(), .rule = 1 };
    if (w->want.schema == NULL || w->log.parents == NULL) {
        return ri_fail_nomem(err);
    }
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        RI_TRY(walk_tree(v, w, orders[i], err));
    }
    if (base->keep_history) {
        RI_TRY(ri_meta_walk_start(&w->log.commits, v->db, RI_A_META_TX, 0, err));
        RI_TRY(ri_meta_walk_start(&w->log.purged, v->db, RI_A_META_PURGED, 0, err));
    }
    RI_TRY(walk_tree(v, w, RI_LOG, err));
    RI_TRY(close_transaction(v, &w->log, err));
    RI_TRY(walk_tree(v, w, RI_RET, err));
    RI_TRY(check_sums(v, &w->want, err));
    RI_TRY(check_counts(base, &w->want, err));
    RI_TRY(base->t > 0 ? check_schema(v, &w->want, err) : 0);
    return base->keep_history ? check_log(v, &w->log, &w->want, err) : 0;
}

static int check_db(verify *v, rille_err *err)
{
    walks w = { .want = { .v = v } };
    int rc = check_trees(v, &w, err);
    ri_meta_walk_deinit(&w.log.commits);
    ri_meta_walk_deinit(&w.log.purged);
    ri_block_release(w.log.block);
    ri_block_release(w.log.parents);
    ri_block_release(w.want.schema);
    RI_TRY(rc);
    RI_TRY(check_attempts(v, err));
    for (const ri_block *b = v->db->novelty.last; b != NULL; b = b->prev) {
        const uint8_t *parent = b->prev != NULL ? b->prev->commit : v->db->base->t != 0 ? v->db->base->commit : NULL;
        if (ri_block_commit_rule(b, parent, NULL) == 0) {
            return ri_fail(err, RILLE_CORRUPT, "transaction %llu does not match its commit id",
                           (unsigned long long)b->t);
        }
        v->report->transactions++;
        v->report->datoms += b->count;
        for (size_t i = 0; i < b->count; i++) {
            RI_TRY(check_long_value(v, &b->datoms[i], err));
        }
    }
    return walk(v, RI_META, visit_meta, NULL, err);
}

int ri_verify_branch(ri_store *store, const char *branch, ri_verify_report *report, rille_err *err)
{
    rille_head head = { 0 };
    rille_db *db = NULL;
    size_t valid_len = 0;
    int rc = ri_store_head_read(store, branch, &head, err);
    if (rc == 0) {
        rc = ri_head_open(store, branch, head.bytes, head.len, &db, &valid_len, err);
    }
    if (rc == 0 && ri_task_running() != NULL) {
        rc = ri_verify_ahead(db, err);
    }
    if (rc == 0) {
        verify v = { .db = db, .report = report };
        rc = check_db(&v, err);
        ri_io_deinit(&v.io);
        ri_node_set_deinit(&v.nodes);
    }
    report->branches++;
    ri_db_release(db);
    rille_free(head.bytes);
    if (rc < 0) {
        ri_err_prefix(err, "branch %s", branch);
    }
    return rc;
}
