/* SPDX-License-Identifier: MIT
 *
 * Commits: resolve, plan (plan.c), join a bundle that swaps the head (bundle.h).
 *
 * A commit in a task may pause while it resolves, and while it plans. The writer's lock is let go then, so that others
 * may commit: then this one conflicts, and begins again.
 *
 * GUESSES. A transaction that begins on a value that was not read from storage for it may begin on an old one, or on one
 * that never comes to be. If it succeeds, the swap proves that the value was the head's. If it is refused, that proves
 * nothing: it begins again on a head that is read after what was under way has ended (ri_conn_doubt).
 */
#include "commit_own.h"

#include <string.h>

void ri_report_deinit(ri_report *report)
{
    ri_db_release(report->before);
    ri_db_release(report->after);
    ri_tx_result_deinit(&report->tx);
    *report = (ri_report){ 0 };
}

/* ---- beginning ---- */

/* What to begin on without reading. A bundle that is under way will most likely be the head; and where reading the head
 * is a request, what was seen is. That the head is another one by then is found out by the swap. */
static rille_db *known_db(rille_conn *conn)
{
    rille_db *db = atomic_load(&conn->bundles) > 0 ? ri_bundle_db(conn) : NULL;
    if (db != NULL || !conn->is_far || atomic_load(&conn->stale)) {
        return db;
    }
    ri_mutex_lock(&conn->state);
    if (!conn->seen.is_kept) { /* what a tier keeps may be older than what this connection ever saw */
        db = ri_db_retain(conn->seen.db);
    }
    ri_mutex_unlock(&conn->state);
    return db;
}

static int begin_value(rille_conn *conn, ri_begin *begin, rille_db **out, bool *is_guess, rille_err *err)
{
    const ri_task *task = ri_task_running();
    *out = *begin == RI_BEGIN_KNOWN ? known_db(conn) : NULL;
    *is_guess = *out != NULL;
    if (*out != NULL) {
        return 0;
    }
    if (*begin == RI_BEGIN_SETTLED) {
        RI_TRY(ri_bundle_drain(conn));
        *begin = RI_BEGIN_READ;
        if (task != NULL) {
            ri_task_part();
        }
    }
    RI_TRY(ri_conn_newest(conn, err));
    *out = ri_conn_seen_db(conn);
    if (task != NULL && task->lacks) {
        ri_db_release(*out);
        *out = NULL;
        return RILLE_NEED;
    }
    return 0;
}

int ri_conn_begin_again(rille_conn *conn, ri_tx **tx, ri_begin *begin, rille_err *err)
{
    rille_db *db;
    bool is_guess;
    RI_TRY(begin_value(conn, begin, &db, &is_guess, err));
    int rc = 0;
    if (*tx != NULL) {
        ri_tx_reuse(*tx, db);
    } else {
        rc = ri_tx_new(db, tx, err);
    }
    if (rc == 0) {
        ri_tx_set_guess(*tx, is_guess);
    }
    ri_db_release(db);
    return rc;
}

int ri_conn_begin(rille_conn *conn, ri_tx **out, rille_err *err)
{
    ri_begin begin = RI_BEGIN_KNOWN;
    *out = NULL;
    return ri_conn_begin_again(conn, out, &begin, err);
}

/* Failures that say nothing of the database. */
static bool is_of_place(int rc)
{
    return rc == RILLE_NOMEM || rc == RILLE_CANCELLED || rc == RILLE_IO || rc == RILLE_FULL || rc == RILLE_TIMEOUT ||
           rc == RILLE_PERMISSION || rc == RILLE_CORRUPT;
}

