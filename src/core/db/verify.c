/* SPDX-License-Identifier: MIT
 *
 * Verification: everything that a branch's head reaches is read and checked, in four rounds.
 *
 *  1. every tree, in one walk each: addresses, order, counts, boundaries, canonical bytes (check.h), and what the
 *     next rounds need of its datoms: numbers, and sums of hashes
 *  2. EAVT, AEVT, AVET and VAET hold the same facts: their sums and numbers agree; the base's schema is what its facts
 *     say, and its counters are beyond all ids
 *  3. the log: commit ids chain from the first transaction to the base's commit; what it asserts and does not retract
 *     are the facts of EAVT; what it asserts at all are these and the rows of RET, and what it retracts are those
 *  4. the blobs of long values and retained bases are there, and so are the trees of those: each node once
 *  5. every pack is what its name says (verify_run.c)
 * Where sums differ, datoms are looked up one by one to say which one is missing. Other datoms have the same sum but by an
 * accident of 1 in 2^64. So each node is read about once, however small the cache is, but those of META twice.
 *
 * The cell itself (frames and their blocks) was checked when the value was opened; commit ids of segments are
 * checked here.
 *
 * It is a series of jobs, each of which keeps its place where a task lacks something.
 */
#include "flush.h"
#include "segment.h"
#include "verify_own.h"

#include <string.h>

#define SLICE_ROWS 1024U
#define ROW_WORK 48U
#define META_WORK 64U

/* ---- opening ---- */

static int open_branch(ri_verify *v, rille_err *err)
{
    rille_head head = { 0 };
    size_t valid_len = 0;
    int rc = ri_store_head_read(v->store, v->branch, &head, err);
    if (rc == 0) {
        rc = ri_head_open(v->store, v->branch, head.bytes, head.len, &v->db, &valid_len, err);
    }
    rille_free(head.bytes);
    RI_TRY(rc);
    v->block = v->db->novelty.last;
    v->facts.schema = ri_block_new();
    v->log.parents = ri_block_new();
    v->log.rule = 1;
    return v->facts.schema == NULL || v->log.parents == NULL ? ri_fail_nomem(err) : 0;
}

/* Where storage answers later, the roots come together. */
static void ask_roots(ri_verify *v, const ri_base *base)
{
    for (int order = 0; order < RI_ORDER_COUNT; order++) {
        const ri_noderef *root = &base->tree[order].root;
        uint64_t *seen = ri_bytemap_get(&v->nodes.map, root->addr, RI_HASH_SIZE);
        if (base->tree[order].count > 0 && seen == NULL) {
            (void)ri_store_prefetch(v->db->store, root, ri_node_decode, &v->io);
        }
    }
}

static int look_ahead(ri_verify *v, rille_err *err)
{
    (void)err;
    ask_roots(v, v->db->base);
    return 0;
}

/* ---- what is not flushed ---- */

static int check_attempts(ri_verify *v, rille_err *err)
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
    RI_TRY(rc);
    rc = ri_attempts_find(blob->bytes, blob->len, 0, &t, &t_last, err);
    ri_object_release(&blob->object);
    v->report->blobs++;
    return rc != 0 || t_last <= base->t
               ? rc
               : ri_fail(err, RILLE_CORRUPT, "there is an attempt of transaction %llu, which is not in the trees",
                         (unsigned long long)t_last);
}

static const uint8_t *parent_of(const ri_verify *v, const ri_block *b)
{
    return b->prev != NULL ? b->prev->commit : v->db->base->t != 0 ? v->db->base->commit : NULL;
}

/* Of the block at hand, from datom v->at on; 0 when it has the commit id that it says. */
static int check_commit(ri_verify *v, rille_err *err)
{
    const ri_block *b = v->block;
    while (true) {
        if (v->at == 0) {
            ri_commit_check_begin(&v->commit, b, parent_of(v, b), v->commit.rule == 1 ? 1 : 2);
        }
        size_t count = b->count - v->at < SLICE_ROWS ? b->count - v->at : SLICE_ROWS;
        ri_digest_add(&v->commit.hasher, b->datoms + v->at, count);
        v->at += count;
        if (v->at == b->count) {
            if (ri_commit_check_end(&v->commit, b, NULL)) {
                return 0;
            }
            if (v->commit.rule == 1) {
                return ri_fail(err, RILLE_CORRUPT, "transaction %llu does not match its commit id",
                               (unsigned long long)b->t);
            }
            v->commit.rule = 1; /* it may be of format 1 */
            v->at = 0;
        }
        if (ri_task_pause(count * ROW_WORK)) {
            return RILLE_NEED;
        }
    }
}

static int check_commits(ri_verify *v, rille_err *err)
{
    for (; v->block != NULL; v->block = v->block->prev) {
        RI_TRY(check_commit(v, err));
        v->report->transactions++;
        v->report->datoms += v->block->count;
        v->commit.rule = 0;
        v->at = 0;
    }
    return 0;
}

