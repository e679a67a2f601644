/* SPDX-License-Identifier: MIT */
#include "bundle.h"

#include "../store/task.h"
#include "../store/writers.h"

#include <string.h>

#define SWAP_TRIES_MAX 8

typedef enum bundle_stage { BUNDLE_OPEN, BUNDLE_SENT, BUNDLE_OVER } bundle_stage;

/* What the head is to become, in place of what it is expected to be. */
typedef struct next_head {
    rille_revision expected;
    const ri_cell *cell;
    size_t cell_len;
    size_t kept_len;
    ri_writer *const *writers;
    size_t writer_count;
} next_head;

/* Under the connection's `state`, but for what is to be swapped, which does not change from BUNDLE_SENT on. */
struct ri_bundle {
    unsigned refs; /* of members, of the connection, and of who swaps */
    unsigned members;
    bundle_stage stage;
    bool busy;         /* somebody is in its swap */
    bool asked;        /* the backend has been asked by a task, and may have done it */
    unsigned retries;  /* after that */
    ri_shared *shared; /* of the tasks */
    rille_revision expected;
    ri_cell *cell;
    size_t cell_len;
    size_t kept_len;
    size_t tail_at;
    rille_db *after;
    ri_writer **writers;
    size_t writer_count;
    size_t writer_cap;
    /* when it is over */
    int rc;
    rille_err err;
    rille_db *now; /* RILLE_CONFLICT, after it was sent: what the head was then */
};

static void bundle_deinit(ri_bundle *b)
{
    for (size_t i = 0; i < b->writer_count; i++) {
        ri_writer_release(b->writers[i]);
    }
    ri_free(b->writers);
    ri_shared_release(b->shared);
    ri_cell_release(b->cell);
    ri_db_release(b->after);
    ri_db_release(b->now);
}

/* ---- the tip; `state` is held ---- */

static const ri_bundle *newest_bundle(const rille_conn *conn)
{
    return conn->open != NULL ? conn->open : conn->sent;
}

static void peek_tip(const rille_conn *conn, ri_seen *out)
{
    const ri_bundle *b = newest_bundle(conn);
    *out = b == NULL ? conn->seen
                     : (ri_seen){ .db = b->after,
                                  .cell = b->cell,
                                  .cell_len = b->cell_len,
                                  .raw_len = b->cell_len,
                                  .tail_at = b->tail_at };
}

void ri_conn_tip(rille_conn *conn, ri_seen *out)
{
    ri_mutex_lock(&conn->state);
    peek_tip(conn, out);
    ri_refs_take(&out->cell->refs);
    (void)ri_db_retain(out->db);
    ri_mutex_unlock(&conn->state);
}

void ri_conn_snapshot(rille_conn *conn, ri_seen *out)
{
    ri_mutex_lock(&conn->state);
    *out = conn->seen;
    ri_refs_take(&out->cell->refs);
    (void)ri_db_retain(out->db);
    ri_mutex_unlock(&conn->state);
}

static bool has_revision(const rille_revision *revision)
{
    static const rille_revision none;
    return memcmp(revision, &none, sizeof none) != 0;
}

/* A bundle that succeeded meanwhile got its revision. */
bool ri_same_tip(const ri_seen *from, const ri_seen *now)
{
    return from->db == now->db &&
           (!has_revision(&from->revision) || memcmp(&from->revision, &now->revision, sizeof now->revision) == 0);
}

rille_db *ri_bundle_db(rille_conn *conn)
{
    ri_mutex_lock(&conn->state);
    const ri_bundle *b = newest_bundle(conn);
    rille_db *db = b != NULL ? ri_db_retain(b->after) : NULL;
    ri_mutex_unlock(&conn->state);
    return db;
}

/* ---- joining ---- */