int ri_conn_doubt(ri_tx *tx, int rc)
{
    if (rc >= 0 || !ri_tx_is_guess(tx) || is_of_place(rc)) {
        return rc;
    }
    ri_tx_set_doubted(tx);
    return RILLE_CONFLICT;
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

static void commit_deinit(ri_commit *c)
{
    if (c->bundle != NULL) {
        ri_bundle_leave(c->conn, c->bundle);
        ri_conn_release(c->conn);
    }
    ri_commit_free_plan(c);
    ri_report_deinit(&c->report);
}

void ri_commit_release(ri_commit *c)
{
    if (c != NULL) {
        commit_deinit(c);
        ri_free(c);
    }
}

/* Sets c->from. A plan that was begun on another tip is dropped. */
static void begin_plan(rille_conn *conn, ri_commit *c)
{
    ri_seen now;
    ri_conn_tip(conn, &now);
    if (c->has_from && !ri_same_tip(&c->from, &now)) {
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

/* An operation may be closed before its bundle is over, and then leaves it. */
static int join(rille_conn *conn, ri_commit *c, rille_err *err)
{
    ri_task *task = ri_task_running();
    RI_TRY(ri_bundle_join(conn, &c->from, &c->plan, &c->bundle, err));
    c->conn = ri_conn_retain(conn);
    if (task != NULL) {
        ri_task_keep(task); /* what follows is the swap, and does not plan again */
    }
    return 0;
}

/* Plans, then joins a bundle or is swapped at once. The writer's lock is held. */
static int plan_and_join(rille_conn *conn, ri_tx *tx, ri_commit *c, rille_err *err)
{
    enum { PLANS_MAX = 3 };
    int rc = RILLE_CONFLICT;
    for (int tries = 0; tries < PLANS_MAX && rc == RILLE_CONFLICT; tries++) {
        begin_plan(conn, c);
        if (!same_value(c->from.db, ri_tx_db(tx)) || c->from.is_kept) { /* another thread took it from a tier */
            return RILLE_CONFLICT;
        }
        c->is_guess = ri_tx_is_guess(tx);
        RI_TRY(ri_commit_plan(conn, c, err));
        if (ri_bundle_is_free(conn, &c->from)) {
            return ri_bundle_alone(conn, &c->from, &c->plan, c->report.tx.block, err);
        }
        rc = join(conn, c, err);
        if (rc == RILLE_CONFLICT) { /* the tip changed meanwhile */
            ri_commit_drop_plan(c);
        }
    }
    return rc;
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
        int rc = ri_conn_doubt(tx, resolve(tx, &c->report.tx, err));
        if (rc != 0) {
            return rc;
        }
        if (ri_task_running() == NULL) { /* nothing begins again with them: a flush may need the memory */
            ri_tx_forget_items(tx);
        }
        ri_conn_pace(conn, ri_tx_db(tx), c->report.tx.block->count);
        c->resolved = true;
    }
    return 0;
}

static int commit_bundle(rille_conn *conn, ri_tx *tx, ri_commit *c, rille_err *err)
{
    if (c->bundle == NULL) {
        RI_TRY(resolve_commit(conn, tx, c, err));
        ri_mutex_lock(&conn->writer);
        int rc = plan_and_join(conn, tx, c, err);
        ri_mutex_unlock(&conn->writer);
        if (rc != 0 || c->bundle == NULL) {
            return rc;
        }
    }
    RI_TRY(ri_bundle_end(conn, c->bundle));
    return ri_bundle_outcome(c->bundle, c->report.tx.block, err);
}

static int commit_some(rille_conn *conn, ri_tx *tx, ri_commit *c, ri_report *out, rille_err *err)
{
    int rc = commit_bundle(conn, tx, c, err);
    if (rc == 0) {
        give_report(conn, tx, c, out);
    } else if (rc < 0 && c->resolved) { /* else it is about the transaction data */
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
static int try_form(rille_conn *conn, const ri_form *form, ri_tx **tx, ri_begin *begin, ri_report *out, rille_err *err)
{
    RI_TRY(ri_conn_begin_again(conn, tx, begin, err));
    int rc = ri_conn_doubt(*tx, ri_tx_fill_edn(*tx, form, err));
    if (rc == 0) {
        rc = ri_conn_commit(conn, *tx, out, err);
    }
    *begin = ri_conn_begin_next(*tx);
    if (!ri_tx_recycle(*tx)) {
        ri_tx_release(*tx);
        *tx = NULL;
    }
    return rc;
}

static int transact_form(rille_conn *conn, const ri_form *form, ri_report *out, rille_err *err)
{
    ri_tx *tx = atomic_exchange_explicit(&conn->idle, NULL, memory_order_acq_rel);
    ri_begin begin = RI_BEGIN_KNOWN;
    int rc = RILLE_CONFLICT;
    for (int tries = 0; rc == RILLE_CONFLICT && tries < RI_COMMIT_TRIES_MAX; tries++) {
        rc = try_form(conn, form, &tx, &begin, out, err);
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
