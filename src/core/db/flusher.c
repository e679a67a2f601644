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
 * the allocation hook and a backend that says that it may be called by several threads. Elsewhere the commit that claimed
 * flushes before it returns.
 */
#include "conn_own.h"

#include "flush.h"

#define NOVELTY_MIN 65536U
#define NOVELTY_MAX 262144U
#define NOVELTY_SHARE 256U
#define PACE_US 20U /* 50,000 datoms a second: slower than any flush */

uint64_t ri_conn_novelty_limit(const rille_conn *conn, const rille_db *db)
{
    if (conn->novelty_min != 0) {
        return conn->novelty_min;
    }
    uint64_t share = db->base->tree[RI_EAVT].count / NOVELTY_SHARE;
    return share < NOVELTY_MIN ? NOVELTY_MIN : share > NOVELTY_MAX ? NOVELTY_MAX : share;
}

uint64_t ri_conn_novelty_max(const rille_conn *conn, const rille_db *db)
{
    return 3 * ri_conn_novelty_limit(conn, db);
}

/* ---- one at a time ---- */

void ri_flusher_init(ri_flusher *f)
{
    ri_mutex_init(&f->lock);
    ri_cond_init(&f->ended);
}

/* The lock is held. In a forked child the parent's flush is not under way. */
static bool is_busy(const ri_flusher *f)
{
    return f->busy && f->process == ri_process();
}

static void join(ri_flusher *f)
{
    if (f->has_thread && f->process == ri_process()) {
        ri_thread_join(&f->thread);
    }
    f->has_thread = false;
}

void ri_flusher_deinit(ri_flusher *f)
{
    join(f);
    ri_cond_deinit(&f->ended);
    ri_mutex_deinit(&f->lock);
}

/* Begins a flush of this connection; waits for the one before. */
static void enter(ri_flusher *f)
{
    ri_mutex_lock(&f->lock);
    while (is_busy(f)) {
        ri_cond_wait(&f->ended, &f->lock, UINT64_MAX);
    }
    join(f);
    f->busy = true;
    f->process = ri_process();
    ri_mutex_unlock(&f->lock);
}

static void leave(ri_flusher *f)
{
    ri_mutex_lock(&f->lock);
    f->busy = false;
    ri_cond_broadcast(&f->ended);
    ri_mutex_unlock(&f->lock);
}

/* ---- flushing ---- */

/* Commits go on meanwhile, here and elsewhere: only the swap at the end waits for them. */
static int flush_value(rille_conn *conn, const rille_db *db, rille_err *err)
{
    ri_writer *writer = NULL;
    ri_base *base = NULL;
    int rc = ri_writer_new(db->store, &writer, err);
    if (rc == 0) {
        rc = ri_flush_build(db, NULL, writer, &base, err);
    }
    if (rc == 0) {
        rc = ri_writer_store(writer, err);
    }
    if (rc == 0) {
        rc = ri_conn_install(conn, base, db->schema, writer, err);
    }
    ri_base_release(base);
    ri_writer_release(writer);
    return rc;
}

int ri_conn_flush(rille_conn *conn, rille_err *err)
{
    enter(&conn->flusher);
    rille_db *db = NULL;
    int rc = ri_conn_refresh(conn, err);
    if (rc == 0) {
        db = ri_conn_seen_db(conn);
        rc = ri_conn_refuse_tag(db, err);
    }
    if (rc == 0 && db->novelty.last != NULL) {
        rc = flush_value(conn, db, err);
    }
    ri_db_release(db);
    leave(&conn->flusher);
    return rc;
}

/* A failure is not lost: the claim expires, and in the end a commit flushes itself and says why it cannot. */
static void flush_claimed(rille_conn *conn, rille_db *db)
{
    ri_work_begin();
    (void)flush_value(conn, db, NULL);
    ri_db_release(db);
    leave(&conn->flusher);
    ri_work_end();
}

static void *run(void *context)
{
    rille_conn *conn = context;
    flush_claimed(conn, conn->flusher.db);
    return NULL;
}

/* May the backend be called by another thread while this one goes on? */
static bool may_have_thread(const rille_conn *conn)
{
    uint32_t capabilities = ri_store_capabilities(conn->store);
    return (capabilities & RILLE_BACKEND_THREADS) != 0 && (capabilities & RILLE_BACKEND_DEFERRED) == 0;
}

void ri_conn_begin_flush(rille_conn *conn, rille_db *db)
{
    ri_flusher *f = &conn->flusher;
    ri_mutex_lock(&f->lock);
    bool busy = is_busy(f);
    if (!busy) {
        join(f);
        f->busy = true;
        f->process = ri_process();
        f->db = ri_db_retain(db);
        f->has_thread = may_have_thread(conn) && ri_thread_start(&f->thread, run, conn);
    }
    bool alone = !busy && !f->has_thread;
    ri_mutex_unlock(&f->lock);
    if (alone) {
        flush_claimed(conn, f->db);
    }
}

/* ---- when ---- */

static bool is_claimed(const ri_novelty *novelty, uint64_t limit)
{
    return novelty->claim != 0 && novelty->datom_count - novelty->claim < limit / 2;
}

bool ri_conn_flush_due(rille_conn *conn, const rille_db *db, size_t datoms)
{
    uint64_t limit = ri_conn_novelty_limit(conn, db);
    if (conn->flush != RI_FLUSH_AUTO || db->novelty.datom_count + datoms < limit || is_claimed(&db->novelty, limit)) {
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
    if (count < 2 * limit || datoms >= limit || conn->flush != RI_FLUSH_AUTO) {
        return;
    }
    bool full = count > ri_conn_novelty_max(conn, db);
    uint64_t end = ri_clock_us() + PACE_US * datoms;
    ri_mutex_lock(&f->lock);
    for (uint64_t now = ri_clock_us(); is_busy(f) && (full || now < end); now = ri_clock_us()) {
        ri_cond_wait(&f->ended, &f->lock, full ? UINT64_MAX : end - now);
    }
    ri_mutex_unlock(&f->lock);
}
