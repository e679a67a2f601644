/* SPDX-License-Identifier: MIT
 *
 * When the novelty is flushed, and by whom.
 *
 * The commit that takes the novelty to its limit CLAIMS the flush: its frame says so, and every writer that reads the
 * frame leaves the flush to it. It then begins to build a base of the value after it, beside the commits that follow
 * (install.c ends that). A claim is good until half a limit more was committed: if it was not kept by then, because
 * the process died, the next commit claims again. No clock is needed, and nobody is asked whether a process lives. If
 * two flush after all, one of them is installed, and the other one's work is lost.
 *
 *      0 -------- limit -------- + 1/2 ------- 2 limits ---------------- 3 limits
 *                 a commit       the claim      commits wait PACE_US      a commit waits for the flush; if there is
 *                 claims         has expired    for each datom            none, or it failed, it flushes itself
 *
 * A connection waits for its flush when it is closed. So what short-lived programs commit is flushed by the one that
 * claimed, when it ends; if it is killed, by a later one.
 *
 * Threads: a flush runs on a thread of its own, one at a time for each connection, which calls nothing of the host's but
 * the allocation hook and a backend that says that it may be called by several threads. It holds locks only in its
 * steps, between which a process may fork.
 *
 * Without a thread, commits take the flush further, each by as many steps as its datoms owe: so many that it is done
 * when four tenths of a limit were committed, before the claim expires, if it is as long as the one before. A task whose
 * storage answers later cannot do that: what it waits for is its own. So its commits claim nothing, and at the limit
 * one flushes itself.
 */
#include "bundle.h"

#include "../store/task.h"
#include "flush.h"

#define NOVELTY_MIN 65536U
#define NOVELTY_MAX 262144U
#define NOVELTY_SHARE 256U
#define STEP_PRICE 65536U
#define PACE_US 20U /* 50,000 datoms a second: slower than any flush */

uint64_t ri_conn_novelty_limit(const rille_conn *conn, const rille_db *db)
{
    if (conn->novelty_min != 0) {
        return conn->novelty_min;
    }
    uint64_t share = db->base->tree[RI_EAVT].count / NOVELTY_SHARE;
    return share < NOVELTY_MIN ? NOVELTY_MIN : share > NOVELTY_MAX ? NOVELTY_MAX : share;
}

/* May a commit take a flush further that it does not wait for? */
static bool may_step(const rille_conn *conn)
{
    return ri_task_running() == NULL || (ri_store_capabilities(conn->store) & RILLE_BACKEND_DEFERRED) == 0;
}

uint64_t ri_conn_novelty_max(const rille_conn *conn, const rille_db *db)
{
    bool waits = conn->flush != RI_FLUSH_MANUAL && !may_step(conn);
    return (waits ? 1 : 3) * ri_conn_novelty_limit(conn, db);
}

/* ---- a flush ---- */

typedef struct ri_flush_run {
    rille_db *db;
    ri_writer *writer;
    ri_flush *flush; /* NULL: it is built */
    ri_base *base;
    bool stored;
    ri_bundle *bundle; /* in a task, that installs it, then ... */
    rille_conn *conn;  /* ... of this, a reference */
} flush_run;

static void run_release(flush_run *run)
{
    if (run != NULL) {
        ri_bundle_leave(run->conn, run->bundle);
        ri_conn_release(run->conn);
        ri_flush_release(run->flush);
        ri_base_release(run->base);
        ri_writer_release(run->writer);
        ri_db_release(run->db);
        ri_free(run);
    }
}

static int run_new(rille_db *db, flush_run **out, rille_err *err)
{
    *out = NULL;
    flush_run *run = ri_alloc_zero(sizeof *run);
    if (run == NULL) {
        return ri_fail_nomem(err);
    }
    run->db = ri_db_retain(db);
    int rc = ri_writer_new(db->store, &run->writer, err);
    if (rc == 0) {
        rc = ri_flush_new(db, NULL, run->writer, &run->flush, err);
    }
    if (rc != 0) {
        run_release(run);
        return rc;
    }
    *out = run;
    return 0;
}

