/* SPDX-License-Identifier: MIT
 *
 * One connection, many threads: writers lose nothing, readers always see a whole transaction. Run under ThreadSanitizer
 * by the suite.
 */
#include "harness.h"
#include "test_threads.h"

#include "../src/core/db/commit_own.h"

enum { WRITERS = 3, COMMITS = 40, READERS = 2 };

typedef struct shared {
    rille_conn *conn;
    atomic_int done;
    atomic_int failures;
} shared;

typedef struct worker {
    shared *all;
    int number;
} worker;

/* Each transaction moves one unit from :n/left to :n/right, so that their sum stays the same, and adds a key of its
 * own. */
static int move_one(rille_conn *conn, int key, rille_err *err)
{
    char text[200];
    ri_report report;
    int len = snprintf(text, sizeof text, "[{:n/key %d} {:n/name \"a\" :n/left %d :n/right %d}]", key, -key, key);
    int rc = ri_conn_transact_edn(conn, text, (size_t)len, &report, err);
    if (rc == 0) {
        ri_report_deinit(&report);
    }
    return rc;
}

/* Each is refused at another point; the memory of all of them serves other threads' transactions. */
static bool is_refused(rille_conn *conn, int which)
{
    static const char *const texts[] = { "[{:n/left 1}", "[{:n/left 1} {:n/nope 2}]",
                                         "[[:db/add \"a\" :n/left 1] [:db/add \"a\" :n/left 2]]",
                                         "[[:db.fn/cas [:n/name \"a\"] :n/left \"no\" 1]]" };
    const char *text = texts[(size_t)which % (sizeof texts / sizeof *texts)];
    ri_report report;
    rille_err err;
    int rc = ri_conn_transact_edn(conn, text, strlen(text), &report, &err);
    ri_report_deinit(&report);
    return rc < 0;
}

static void *write_some(void *context)
{
    worker *w = context;
    rille_err err;
    for (int i = 0; i < COMMITS; i++) {
        if (!is_refused(w->all->conn, i + w->number)) {
            atomic_fetch_add(&w->all->failures, 1);
        }
        if (move_one(w->all->conn, 1 + i * WRITERS + w->number, &err) != 0) {
            (void)fprintf(stderr, "writer %d: %s\n", w->number, err.message);
            atomic_fetch_add(&w->all->failures, 1);
        }
        if (i % 16 == 15 && ri_conn_flush(w->all->conn, &err) != 0) {
            (void)fprintf(stderr, "flush %d: %s\n", w->number, err.message);
            atomic_fetch_add(&w->all->failures, 1);
        }
    }
    atomic_fetch_add(&w->all->done, 1);
    return NULL;
}

/* The one value of an attribute, 0 without, and in the past before its schema. */
static int64_t value_of(rille_db *db, const char *ident, int *failures)
{
    const ri_attr *attr = ri_schema_attr(db->schema, ident, strlen(ident));
    if (attr == NULL) {
        return 0;
    }
    ri_bound from = ri_bound_a(attr->id, false);
    ri_bound to = ri_bound_a(attr->id, true);
    ri_io io = { 0 };
    ri_datom d;
    ri_object *hold;
    int rc = ri_db_first(db, RI_AEVT, &from, &to, &io, &d, &hold, NULL);
    *failures += rc < 0 ? 1 : 0;
    ri_object_release(hold);
    ri_io_deinit(&io);
    return rc == 0 ? d.v.as.i : 0;
}

static void *read_some(void *context)
{
    worker *w = context;
    uint64_t last = 0;
    int failures = 0;
    while (atomic_load(&w->all->done) < WRITERS) {
        rille_db *db = NULL;
        if (ri_conn_db(w->all->conn, &db, NULL) != 0) {
            failures++;
            break;
        }
        failures += value_of(db, "n/left", &failures) + value_of(db, "n/right", &failures) != 0 ? 1 : 0;
        failures += db->t < last ? 1 : 0; /* time does not go back */
        last = db->t;
        rille_db *past = NULL;
        failures += ri_db_as_of_t(db, db->t - 1, &past, NULL) != 0 ? 1 : 0;
        failures += past == NULL || value_of(past, "n/left", &failures) + value_of(past, "n/right", &failures) != 0;
        ri_db_release(past);
        ri_db_release(db);
    }
    atomic_fetch_add(&w->all->failures, failures);
    return NULL;
}

