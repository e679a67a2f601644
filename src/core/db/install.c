/* SPDX-License-Identifier: MIT
 *
 * Making a base that was built beside commits that of the head.
 *
 * The value on the new base is made before the writer lock is taken, together with the sets that the old value has been
 * read by. Under the lock only what was committed in between is left, so the next commit finds all as it was.
 */
#include "../store/task.h"
#include "../store/writers.h"
#include "bundle.h"

#include <string.h>

typedef struct install {
    rille_conn *conn;
    const ri_base *flushed;
    const ri_schema *schema;
    ri_writer *writer;
    rille_db *ready; /* a recent value of the branch, on the flushed base */
} install;

/* The frames of transactions after t. */
static size_t frames_after(const ri_seen *seen, uint64_t t)
{
    size_t pos = seen->tail_at;
    size_t start = pos;
    ri_frame_kind kind;
    const uint8_t *body;
    const uint8_t *commit;
    size_t len;
    uint64_t own;
    while (ri_frame_next(seen->cell->bytes, seen->cell_len, &pos, &kind, &body, &len, NULL) == 0 &&
           ri_block_peek(kind, body, len, &own, &commit) && own <= t) {
        start = pos;
    }
    return start;
}

/* The flushed base with the segments behind it. */
static int base_of(const install *in, const rille_db *db, ri_base **out, rille_err *err)
{
    const ri_base *now = db->base;
    uint32_t first = 0;
    while (first < now->segment_count && now->segments[first].t_last <= in->flushed->t) {
        first++;
    }
    return ri_base_copy(in->flushed, now->segments + first, now->segment_count - first, out, err);
}

/* The value that `db` is, on the flushed base. */
static int follow(const install *in, const rille_db *db, ri_base *base, rille_db **out, rille_err *err)
{
    return in->ready != NULL ? ri_db_follow(in->ready, db, base, out, err)
                             : ri_db_on_base(db, base, in->schema, out, err);
}

/* Is there anything to install? RILLE_DONE: another flush was first, and came as far. RILLE_CONFLICT: what is known is
 * older than the base. */
static int check(const install *in, const rille_db *db, rille_err *err)
{
    if (db->base->t >= in->flushed->t || db->t < in->flushed->t) {
        return db->base->t >= in->flushed->t ? RILLE_DONE : RILLE_CONFLICT;
    }
    bool same = ri_db_has_commit(db, in->flushed->t, in->flushed->commit) &&
                (in->ready == NULL || ri_db_has_commit(db, in->ready->t, in->ready->commit));
    return same ? 0
                : ri_fail(err, RILLE_IO, "the branch no longer has the history that the flush began with: reconnect");
}

/* The sets that the value before was read by: at once, since the next run would begin with another value. */
static int make_sets(const rille_db *before, const rille_db *next, rille_err *err)
{
    int rc = 0;
    ri_task *outer = ri_task_enter(NULL);
    unsigned orders = ri_novelty_read_orders(&before->novelty);
    for (int o = 0; o < RI_NOVELTY_ORDERS && rc == 0; o++) {
        const ri_set_node *set;
        if ((orders >> o & 1) != 0) {
            rc = ri_novelty_set(&next->novelty, (ri_order)o, &set, err);
        }
    }
    return ri_task_leave(NULL, outer, rc, err);
}

static int make_ready(install *in, rille_err *err)
{
    rille_db *db = ri_conn_seen_db(in->conn);
    rille_db *next = NULL;
    ri_base *base = NULL;
    int rc = check(in, db, err);
    rc = rc == 0 ? base_of(in, db, &base, err) : rc;
    rc = rc == 0 ? follow(in, db, base, &next, err) : rc;
    rc = rc == 0 ? make_sets(db, next, err) : rc;
    if (rc == 0) {
        ri_db_release(in->ready);
        in->ready = next;
        next = NULL;
    }
    ri_db_release(next);
    ri_base_release(base);
    ri_db_release(db);
    return rc;
}

static int plan_rebase(const install *in, ri_plan *p, const ri_seen *seen, rille_err *err)
{
    ri_base *base;
    RI_TRY(base_of(in, seen->db, &base, err));
    size_t tail = frames_after(seen, in->flushed->t);
    int rc = ri_plan_base(p, base, err);
    if (rc == 0 && !ri_cell_append(&p->cell, &p->cell_len, seen->cell->bytes + tail, seen->cell_len - tail)) {
        rc = ri_fail_nomem(err);
    }
    rc = rc == 0 ? follow(in, seen->db, base, &p->after, err) : rc;
    ri_base_release(base);
    return rc;
}

/* Plans the rebase of the tip, and joins a bundle. RILLE_DONE, as of check. RILLE_CONFLICT: others committed; see what, and
 * try again. */
static int join(install *in, ri_bundle **bundle, rille_err *err)
{
    ri_plan p = { 0 };
    ri_seen from = { 0 };
    ri_mutex_lock(&in->conn->writer);
    ri_conn_tip(in->conn, &from);
    int rc = check(in, from.db, err);
    rc = rc == 0 ? plan_rebase(in, &p, &from, err) : rc;
    if (rc == 0) {
        p.writer = ri_writer_retain(in->writer);
        rc = ri_bundle_join(in->conn, &from, &p, bundle, err);
    }
    ri_mutex_unlock(&in->conn->writer);
    ri_plan_deinit(&p);
    ri_seen_deinit(&from);
    if (rc == 0 && ri_task_running() != NULL) {
        ri_task_keep(ri_task_running());
    }
    return rc;
}

/* What another flush is about to install counts when it is installed. */
static int settle(install *in, rille_err *err)
{
    RI_TRY(ri_bundle_drain(in->conn));
    rille_db *db = ri_conn_seen_db(in->conn);
    int rc = check(in, db, err);
    ri_db_release(db);
    return rc == 0 ? RILLE_CONFLICT : rc;
}

static int try_install(install *in, ri_bundle **bundle, rille_err *err)
{
    int rc = 0;
    if (*bundle == NULL) {
        rc = make_ready(in, err);
        rc = rc == 0 ? join(in, bundle, err) : rc;
        rc = rc == RILLE_DONE ? settle(in, err) : rc;
    }
    if (rc == 0) {
        RI_TRY(ri_bundle_end(in->conn, *bundle));
        rc = ri_bundle_outcome(*bundle, NULL, err);
        ri_bundle_leave(in->conn, *bundle);
        *bundle = NULL;
    }
    return rc;
}

int ri_conn_install(rille_conn *conn, const ri_base *flushed, const ri_schema *schema, ri_writer *writer,
                    ri_bundle **bundle, rille_err *err)
{
    install in = { conn, flushed, schema, writer, NULL };
    int rc = RILLE_CONFLICT;
    for (int tries = 0; tries < RI_COMMIT_TRIES_MAX && rc == RILLE_CONFLICT; tries++) {
        rc = try_install(&in, bundle, err);
        if (rc == RILLE_CONFLICT) {
            int refreshed = ri_conn_refresh(conn, err);
            rc = refreshed != 0 ? refreshed : rc;
        }
    }
    ri_db_release(in.ready);
    return rc == RILLE_CONFLICT ? ri_conn_busy(conn, err) : rc == RILLE_DONE ? 0 : rc;
}
