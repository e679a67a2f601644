/* SPDX-License-Identifier: MIT
 *
 * Verification of the log: commit ids chain, and its transactions leave the facts that the trees have.
 */
#include "flush.h"
#include "verify_own.h"

#include <string.h>

/* ---- transactions ---- */

int ri_verify_log_begin(ri_verify *v, rille_err *err)
{
    ri_verify_log *log = &v->log;
    if (log->began) {
        return 0;
    }
    ri_meta_walk_deinit(&log->commits); /* of a run that lacked a node for the other one */
    RI_TRY(ri_meta_walk_start(&log->commits, v->db, RI_A_META_TX, 0, err));
    RI_TRY(ri_meta_walk_start(&log->purged, v->db, RI_A_META_PURGED, 0, err));
    log->began = true;
    return 0;
}

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
static const uint8_t *purged_digest(const ri_verify_log *log, uint64_t t, ri_datom *row)
{
    return ri_meta_walk_row(&log->purged, row) && row->e == t && row->v.len == RI_META_KEY_SIZE ? row->v.as.p + 8
                                                                                                : NULL;
}

/* By the rule of which format the transaction at hand has its id; 0: of none. */
static unsigned rule_of(const ri_verify_log *log, const uint8_t *digest)
{
    if (ri_commit_check_end(&log->check[1], log->block, digest)) {
        return 2;
    }
    if (log->rule < 2 && digest == NULL && ri_commit_check_end(&log->check[0], log->block, NULL)) {
        return 1;
    }
    return digest != NULL && log->rule < 2 ? 1 : 0; /* the id of format 1 has no digest: of what was purged, it cannot
                                                       be checked */
}

/* The transaction at hand is complete. */
static int end_transaction(ri_verify *v, rille_err *err)
{
    ri_verify_log *log = &v->log;
    ri_datom row;
    const uint8_t *digest = purged_digest(log, log->block->t, &row);
    unsigned rule = rule_of(log, digest);
    if (!same_parents(log->block, log->parents) || rule < log->rule) {
        return ri_fail(err, RILLE_CORRUPT, "the log's transaction %llu does not match its commit id",
                       (unsigned long long)log->block->t);
    }
    memcpy(log->commit, log->block->commit, RI_HASH_SIZE);
    log->has_commit = true;
    log->rule = rule;
    log->passes_purged = digest != NULL;
    v->report->transactions++;
    ri_block_release(log->block);
    log->block = NULL;
    log->parents->count = 0;
    return 0;
}

/* May lack rows of META; then nothing has changed. */
static int begin_transaction(ri_verify_log *log, uint64_t t, rille_err *err)
{
    if (log->passes_purged) {
        RI_TRY(ri_meta_walk_next(&log->purged, err));
        log->passes_purged = false;
    }
    ri_block *block = ri_block_new();
    if (block == NULL) {
        return ri_fail_nomem(err);
    }
    block->t = t;
    int rc = ri_meta_take_commit(&log->commits, block, err);
    if (rc != 0) {
        ri_block_release(block);
        return rc;
    }
    const uint8_t *parent = log->has_commit ? log->commit : NULL;
    for (unsigned rule = 1; rule <= 2; rule++) {
        ri_commit_check_begin(&log->check[rule - 1], block, parent, rule);
    }
    log->block = block;
    return 0;
}

int ri_verify_log_end(ri_verify *v, rille_err *err)
{
    return v->log.block == NULL ? 0 : end_transaction(v, err);
}

static void count_fact(ri_verify_log *log, const ri_datom *d)
{
    uint64_t hash = ri_datom_hash(RI_EAVT, d);
    log->live += d->added ? 1 : UINT64_MAX; /* -1 */
    log->hash_sum += d->added ? hash : 0 - hash;
    log->retractions += d->added ? 0 : 1;
    *(d->added ? &log->asserted : &log->retracted) += ri_verify_hash(d, d->t);
}

/* Rows [from, to) of one transaction, as far as they are its facts, to its digest. */
static void hash_facts(ri_verify_log *log, const ri_datom *rows, uint32_t count)
{
    for (unsigned rule = log->rule < 2 ? 1 : 2; rule <= 2; rule++) {
        ri_digest_add(&log->check[rule - 1].hasher, rows, count);
    }
}