/* Takes the plan's cell and writer, for which there is room. */
static void take_plan(ri_bundle *b, ri_plan *p)
{
    b->kept_len = b->cell == NULL || p->kept_len < b->kept_len ? p->kept_len : b->kept_len;
    ri_cell_release(b->cell);
    ri_db_release(b->after);
    b->cell = p->cell;
    b->cell_len = p->cell_len;
    b->tail_at = p->tail_at;
    b->after = ri_db_retain(p->after);
    p->cell = NULL;
    if (p->writer != NULL) {
        b->writers[b->writer_count++] = p->writer;
        p->writer = NULL;
    }
}

static bool has_room(ri_bundle *b, const ri_plan *p)
{
    return p->writer == NULL || RI_GROW(&b->writers, &b->writer_cap, b->writer_count + 1);
}

static int join(rille_conn *conn, const ri_seen *from, ri_plan *plan, ri_bundle **out, rille_err *err)
{
    ri_seen now;
    peek_tip(conn, &now);
    if (!ri_same_tip(from, &now)) {
        return RILLE_CONFLICT;
    }
    ri_bundle *b = conn->open != NULL ? conn->open : ri_alloc_zero(sizeof *b);
    if (b == NULL || !has_room(b, plan)) {
        if (b != conn->open) {
            ri_free(b);
        }
        return ri_fail_nomem(err);
    }
    if (conn->open == NULL) {
        b->refs = 1;
        b->expected = now.revision;
        conn->open = b;
        atomic_fetch_add(&conn->bundles, 1);
    }
    take_plan(b, plan);
    b->refs++;
    b->members++;
    *out = b;
    return 0;
}

int ri_bundle_join(rille_conn *conn, const ri_seen *from, ri_plan *plan, ri_bundle **out, rille_err *err)
{
    *out = NULL;
    ri_mutex_lock(&conn->state);
    int rc = join(conn, from, plan, out, err);
    ri_mutex_unlock(&conn->state);
    return rc;
}

/* ---- leaving; `state` is held ---- */

static void drop_bundle(ri_bundle *b)
{
    if (--b->refs == 0) {
        bundle_deinit(b);
        ri_free(b);
    }
}

/* The bundle is over, and so is what was planned on top of it, unless it succeeded. revision NULL: it is given up, or was
 * not sent. */
static void end_bundle(rille_conn *conn, ri_bundle *b, int rc, const rille_revision *revision, const rille_err *err)
{
    if (b->stage == BUNDLE_OVER) {
        return; /* somebody else who sent it was earlier */
    }
    bool was_sent = b == conn->sent;
    b->stage = BUNDLE_OVER;
    b->rc = rc;
    if (rc < 0) {
        b->err = *err;
    }
    if (b->shared != NULL && revision != NULL) { /* else nobody waits any more, and the call is cancelled */
        ri_shared_end(b->shared);
    }
    *(was_sent ? &conn->sent : &conn->open) = NULL;
    if (conn->open != NULL && rc == 0) {
        conn->open->expected = *revision;
    } else if (conn->open != NULL && was_sent) {
        end_bundle(conn, conn->open, RILLE_CONFLICT, NULL, NULL);
    }
    atomic_fetch_sub(&conn->bundles, 1);
    ri_cond_broadcast(&conn->changed);
    drop_bundle(b);
}

void ri_bundle_leave(rille_conn *conn, ri_bundle *bundle)
{
    if (bundle == NULL) {
        return;
    }
    ri_mutex_lock(&conn->state);
    bundle->members--;
    if (bundle->stage == BUNDLE_OPEN) {
        end_bundle(conn, bundle, RILLE_CONFLICT, NULL, NULL);
    } else if (bundle->stage == BUNDLE_SENT && bundle->members == 0 && !bundle->busy) {
        atomic_store(&conn->stale, true);
        end_bundle(conn, bundle, RILLE_CONFLICT, NULL, NULL);
    }
    drop_bundle(bundle);
    ri_mutex_unlock(&conn->state);
}

/* ---- swapping ---- */

static int swap_once(rille_conn *conn, const next_head *b, rille_revision *revision, rille_err *err)
{
    rille_head_swap swap = { .branch = conn->branch,
                             .expected = b->expected,
                             .cell = b->cell->bytes,
                             .cell_len = b->cell_len,
                             .kept_len = b->kept_len,
                             .durable = conn->durability != RI_DURABLE_NONE };
    return ri_store_head_swap_all(conn->store, &swap, b->writers, b->writer_count, revision, err);
}

