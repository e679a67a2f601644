/* SPDX-License-Identifier: MIT
 *
 * Swaps of the head whose outcome is unknown, each in turn: whether it was done and the reply was lost, or it was never
 * done, every transaction is there once.
 */
#include "harness.h"

#include "../src/core/db/conn.h"
#include "../src/core/store/task.h"

static const char schema[] = "[{:db/ident :n/n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]";

/* In a task, if there is one. */
static int transact(rille_conn *conn, ri_task *task, const char *text)
{
    ri_arena arena = { 0 };
    ri_form form;
    ri_tx *tx = NULL;
    ri_commit *kept = NULL;
    int rc = ri_edn_read(&arena, text, strlen(text), &form, &test_err);
    for (int runs = 0; rc == 0 && runs < 100; runs++) {
        ri_report report = { 0 };
        ri_task *outer = ri_task_enter(task);
        if (kept == NULL) {
            ri_tx_release(tx);
            tx = NULL;
            rc = ri_conn_begin(conn, &tx, &test_err);
            rc = rc == 0 ? ri_tx_fill_edn(tx, &form, &test_err) : rc;
        }
        rc = rc == 0 ? ri_conn_commit_step(conn, tx, task != NULL ? &kept : NULL, &report, &test_err) : rc;
        rc = ri_task_leave(task, outer, rc, &test_err);
        ri_report_deinit(&report);
        if (rc == 0) {
            break;
        }
        if (rc == RILLE_NEED) {
            rc = ri_task_fetch(task, &test_err);
        } else if (rc == RILLE_CONFLICT) {
            rc = 0;
            if (task != NULL) {
                ri_task_forget(task);
            }
        }
    }
    ri_commit_release(kept);
    ri_tx_release(tx);
    ri_arena_deinit(&arena);
    if (task != NULL) {
        ri_task_forget(task);
    }
    return rc;
}

static uint64_t count_numbers(rille_conn *conn)
{
    rille_db *db = NULL;
    uint64_t count = 0;
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    const ri_attr *attr = ri_schema_attr(db->schema, "n/n", 3);
    REQUIRE(attr != NULL);
    ri_bound from = ri_bound_a(attr->id, false);
    ri_bound to = ri_bound_a(attr->id, true);
    ri_io io = { 0 };
    int rc;
    RI_FETCHING(rc, &io, ri_db_count(db, RI_AEVT, &from, &to, &io, &count, &test_err), &test_err)
    CHECK_RC(rc, 0);
    ri_io_deinit(&io);
    ri_db_release(db);
    return count;
}

/* A database is made and changed over a store with one fault. */
static void use(const char *fault, const char *place, int at, bool in_task)
{
    enum { COMMITS = 5 };
    char url[128];
    (void)snprintf(url, sizeof url, "faulty:%s/head_swap/%d;%s", fault, at, place);
    ri_conn_options options = { .must_create = true };
    rille_conn *conn = NULL;
    ri_task task = { 0 };
    ri_verify_report report;
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    REQUIRE_RC(transact(conn, in_task ? &task : NULL, schema), 0);
    for (int i = 0; i < COMMITS; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "[{:n/n %d}]", i);
        CHECK_RC(transact(conn, in_task ? &task : NULL, text), 0);
        CHECK_EQ_INT(count_numbers(conn), i + 1);
        if (i == COMMITS / 2) {
            CHECK_RC(ri_conn_flush(conn, &test_err), 0);
        }
    }
    rille_db *db = ri_conn_seen_db(conn);
    CHECK_EQ_INT(db->t, RI_TX_BASE + 1 + COMMITS);
    ri_db_release(db);
    CHECK_RC(ri_conn_verify(conn, &report, &test_err), 0);
    ri_task_deinit(&task);
    ri_conn_release(conn);
}

static void sweep(const char *fault)
{
    for (int at = 0; at < 20; at++) {
        use(fault, "mem:", at, false);
        use(fault, "mem:", at, true);
        use(fault, "deferred:mem:", at, false);
        use(fault, "deferred:mem:", at, true);
    }
}

TEST(swap__whose_reply_is_lost_is_done_once)
{
    sweep("lost");
}

TEST(swap__that_was_not_sent_is_done_once)
{
    sweep("unsent");
}

TEST_MAIN(swap__whose_reply_is_lost_is_done_once, swap__that_was_not_sent_is_done_once)