TEST(threads__share_a_connection)
{
    static const char schema[] = "[{:db/ident :n/key :db/valueType :db.type/long :db/unique :db.unique/value}"
                                 " {:db/ident :n/name :db/valueType :db.type/string :db/unique :db.unique/identity}"
                                 " {:db/ident :n/left :db/valueType :db.type/long}"
                                 " {:db/ident :n/right :db/valueType :db.type/long}]";
    shared all = { NULL, 0, 0 };
    test_thread threads[WRITERS + READERS];
    worker workers[WRITERS + READERS];
    ri_conn_options options = { .create = true, .novelty_min = 60 }; /* flushes begin by themselves */
    ri_report report;
    REQUIRE_RC(ri_conn_open("mem:", &options, &all.conn, &test_err), 0);
    REQUIRE_RC(ri_conn_transact_edn(all.conn, schema, sizeof schema - 1, &report, &test_err), 0);
    uint64_t first = report.after->t;
    ri_report_deinit(&report);
    for (int i = 0; i < WRITERS + READERS; i++) {
        workers[i] = (worker){ &all, i };
        REQUIRE(test_thread_start(&threads[i], i < WRITERS ? write_some : read_some, &workers[i]));
    }
    for (int i = 0; i < WRITERS + READERS; i++) {
        test_thread_join(&threads[i]);
    }
    CHECK_EQ_INT(atomic_load(&all.failures), 0);
    rille_db *db = NULL;
    ri_verify_report verified;
    REQUIRE_RC(ri_conn_db(all.conn, &db, &test_err), 0);
    CHECK_EQ_INT(db->t - first, WRITERS * COMMITS); /* every acknowledged transaction, once */
    CHECK_RC(ri_conn_verify(all.conn, &verified, &test_err), 0);
    ri_db_release(db);
    ri_conn_release(all.conn);
}

/* As when two threads read the head at the same time: the same value again, of other blocks. */
static void see_anew(rille_conn *conn)
{
    ri_seen now;
    rille_db *db;
    size_t valid_len;
    ri_conn_snapshot(conn, &now);
    REQUIRE_RC(ri_head_open(conn->store, conn->branch, now.cell->bytes, now.cell_len, &db, &valid_len, &test_err), 0);
    CHECK(db != now.db && db->novelty.last != now.db->novelty.last);
    ri_db_release(now.db);
    now.db = db;
    ri_conn_see(conn, &now);
}

static void plan(rille_conn *conn, ri_commit *c)
{
    ri_conn_tip(conn, &c->from);
    c->has_from = true;
    REQUIRE_RC(ri_commit_plan(conn, c, &test_err), 0);
}

TEST(commit__is_planned_again_when_another_thread_read_the_head_meanwhile)
{
    static const char text[] = "[{:db/ident :n :db/valueType :db.type/long}]";
    ri_conn_options options = { .create = true };
    rille_conn *conn;
    ri_report report;
    ri_arena arena = { 0 };
    ri_form form;
    ri_tx *tx;
    ri_commit c = { 0 };
    ri_io io = { 0 };
    int failures = 0;
    int rc;
    REQUIRE_RC(ri_conn_open("mem:", &options, &conn, &test_err), 0);
    REQUIRE_RC(ri_conn_transact_edn(conn, text, sizeof text - 1, &report, &test_err), 0);
    ri_report_deinit(&report);
    REQUIRE_RC(ri_edn_read(&arena, "[{:n 7}]", 8, &form, &test_err), 0);
    REQUIRE_RC(ri_conn_begin(conn, &tx, &test_err), 0);
    REQUIRE_RC(ri_tx_fill_edn(tx, &form, &test_err), 0);
    RI_FETCHING(rc, &io, ri_tx_resolve(tx, 5000, &io, &c.report.tx, &test_err), &test_err)
    REQUIRE_RC(rc, 0);
    plan(conn, &c);
    see_anew(conn);
    CHECK_RC(ri_bundle_join(conn, &c.from, &c.plan, &c.bundle, &test_err), RILLE_CONFLICT);
    ri_commit_drop_plan(&c);
    plan(conn, &c);
    REQUIRE_RC(ri_bundle_join(conn, &c.from, &c.plan, &c.bundle, &test_err), 0);
    CHECK_RC(ri_bundle_end(conn, c.bundle), 0);
    CHECK_RC(ri_bundle_outcome(c.bundle, c.report.tx.block, &test_err), 0);
    ri_bundle_leave(conn, c.bundle);
    ri_commit_free_plan(&c);
    ri_report_deinit(&c.report);
    ri_io_deinit(&io);
    ri_tx_release(tx);
    ri_arena_deinit(&arena);
    rille_db *db = ri_conn_seen_db(conn);
    CHECK_EQ_INT(value_of(db, "n", &failures), 7);
    CHECK_EQ_INT(failures, 0);
    ri_db_release(db);
    ri_conn_release(conn);
}

TEST_MAIN(threads__share_a_connection, commit__is_planned_again_when_another_thread_read_the_head_meanwhile)
