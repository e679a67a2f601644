/* SPDX-License-Identifier: MIT
 *
 * Commits: resolve, plan (plan.c), swap the head.
 *
 * A commit in a task may pause while it resolves, and while it plans. The writer's lock is let go then, so that others
 * may commit: then this one conflicts, and begins again.
 */
#include "commit_own.h"

#include <string.h>

void ri_conn_snapshot(rille_conn *conn, ri_seen *out)
{
    ri_mutex_lock(&conn->state);
    *out = conn->seen;
    ri_refs_take(&out->cell->refs);
    (void)ri_db_retain(out->db);
    ri_mutex_unlock(&conn->state);
}

int ri_conn_swap(rille_conn *conn, const ri_seen *from, ri_plan *p, rille_err *err)
{
    rille_head_swap swap = { .branch = conn->branch,
                             .expected = from->revision,
                             .cell = p->cell->bytes,
                             .cell_len = p->cell_len,
                             .kept_len = p->kept_len,
                             .durable = conn->durability != RI_DURABLE_NONE };
    rille_revision revision = { { 0 } };
    int64_t began_ms = ri_clock_ms();
    if (from->is_kept) { /* another thread took it from a tier: this must begin again on the head itself */
        return RILLE_CONFLICT;
    }
    RI_TRY(ri_store_head_swap(conn->store, &swap, p->writer, &revision, err));
    ri_seen fresh = {
        ri_db_retain(p->after), p->cell, p->cell_len, p->cell_len, p->tail_at, revision, began_ms, false
    };
    p->cell = NULL;
    ri_conn_see(conn, &fresh);
    ri_conn_keep(conn);
    return 0;
}

void ri_report_deinit(ri_report *report)
{
    ri_db_release(report->before);
    ri_db_release(report->after);
    ri_tx_result_deinit(&report->tx);
    *report = (ri_report){ 0 };
}

int ri_conn_begin_again(rille_conn *conn, ri_tx **tx, rille_err *err)
{
    RI_TRY(ri_conn_newest(conn, err));
    rille_db *db = ri_conn_seen_db(conn);
    const ri_task *task = ri_task_running();
    int rc = task != NULL && task->lacks ? RILLE_NEED : 0;
    if (rc == 0 && *tx != NULL) {
        ri_tx_reuse(*tx, db);
    } else if (rc == 0) {
        rc = ri_tx_new(db, tx, err);
    }
    ri_db_release(db);
    return rc;
}

int ri_conn_begin(rille_conn *conn, ri_tx **out, rille_err *err)
{
    *out = NULL;
    return ri_conn_begin_again(conn, out, err);
}

static int resolve(ri_tx *tx, ri_tx_result *out, rille_err *err)
{
    ri_io io = { 0 };
    int64_t now = ri_clock_ms();
    int rc;
    RI_FETCHING(rc, &io, ri_tx_resolve(tx, now, &io, out, err), err)
    ri_io_deinit(&io);
    return rc;
}

static uint64_t new_attempt(rille_conn *conn)
{
    /* A copy of what lies in this process's memory, as a fork makes, is another database. */
    bool forks = (ri_store_capabilities(conn->store) & RILLE_BACKEND_TRUSTED) == 0;
    uint64_t id = ri_random_word(&conn->random, forks);
    return id != 0 ? id : 1;
}

/* The same value, perhaps on another base: a flush does not make a transaction begin again. */
static bool same_value(const rille_db *a, const rille_db *b)
{
    return a == b || (a->t == b->t && memcmp(a->commit, b->commit, RI_HASH_SIZE) == 0 &&
                      memcmp(a->base->db_id, b->base->db_id, sizeof a->base->db_id) == 0);
}

#define SWAP_TRIES_MAX 8

static void commit_deinit(ri_commit *c)
{
    ri_commit_drop_plan(c);
    ri_report_deinit(&c->report);
}

void ri_commit_release(ri_commit *c)
{
    if (c != NULL) {
        commit_deinit(c);
        ri_free(c);
    }
}

/* The head is not what was expected: because of an earlier try of the same swap? Then it is done. */
static int find_attempt(rille_conn *conn, const ri_block *block, rille_err *err)
{
    uint64_t t = 0;
    int rc;
    ri_io io = { 0 };
    RI_TRY(ri_conn_refresh(conn, err));
    rille_db *db = ri_conn_seen_db(conn);
    RI_FETCHING(rc, &io, ri_db_attempt(db, block->attempt, &io, &t, err), err)
    ri_io_deinit(&io);
    ri_db_release(db);
    return rc != 0 ? rc : t == block->t ? 0 : RILLE_CONFLICT;
}