static int check_long_values(ri_verify *v, rille_err *err)
{
    while (v->block != NULL) {
        const ri_block *b = v->block;
        size_t end = b->count - v->at < SLICE_ROWS ? b->count : v->at + SLICE_ROWS;
        size_t work = 1;
        while (v->at < end && work < RI_TASK_WORK) {
            const ri_datom *d = &b->datoms[v->at];
            RI_TRY(ri_verify_long_value(v, d, b->count - v->at, err));
            work += ri_type_is_stub(d->v.type) ? (size_t)ri_stub_len(&d->v) : 1;
            v->at++;
        }
        if (v->at == b->count) {
            v->block = b->prev;
            v->at = 0;
        }
        if (ri_task_pause(work)) {
            return RILLE_NEED;
        }
    }
    return 0;
}

static int begin_long_values(ri_verify *v, rille_err *err)
{
    (void)err;
    v->block = v->db->novelty.last;
    return 0;
}

/* ---- the past ---- */

static int read_base(ri_verify *v, const ri_datom *d, rille_err *err)
{
    ri_blob *blob = NULL;
    int rc;
    RI_FETCHING(rc, &v->io, ri_store_get_blob(v->db->store, d->v.as.p + 8, &v->io, &blob, err), err)
    RI_TRY(rc);
    rc = ri_base_read(blob->bytes, blob->len, &v->past, err);
    ri_object_release(&blob->object);
    RI_TRY(rc);
    v->report->blobs++;
    v->at = 0;
    ask_roots(v, v->past);
    return v->past->t == d->e ? 0
                              : ri_fail(err, RILLE_CORRUPT, "retained base %llu is stored as base %llu",
                                        (unsigned long long)d->e, (unsigned long long)v->past->t);
}

/* What the base of a past value reaches and no newer one does. */
static int check_old_tree(ri_verify *v, ri_order order, rille_err *err)
{
    ri_check_options options = { .seen = &v->nodes, .only_unseen = true };
    int rc = 0;
    if (v->check == NULL) {
        v->tree = (ri_check_report){ 0 };
        rc = ri_check_new(v->db->store, &v->past->tree[order], &options, &v->tree, &v->check, err);
    }
    rc = rc == 0 ? ri_check_run(v->check, &v->io, err) : rc;
    if (rc < 0) {
        ri_err_prefix(err, "%s as of transaction %llu", ri_order_name(order), (unsigned long long)v->past->t);
    }
    RI_TRY(rc);
    v->report->nodes += v->tree.nodes;
    v->report->bytes += v->tree.bytes;
    ri_check_release(v->check);
    v->check = NULL;
    return 0;
}

static int visit_meta(ri_verify *v, const ri_datom *d, rille_err *err)
{
    if (d->a != RI_A_META_BASE || d->v.len != RI_META_KEY_SIZE) {
        return 0;
    }
    RI_TRY(v->past == NULL ? read_base(v, d, err) : 0);
    for (; v->at < RI_ORDER_COUNT; v->at++) {
        RI_TRY(check_old_tree(v, (ri_order)v->at, err));
    }
    ri_base_release(v->past);
    v->past = NULL;
    return 0;
}

static int check_bases(ri_verify *v, rille_err *err)
{
    return ri_verify_walk(v, RI_META, visit_meta, err);
}

/* ---- all jobs ---- */

int ri_verify_run_branch(ri_verify *v, rille_err *err)
{
    static int (*const jobs[])(ri_verify *, rille_err *) = {
        open_branch,         look_ahead,           ri_verify_trees,       ri_verify_sums, ri_verify_counts,
        ri_verify_log_facts, ri_verify_log_totals, ri_verify_log_retired, check_attempts, check_commits,
        begin_long_values,   check_long_values,    check_bases,
    };
    while (v->job < sizeof jobs / sizeof *jobs) {
        int rc = jobs[v->job](v, err);
        if (rc < 0) {
            ri_err_prefix(err, "branch %s", v->branch);
        }
        RI_TRY(rc);
        v->job++;
        v->at = 0;
        ri_task_part();
        if (ri_task_pause(1)) {
            return RILLE_NEED;
        }
    }
    return 0;
}

int ri_verify_new(ri_store *store, const char *branch, ri_verify_report *report, ri_verify **out, rille_err *err)
{
    ri_verify *v = ri_alloc_zero(sizeof *v);
    *out = v;
    if (v == NULL) {
        return ri_fail_nomem(err);
    }
    v->store = store;
    v->branch = branch;
    v->report = report;
    return 0;
}

void ri_verify_release(ri_verify *v)
{
    if (v == NULL) {
        return;
    }
    ri_check_release(v->check);
    if (v->walks) {
        ri_cursor_deinit(&v->cursor);
    }
    ri_base_release(v->past);
    ri_meta_walk_deinit(&v->log.commits);
    ri_meta_walk_deinit(&v->log.purged);
    ri_block_release(v->log.block);
    ri_block_release(v->log.parents);
    ri_block_release(v->facts.schema);
    ri_node_set_deinit(&v->nodes);
    ri_io_deinit(&v->io);
    ri_db_release(v->db);
    ri_free(v);
}