/* RILLE_AGAIN: there is more to do. Commits go on meanwhile, here and elsewhere: only the swap at the end waits for
 * them. */
static int run_step(rille_conn *conn, flush_run *run, rille_err *err)
{
    if (run->flush != NULL) {
        RI_TRY(ri_flush_step(run->flush, err));
        run->base = ri_flush_take_base(run->flush);
        ri_flush_release(run->flush);
        run->flush = NULL;
        return RILLE_AGAIN;
    }
    if (!run->stored) {
        RI_TRY(ri_writer_store(run->writer, err)); /* a part of it at a time */
        run->stored = true;
        return RILLE_AGAIN;
    }
    int rc = ri_conn_install(conn, run->base, run->db->schema, run->writer, &run->bundle, err);
    if (run->bundle != NULL && run->conn == NULL) {
        run->conn = ri_conn_retain(conn);
    }
    return rc;
}

static int run_to_end(rille_conn *conn, flush_run *run, rille_err *err)
{
    int rc;
    do {
        rc = run_step(conn, run, err);
    } while (rc == RILLE_AGAIN);
    return rc;
}

/* ---- one at a time ---- */

/* The lock is held, here and below. In a forked child the parent's flush is not under way. */
static bool is_busy(const ri_flusher *f)
{
    return f->busy && f->process == ri_process();
}

/* Begins a flush when none is under way. */
static void set_busy(ri_flusher *f)
{
    bool own = f->process == ri_process();
    if (f->has_thread && own) {
        ri_thread_join(&f->thread);
    }
    if (f->busy && !f->has_thread && !own) {
        run_release(f->run); /* a copy of what the parent's commits take further */
    }
    f->has_thread = f->stepping = false;
    f->run = NULL;
    f->busy = true;
    f->process = ri_process();
}

static void end_run(ri_flusher *f)
{
    run_release(f->run);
    f->run = NULL;
    f->busy = f->stepping = false;
    ri_cond_broadcast(&f->ended);
}

/* What each datom of a commit owes of a flush of so many steps, so that it is done after four tenths of as many datoms
 * as it flushes. */
static uint64_t rate_of(uint64_t steps, uint64_t datoms)
{
    return steps * 5 / 2 * STEP_PRICE / (datoms > 0 ? datoms : 1) + 1;
}

/* Steps, as a commit takes them: `max` at most, and none when another thread does. */
static void advance(rille_conn *conn, uint64_t max)
{
    ri_flusher *f = &conn->flusher;
    ri_mutex_lock(&f->lock);
    bool may = max > 0 && is_busy(f) && may_step(conn) && !f->has_thread && f->run != NULL && !f->stepping;
    f->stepping = f->stepping || may;
    ri_mutex_unlock(&f->lock);
    if (!may) {
        return;
    }
    int rc = RILLE_AGAIN;
    uint64_t steps = 0;
    ri_task *outer = ri_task_enter(NULL); /* which does not wait for the flush */
    for (; steps < max && rc == RILLE_AGAIN; steps++) {
        rc = run_step(conn, f->run, NULL);
    }
    (void)ri_task_leave(NULL, outer, 0, NULL);
    ri_mutex_lock(&f->lock);
    f->steps += steps;
    f->stepping = false;
    if (rc == 0) {
        f->rate = rate_of(f->steps - f->run_start, f->run->db->novelty.datom_count);
    }
    if (rc != RILLE_AGAIN) {
        end_run(f);
    }
    ri_mutex_unlock(&f->lock);
}

/* A task cannot take it further. The lock is held. */
static void give_up(rille_conn *conn)
{
    ri_flusher *f = &conn->flusher;
    if (is_busy(f) && !f->has_thread && f->run != NULL && !f->stepping && !may_step(conn)) {
        end_run(f);
    }
}