/* A reply that was lost is no commit that was lost: the same swap is sent again, until the head says who was first.
 * *now, of RILLE_CONFLICT: the head after it, a reference. A store may have got what it refuses a moment before, from a
 * copy of the same request. */
static int swap_surely(rille_conn *conn, const next_head *b, rille_revision *revision, rille_db **now, rille_err *err)
{
    int rc = swap_once(conn, b, revision, err);
    for (int tries = 1; rc == RILLE_UNKNOWN && tries < SWAP_TRIES_MAX; tries++) {
        rc = swap_once(conn, b, revision, err);
    }
    *now = NULL;
    if (rc == RILLE_CONFLICT) {
        RI_TRY(ri_conn_refresh(conn, err));
        *now = ri_conn_seen_db(conn);
    }
    return rc != RILLE_UNKNOWN ? rc
                               : ri_fail(err, RILLE_IO,
                                         "it is unknown whether the transaction was committed: commit something "
                                         "else, then look");
}

/* The head is what it was to become. */
static void see(rille_conn *conn, ri_bundle *b, const rille_revision *revision, int64_t began_ms)
{
    ri_refs_take(&b->cell->refs);
    ri_seen fresh = {
        ri_db_retain(b->after), b->cell, b->cell_len, b->cell_len, b->tail_at, *revision, began_ms, false
    };
    ri_conn_see(conn, &fresh);
    ri_conn_keep(conn);
}

/* Tells what came of a swap. Takes now. */
static void tell(rille_conn *conn, ri_bundle *b, int rc, const rille_revision *revision, int64_t began_ms,
                 rille_db *now, const rille_err *err)
{
    if (rc == 0) {
        see(conn, b, revision, began_ms);
    } else if (rc < 0) {
        atomic_store(&conn->stale, true);
    }
    ri_mutex_lock(&conn->state);
    if (b->stage != BUNDLE_OVER) {
        b->now = now;
        now = NULL;
    }
    end_bundle(conn, b, rc, revision, err);
    ri_mutex_unlock(&conn->state);
    ri_db_release(now);
}

static int swap_in_task(rille_conn *conn, ri_bundle *b, rille_revision *revision, rille_db **now, rille_err *err)
{
    ri_task *task = ri_task_running();
    *now = NULL;
    b->shared = task == NULL || b->shared != NULL ? b->shared : ri_shared_new();
    if (task != NULL && b->shared == NULL) {
        return ri_fail_nomem(err);
    }
    next_head next = { b->expected, b->cell, b->cell_len, b->kept_len, b->writers, b->writer_count };
    int rc = swap_surely(conn, &next, revision, now, err);
    if (rc == RILLE_NEED && task->waits && task->call.slot == RI_CALL_HEAD_SWAP) {
        ri_task_share(task, b->shared);
        b->asked = true;
    }
    if (rc == RILLE_NOMEM && b->asked && b->retries++ < SWAP_TRIES_MAX) {
        return RILLE_NEED; /* no outcome of a swap that may be under way: this task asks once more */
    }
    return rc;
}

/* The bundle whose turn it is; the open one's comes when no other is sent. `state` is held. */
static ri_bundle *next_bundle(rille_conn *conn)
{
    if (conn->sent == NULL) {
        conn->sent = conn->open;
        conn->open = NULL;
        conn->sent->stage = BUNDLE_SENT;
    }
    return conn->sent;
}

/* Sends it. `state` is held, but not meanwhile. */
static int send(rille_conn *conn, ri_bundle *b)
{
    rille_revision revision = { { 0 } };
    rille_db *now = NULL;
    rille_err own = { 0 };
    int64_t began_ms = ri_clock_ms();
    b->busy = true;
    b->refs++;
    ri_mutex_unlock(&conn->state);
    int rc = swap_in_task(conn, b, &revision, &now, &own);
    if (rc != RILLE_NEED) {
        tell(conn, b, rc, &revision, began_ms, now, &own);
    }
    ri_mutex_lock(&conn->state);
    b->busy = false;
    ri_cond_broadcast(&conn->changed);
    drop_bundle(b);
    return rc == RILLE_NEED ? rc : 0;
}