/* A reply that was lost is no commit that was lost: the same swap is sent again, until the head says who was first. */
static int swap_surely(rille_conn *conn, ri_commit *c, rille_err *err)
{
    int rc = ri_conn_swap(conn, &c->from, &c->plan, err);
    for (int tries = 1; rc == RILLE_UNKNOWN && tries < SWAP_TRIES_MAX; tries++) {
        rc = ri_conn_swap(conn, &c->from, &c->plan, err);
    }
    if (rc ==
        RILLE_CONFLICT) { /* a store may have got what it refuses a moment before, from a copy of the same request */
        rc = find_attempt(conn, c->report.tx.block, err);
    }
    return rc != RILLE_UNKNOWN ? rc
                               : ri_fail(err, RILLE_IO,
                                         "it is unknown whether the transaction was committed: commit something "
                                         "else, then look");
}

/* Sets c->from. A plan that was begun on a head that has changed since is dropped. */
static void begin_plan(rille_conn *conn, ri_commit *c)
{
    ri_seen now;
    ri_conn_snapshot(conn, &now);
    if (c->has_from && memcmp(&now.revision, &c->from.revision, sizeof now.revision) != 0) {
        ri_commit_drop_plan(c);
    }
    if (c->has_from) {
        ri_seen_deinit(&now);
        return;
    }
    c->from = now;
    c->has_from = true;
    if (c->report.tx.block->attempt == 0) {
        c->report.tx.block->attempt = new_attempt(conn);
    }
}

/* The writer's lock is held. */
static int plan_and_swap(rille_conn *conn, ri_tx *tx, ri_commit *c, rille_err *err)
{
    if (!c->planned) {
        begin_plan(conn, c);
        if (!same_value(c->from.db, ri_tx_db(tx))) {
            return RILLE_CONFLICT;
        }
        RI_TRY(ri_commit_plan(conn, c, err));
    }
    return swap_surely(conn, c, err);
}

/* The swap is under way. The lock is let go, and so others may write behind what the cell shares with them. */
static int keep_commit(ri_commit *c, rille_err *err)
{
    ri_cell *own = ri_cell_new(c->plan.cell->bytes, c->plan.cell_len);
    if (own == NULL) {
        ri_task_withdraw(ri_task_running()); /* or it would be swapped, and then committed again */
        return ri_fail_nomem(err);
    }
    ri_cell_release(c->plan.cell);
    c->plan.cell = own;
    c->is_kept = true;
    ri_task_keep(ri_task_running());
    return RILLE_NEED;
}

static void give_report(rille_conn *conn, const ri_tx *tx, ri_commit *c, ri_report *out)
{
    if (c->report.tx.block->claims_flush && !c->plan.flushes) {
        ri_conn_begin_flush(conn, c->plan.after);
    }
    ri_conn_pay(conn, c->report.tx.block->count);
    *out = c->report;
    c->report = (ri_report){ 0 };
    out->before = ri_db_retain((rille_db *)ri_tx_db(tx));
    out->after = c->plan.after;
    c->plan.after = NULL;
}

/* Resolves, unless that is done. */
static int resolve_commit(rille_conn *conn, ri_tx *tx, ri_commit *c, rille_err *err)
{
    if (!c->resolved) {
        RI_TRY(resolve(tx, &c->report.tx, err));
        if (ri_task_running() == NULL) { /* nothing begins again with them: a flush may need the memory */
            ri_tx_forget_items(tx);
        }
        ri_conn_pace(conn, ri_tx_db(tx), c->report.tx.block->count);
        c->resolved = true;
    }
    return 0;
}

static int commit_some(rille_conn *conn, ri_tx *tx, ri_commit *c, ri_report *out, rille_err *err)
{
    RI_TRY(resolve_commit(conn, tx, c, err));
    ri_mutex_lock(&conn->writer);
    int rc = plan_and_swap(conn, tx, c, err);
    if (rc == RILLE_NEED && c->planned && !c->is_kept) {
        rc = keep_commit(c, err);
    }
    ri_mutex_unlock(&conn->writer);
    if (rc == 0) {
        give_report(conn, tx, c, out);
    } else if (rc < 0) {
        ri_err_prefix(err, "%s", ri_conn_url(conn));
    }
    return rc;
}

