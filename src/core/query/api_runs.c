/* SPDX-License-Identifier: MIT
 *
 * What the public operations besides queries run, in a task (task.h): each is called again until it gives anything but
 * RILLE_NEED and RILLE_AGAIN, and keeps in rille_steps what it has done.
 */
#include "api_own.h"

int ri_run_connect(rille_steps *s, rille_err *err)
{
    int rc = ri_conn_open(s->url, &s->options, &s->out_conn, err);
    if (rc == RILLE_NOTFOUND) {
        ri_err_append(err, "; set create in rille_options to create it");
    }
    return rc;
}

int ri_run_db(rille_steps *s, rille_err *err)
{
    return ri_conn_db(s->conn, &s->out_db, err);
}

int ri_run_as_of(rille_steps *s, rille_err *err)
{
    return ri_db_as_of_t(s->db, s->tx, &s->out_db, err);
}

int ri_run_as_of_instant(rille_steps *s, rille_err *err)
{
    return ri_db_as_of_instant(s->db, s->instant_ms, &s->out_db, err);
}

#define EDN_WORK (4 * RI_STEPS_EDN_PORTION)

static int read_form(rille_steps *s, rille_err *err)
{
    while (!s->has_form) {
        int rc = ri_edn_read_on(&s->reader, &s->form, err);
        s->has_form = rc == 0;
        if (rc < 0) {
            return rc;
        }
        if (ri_task_pause(EDN_WORK)) {
            return RILLE_NEED;
        }
    }
    return 0;
}

/* The transaction is s->filled, which a run begins and later ones go on with. */
static int fill(rille_steps *s, rille_err *err)
{
    int rc = RILLE_AGAIN;
    while (rc == RILLE_AGAIN) {
        rc = ri_tx_fill_edn_step(s->filled, &s->form, &s->filled_items, err);
        if (rc == RILLE_AGAIN && ri_task_pause(ri_tx_fill_work(s->filled))) {
            return RILLE_NEED;
        }
    }
    return rc;
}

static void drop_filled(rille_steps *s)
{
    ri_tx_release(s->filled);
    s->filled = NULL;
    s->filled_items = 0;
}

/* What is not needed any more: in the last steps, rather than when the operation is closed. */
static void drop_data(rille_steps *s)
{
    drop_filled(s);
    ri_edn_deinit(&s->reader);
    ri_arena_deinit(&s->arena);
}

int ri_run_with(rille_steps *s, rille_err *err)
{
    ri_report report;
    RI_TRY(read_form(s, err));
    if (s->filled == NULL) {
        RI_TRY(ri_tx_new(s->db, &s->filled, err));
    }
    RI_TRY(fill(s, err));
    int rc = ri_db_with(s->filled, &report, err);
    s->out_db = ri_db_retain(report.after);
    ri_report_deinit(&report);
    if (rc == 0) {
        drop_data(s);
    }
    return rc;
}

int ri_run_transact(rille_steps *s, rille_err *err)
{
    ri_report report = { 0 };
    ri_task_insist(ri_commit_looks(s->tries));
    RI_TRY(read_form(s, err));
    if (s->filled == NULL) {
        RI_TRY(ri_conn_begin_again(s->conn, &s->filled, &s->begin, err));
    }
    int rc = s->kept == NULL ? ri_conn_doubt(s->filled, fill(s, err)) : 0;
    if (rc == 0) {
        rc = ri_conn_commit_step(s->conn, s->filled, &s->kept, &report, err);
    }
    if (rc == 0) {
        ri_api_commit(report.tx.block, &s->out_commit);
        s->out_db = ri_db_retain(report.after);
    }
    ri_report_deinit(&report);
    if (rc == 0) {
        drop_data(s);
    }
    if (rc != RILLE_CONFLICT) {
        return rc;
    }
    s->begin = ri_conn_begin_next(s->filled);
    drop_filled(s);
    return ++s->tries < RI_COMMIT_TRIES_MAX ? RILLE_AGAIN : ri_conn_busy(s->conn, err);
}

int ri_run_flush(rille_steps *s, rille_err *err)
{
    return ri_conn_flush_step(s->conn, &s->flush, err);
}

int ri_run_verify(rille_steps *s, rille_err *err)
{
    return ri_conn_verify_step(s->conn, &s->verify, err);
}

int ri_run_connect_backend(rille_steps *s, rille_err *err)
{
    return ri_conn_open_store(s->store, &s->options, &s->out_conn, err);
}