/* What the task waits for of a bundle that another one ended. `state` is held. */
static void withdraw(ri_task *task, const ri_bundle *bundle)
{
    if (task != NULL && task->waits && (bundle->stage == BUNDLE_OVER || ri_task_is_answered_elsewhere(task))) {
        ri_task_withdraw(task);
    }
}

int ri_bundle_end(rille_conn *conn, ri_bundle *bundle)
{
    ri_task *task = ri_task_running();
    int rc = 0;
    ri_mutex_lock(&conn->state);
    withdraw(task, bundle);
    while (rc == 0 && bundle->stage != BUNDLE_OVER) {
        ri_bundle *next = next_bundle(conn);
        if (!next->busy) {
            rc = send(conn, next);
        } else if (task != NULL) {
            rc = RILLE_NEED; /* a thread is about to end it */
        } else {
            ri_cond_wait(&conn->changed, &conn->state, UINT64_MAX);
        }
    }
    ri_mutex_unlock(&conn->state);
    return rc;
}

int ri_bundle_drain(rille_conn *conn)
{
    ri_task *task = ri_task_running();
    if (task != NULL && ri_task_is_answered_elsewhere(task)) {
        ri_task_withdraw(task);
    }
    ri_mutex_lock(&conn->state);
    ri_bundle *b = conn->open != NULL ? conn->open : conn->sent;
    if (b == NULL) {
        ri_mutex_unlock(&conn->state);
        return 0;
    }
    b->refs++; /* not a member: it may look on */
    ri_mutex_unlock(&conn->state);
    int rc = ri_bundle_end(conn, b);
    ri_mutex_lock(&conn->state);
    drop_bundle(b);
    ri_mutex_unlock(&conn->state);
    return rc;
}

/* ---- outcomes ---- */

/* The head is not what was expected: because of an earlier try of the same swap? */
static int find_attempt(rille_db *now, const ri_block *block, rille_err *err)
{
    uint64_t t = 0;
    int rc;
    ri_io io = { 0 };
    RI_FETCHING(rc, &io, ri_db_attempt(now, block->attempt, &io, &t, err), err)
    ri_io_deinit(&io);
    return rc != 0 ? rc : t == block->t ? 0 : RILLE_CONFLICT;
}

int ri_bundle_outcome(const ri_bundle *bundle, const ri_block *block, rille_err *err)
{
    if (bundle->rc == RILLE_CONFLICT && bundle->now != NULL && block != NULL) {
        return find_attempt(bundle->now, block, err);
    }
    if (bundle->rc < 0 && err != NULL) {
        *err = bundle->err;
    }
    return bundle->rc;
}

bool ri_bundle_is_free(const rille_conn *conn, const ri_seen *from)
{
    return conn->is_free && has_revision(&from->revision) && ri_task_running() == NULL;
}

int ri_bundle_alone(rille_conn *conn, const ri_seen *from, ri_plan *plan, const ri_block *block, rille_err *err)
{
    next_head next = { from->revision, plan->cell,    plan->cell_len,
                       plan->kept_len, &plan->writer, plan->writer != NULL ? 1 : 0 };
    rille_revision revision;
    rille_db *now;
    int64_t began_ms = ri_clock_ms();
    int rc = swap_surely(conn, &next, &revision, &now, err);
    if (rc == 0) {
        ri_seen fresh = { ri_db_retain(plan->after),
                          plan->cell,
                          plan->cell_len,
                          plan->cell_len,
                          plan->tail_at,
                          revision,
                          began_ms,
                          false };
        plan->cell = NULL;
        ri_conn_see(conn, &fresh);
        ri_conn_keep(conn);
    } else if (rc == RILLE_CONFLICT) {
        rc = find_attempt(now, block, err);
        ri_db_release(now);
    }
    return rc;
}