int ri_verify_visit_log(void *context, const ri_datom *rows, uint32_t count, uint32_t *next, rille_err *err)
{
    ri_verify *v = context;
    ri_verify_log *log = &v->log;
    while (*next < count) {
        const ri_datom *d = &rows[*next];
        if (log->block != NULL && log->block->t != d->t) {
            RI_TRY(end_transaction(v, err));
        }
        RI_TRY(log->block == NULL ? begin_transaction(log, d->t, err) : 0);
        if (d->a == RI_A_LOG_PARENT) {
            if (!ri_verify_keep(log->parents, d)) {
                return ri_fail_nomem(err);
            }
            ++*next;
            continue;
        }
        uint32_t end = *next;
        while (end < count && rows[end].t == d->t && rows[end].a != RI_A_LOG_PARENT) {
            count_fact(log, &rows[end++]);
        }
        hash_facts(log, d, end - *next);
        *next = end;
    }
    return 0;
}

int ri_verify_visit_retired(void *context, const ri_datom *rows, uint32_t count, uint32_t *next, rille_err *err)
{
    ri_verify_log *log = &((ri_verify *)context)->log;
    (void)err;
    for (; *next < count; ++*next) {
        const ri_datom *d = &rows[*next];
        log->retired_since += ri_verify_hash(d, d->t);
        log->retired_until += ri_verify_hash(d, d->x);
    }
    return 0;
}

/* ---- after the walks ---- */

/* A retired datom was asserted by its t and retracted by its x. */
static int look_up_retired(ri_verify *v, const ri_datom *d, rille_err *err)
{
    ri_datom asserted = *d;
    ri_datom retracted = *d;
    asserted.added = true;
    retracted.added = false;
    retracted.t = d->x;
    asserted.x = retracted.x = 0;
    RI_TRY(ri_verify_expect(v, RI_LOG, &asserted, err));
    return ri_verify_expect(v, RI_LOG, &retracted, err);
}

static int look_up_fact(ri_verify *v, const ri_datom *d, rille_err *err)
{
    return ri_verify_expect(v, RI_LOG, d, err);
}

/* The log asserts and retracts what EAVT and RET have. */
static bool is_same(const ri_verify *v)
{
    const ri_verify_log *log = &v->log;
    return !v->db->base->keep_history ||
           (log->asserted == v->facts.sum[RI_EAVT] + log->retired_since && log->retracted == log->retired_until);
}

int ri_verify_log_facts(ri_verify *v, rille_err *err)
{
    return is_same(v) ? 0 : ri_verify_walk(v, RI_EAVT, look_up_fact, err);
}

int ri_verify_log_totals(ri_verify *v, rille_err *err)
{
    const ri_verify_log *log = &v->log;
    const ri_base *base = v->db->base;
    if (!base->keep_history) {
        return 0;
    }
    if (base->t > 0 && memcmp(log->commit, base->commit, RI_HASH_SIZE) != 0) {
        return ri_fail(err, RILLE_CORRUPT, "the log does not lead to the base's commit");
    }
    if (log->live != base->tree[RI_EAVT].count) {
        return ri_fail(err, RILLE_CORRUPT, "the log leaves %llu facts, but eavt contains %llu",
                       (unsigned long long)log->live, (unsigned long long)base->tree[RI_EAVT].count);
    }
    if (log->hash_sum != v->facts.hash_sum) {
        return ri_fail(err, RILLE_CORRUPT, "the facts that the log leaves are not the facts in eavt");
    }
    if (base->tree[RI_RET].count != log->retractions) {
        return ri_fail(err, RILLE_CORRUPT, "the log retracts %llu facts, but ret contains %llu",
                       (unsigned long long)log->retractions, (unsigned long long)base->tree[RI_RET].count);
    }
    return 0;
}

int ri_verify_log_retired(ri_verify *v, rille_err *err)
{
    if (is_same(v)) {
        return 0;
    }
    RI_TRY(ri_verify_walk(v, RI_RET, look_up_retired, err));
    return ri_fail(err, RILLE_CORRUPT, "the log's facts are not those in eavt and ret");
}