/* Waits for the flush before, or ends it, and begins one. */
static void enter(rille_conn *conn)
{
    ri_flusher *f = &conn->flusher;
    ri_mutex_lock(&f->lock);
    give_up(conn); /* this one does its work, too */
    while (is_busy(f)) {
        bool waits = f->has_thread || f->run == NULL || f->stepping;
        if (waits) {
            ri_cond_wait(&f->ended, &f->lock, UINT64_MAX);
            give_up(conn);
        } else {
            ri_mutex_unlock(&f->lock);
            advance(conn, UINT64_MAX);
            ri_mutex_lock(&f->lock);
        }
    }
    set_busy(f);
    ri_mutex_unlock(&f->lock);
}

static void leave(rille_conn *conn)
{
    ri_mutex_lock(&conn->flusher.lock);
    end_run(&conn->flusher);
    ri_mutex_unlock(&conn->flusher.lock);
}

void ri_flusher_init(ri_flusher *f)
{
    ri_mutex_init(&f->lock);
    ri_cond_init(&f->ended);
}

void ri_flusher_deinit(rille_conn *conn)
{
    ri_flusher *f = &conn->flusher;
    advance(conn, UINT64_MAX);
    ri_mutex_lock(&f->lock);
    give_up(conn);
    ri_mutex_unlock(&f->lock);
    set_busy(f); /* joins */
    ri_cond_deinit(&f->ended);
    ri_mutex_deinit(&f->lock);
}

int ri_conn_flush(rille_conn *conn, rille_err *err)
{
    enter(conn);
    rille_db *db = NULL;
    flush_run *run = NULL;
    int rc = ri_conn_refresh(conn, err);
    if (rc == 0) {
        db = ri_conn_seen_db(conn);
        rc = ri_conn_refuse_tag(db, err);
    }
    if (rc == 0 && db->novelty.last != NULL) {
        rc = run_new(db, &run, err);
        rc = rc == 0 ? run_to_end(conn, run, err) : rc;
    }
    run_release(run);
    ri_db_release(db);
    leave(conn);
    return rc;
}

void ri_flush_run_release(ri_flush_run *run)
{
    run_release(run);
}

/* The flush of this connection that is under way, if any, goes on; or it is given up, where this one does its work. */
static bool is_other_under_way(rille_conn *conn)
{
    enum { STEPS = 64 };
    advance(conn, STEPS);
    ri_mutex_lock(&conn->flusher.lock);
    give_up(conn);
    bool busy = is_busy(&conn->flusher);
    ri_mutex_unlock(&conn->flusher.lock);
    return busy;
}

static int begin_run(rille_conn *conn, flush_run **run, rille_err *err)
{
    RI_TRY(ri_conn_refresh(conn, err));
    rille_db *db = ri_conn_seen_db(conn);
    int rc = ri_conn_refuse_tag(db, err);
    if (rc == 0 && db->novelty.last != NULL) {
        rc = run_new(db, run, err);
        rc = rc == 0 ? RILLE_AGAIN : rc;
    }
    ri_db_release(db);
    return rc;
}

int ri_conn_flush_step(rille_conn *conn, ri_flush_run **kept, rille_err *err)
{
    if (*kept != NULL) {
        return run_step(conn, *kept, err);
    }
    return is_other_under_way(conn) ? RILLE_AGAIN : begin_run(conn, kept, err);
}

/* ---- beside commits ---- */

/* A failure is not lost: the claim expires, and in the end a commit flushes itself and says why it cannot. */
static void *run_thread(void *context)
{
    rille_conn *conn = context;
    int rc = RILLE_AGAIN;
    while (rc == RILLE_AGAIN) {
        ri_work_begin();
        rc = run_step(conn, conn->flusher.run, NULL);
        if (rc != RILLE_AGAIN) {
            leave(conn);
        }
        ri_work_end();
    }
    return NULL;
}