int ri_conn_commit_step(rille_conn *conn, ri_tx *tx, ri_commit **kept, ri_report *out, rille_err *err)
{
    *out = (ri_report){ 0 };
    if (kept == NULL) {
        return ri_conn_commit(conn, tx, out, err);
    }
    if (*kept == NULL) {
        *kept = ri_alloc_zero(sizeof **kept);
        if (*kept == NULL) {
            return ri_fail_nomem(err);
        }
        ri_task_keep(ri_task_running()); /* what follows does not read again what the transaction began on */
    }
    int rc = commit_some(conn, tx, *kept, out, err);
    if (rc != RILLE_NEED) {
        ri_commit_release(*kept);
        *kept = NULL;
    }
    return rc;
}

int ri_conn_commit(rille_conn *conn, ri_tx *tx, ri_report *out, rille_err *err)
{
    ri_commit commit = { 0 };
    *out = (ri_report){ 0 };
    int rc = commit_some(conn, tx, &commit, out, err);
    commit_deinit(&commit);
    return rc;
}

int ri_conn_busy(const rille_conn *conn, rille_err *err)
{
    return ri_fail(err, RILLE_BUSY, "%s: gave up after %d attempts because other writers kept committing first",
                   ri_conn_url(conn), RI_COMMIT_TRIES_MAX);
}

/* *tx: as in ri_conn_begin_again, before and after. */
static int try_form(rille_conn *conn, const ri_form *form, ri_tx **tx, ri_report *out, rille_err *err)
{
    RI_TRY(ri_conn_begin_again(conn, tx, err));
    int rc = ri_tx_fill_edn(*tx, form, err);
    if (rc == 0) {
        rc = ri_conn_commit(conn, *tx, out, err);
    }
    if (!ri_tx_recycle(*tx)) {
        ri_tx_release(*tx);
        *tx = NULL;
    }
    return rc;
}

static int transact_form(rille_conn *conn, const ri_form *form, ri_report *out, rille_err *err)
{
    ri_tx *tx = atomic_exchange_explicit(&conn->idle, NULL, memory_order_acq_rel);
    int rc = RILLE_CONFLICT;
    for (int tries = 0; rc == RILLE_CONFLICT && tries < RI_COMMIT_TRIES_MAX; tries++) {
        rc = try_form(conn, form, &tx, out, err);
    }
    ri_tx_release(atomic_exchange_explicit(&conn->idle, tx, memory_order_acq_rel));
    return rc == RILLE_CONFLICT ? ri_conn_busy(conn, err) : rc;
}

int ri_conn_transact_edn(rille_conn *conn, const char *text, size_t len, ri_report *out, rille_err *err)
{
    ri_arena arena = { 0 };
    ri_edn_reader reader;
    ri_form room[16];
    ri_form form;
    *out = (ri_report){ 0 };
    ri_edn_init(&reader, &arena, text, len, true);
    reader.room = room;
    reader.room_count = sizeof room / sizeof *room;
    int rc = ri_edn_read_on(&reader, &form, err);
    ri_edn_deinit(&reader);
    if (rc == 0) {
        rc = transact_form(conn, &form, out, err);
    }
    ri_arena_deinit(&arena);
    out->tx.tempids = NULL; /* they went with the transaction */
    out->tx.tempid_count = 0;
    return rc;
}

/* The contents of long values go with the block: no store has them. */
static int keep_long_values(ri_block *block, const ri_tx_result *result, rille_err *err)
{
    ri_block_memory *memory = block->memory;
    memory->blobs = ri_arena_array(&memory->arena, result->blob_count, sizeof *memory->blobs);
    if (memory->blobs == NULL) {
        return ri_fail_nomem(err);
    }
    for (size_t i = 0; i < result->blob_count; i++) {
        const struct ri_long_value *content = &result->blobs[i];
        ri_blob *blob = ri_blob_new(content->len);
        if (blob == NULL) {
            return ri_fail_nomem(err);
        }
        memcpy(blob->bytes, content->bytes, content->len);
        memcpy(memory->blobs[i].addr, content->addr, RI_HASH_SIZE);
        memory->blobs[memory->blob_count++].blob = blob;
    }
    return 0;
}

int ri_db_with(ri_tx *tx, ri_report *out, rille_err *err)
{
    const rille_db *db = ri_tx_db(tx);
    *out = (ri_report){ 0 };
    RI_TRY(resolve(tx, &out->tx, err));
    int rc = keep_long_values(out->tx.block, &out->tx, err);
    if (rc == 0) {
        rc = ri_db_push(db, out->tx.block, out->tx.schema, out->tx.next_e, out->tx.next_attr, &out->after, err);
    }
    if (rc != 0) {
        ri_report_deinit(out);
        return rc;
    }
    out->after->speculative = true;
    out->before = ri_db_retain((rille_db *)db);
    return 0;
}