/* May the backend be called by another thread while this one goes on? */
static bool may_have_thread(const rille_conn *conn)
{
    uint32_t capabilities = ri_store_capabilities(conn->store);
    return conn->flush != RI_FLUSH_SLICED && (capabilities & RILLE_BACKEND_THREADS) != 0 &&
           (capabilities & RILLE_BACKEND_DEFERRED) == 0;
}

/* Steps that a flush takes: those of its portions, and a leaf for each change, if there are as many leaves. */
static uint64_t guess_steps(const rille_db *db)
{
    uint64_t count = db->novelty.datom_count;
    uint64_t steps = 64;
    for (unsigned o = 0; o < RI_ORDER_COUNT; o++) {
        uint64_t leaves = o == RI_LOG ? 1 : db->base->tree[o].count / RI_LEAF_ROWS_MIN / 4;
        steps += count / RI_LEAF_ROWS_MIN / 2 + (leaves < count ? leaves : count);
    }
    return steps;
}

void ri_conn_begin_flush(rille_conn *conn, rille_db *db)
{
    ri_flusher *f = &conn->flusher;
    flush_run *run = NULL;
    (void)run_new(db, &run, NULL);
    ri_mutex_lock(&f->lock);
    if (run != NULL && !is_busy(f)) {
        set_busy(f);
        f->run = run;
        f->has_thread = may_have_thread(conn) && ri_thread_start(&f->thread, run_thread, conn);
        if (!f->has_thread) {
            f->run_start = f->steps;
            f->owed = 0;
            f->rate = f->rate != 0 ? f->rate : rate_of(guess_steps(db), db->novelty.datom_count);
        }
        run = NULL;
    }
    ri_mutex_unlock(&f->lock);
    run_release(run);
}

/* ---- when ---- */

static bool is_claimed(const ri_novelty *novelty, uint64_t limit)
{
    return novelty->claim != 0 && novelty->datom_count - novelty->claim < limit / 2;
}

bool ri_conn_flush_due(rille_conn *conn, const rille_db *db, size_t datoms)
{
    uint64_t limit = ri_conn_novelty_limit(conn, db);
    if (conn->flush == RI_FLUSH_MANUAL || !may_step(conn) || db->novelty.datom_count + datoms < limit ||
        is_claimed(&db->novelty, limit)) {
        return false;
    }
    ri_mutex_lock(&conn->flusher.lock);
    bool busy = is_busy(&conn->flusher);
    ri_mutex_unlock(&conn->flusher.lock);
    return !busy;
}

void ri_conn_pace(rille_conn *conn, const rille_db *db, size_t datoms)
{
    ri_flusher *f = &conn->flusher;
    uint64_t limit = ri_conn_novelty_limit(conn, db);
    uint64_t count = db->novelty.datom_count + datoms;
    if (count < 2 * limit || datoms >= limit || conn->flush == RI_FLUSH_MANUAL) {
        return;
    }
    bool full = count > ri_conn_novelty_max(conn, db);
    advance(conn, full ? UINT64_MAX : 0);
    uint64_t end = ri_clock_us() + PACE_US * datoms;
    ri_mutex_lock(&f->lock);
    for (uint64_t now = ri_clock_us(); is_busy(f) && (full || now < end); now = ri_clock_us()) {
        ri_cond_wait(&f->ended, &f->lock, full ? UINT64_MAX : end - now);
    }
    ri_mutex_unlock(&f->lock);
}

void ri_conn_pay(rille_conn *conn, size_t datoms)
{
    ri_flusher *f = &conn->flusher;
    if (!atomic_load_explicit(&f->busy, memory_order_relaxed)) {
        return;
    }
    ri_mutex_lock(&f->lock);
    uint64_t steps = 0;
    if (f->busy && !f->has_thread && is_busy(f)) { /* with a thread nothing is asked of the system */
        f->owed += datoms * f->rate;
        steps = f->owed / STEP_PRICE;
        f->owed %= STEP_PRICE;
    }
    ri_mutex_unlock(&f->lock);
    if (steps > 0) {
        advance(conn, steps);
    }
}
