/* SPDX-License-Identifier: MIT
 *
 * The fault sweep of commits: the n-th call of the storage, or the n-th allocation, goes wrong, for each n. Afterwards
 * the database opens cleanly, everything acknowledged is there, nothing partial is, and it verifies.
 */
#include "harness.h"

#include "../src/core/db/conn.h"

static const char schema_text[] = "[{:db/ident :n/key :db/valueType :db.type/long :db/unique :db.unique/identity}"
                                  " {:db/ident :n/text :db/valueType :db.type/string}]";

/* Commits 1, 2, 3 ... with flushes, also in slices, and a long value on the way; *acked is the last key that was acknowledged. The first
 * error ends it. */
static int commit_some(const char *url, int64_t *acked, rille_err *err)
{
    enum { KEYS = 8 };
    static char text[4096];
    ri_conn_options options = { .create = true, .flush = RI_FLUSH_SLICED, .novelty_min = 20 };
    rille_conn *conn = NULL;
    ri_report report;
    int rc = ri_conn_open(url, &options, &conn, err);
    if (rc == 0) {
        rc = ri_conn_transact_edn(conn, schema_text, sizeof schema_text - 1, &report, err);
        if (rc == 0) {
            ri_report_deinit(&report);
        }
    }
    for (int64_t key = 1; key <= KEYS && rc == 0; key++) {
        int pad = key % 3 == 0 ? 2000 : 10;
        int len = snprintf(text, sizeof text, "[{:n/key %lld :n/text \"%0*d\"} {:n/key 0 :n/text \"%lld\"}]",
                           (long long)key, pad, 1, (long long)key);
        rc = ri_conn_transact_edn(conn, text, (size_t)len, &report, err);
        if (rc == 0) {
            *acked = key;
            ri_report_deinit(&report);
            rc = key % 4 == 0 ? ri_conn_flush(conn, err) : 0;
        }
    }
    ri_conn_release(conn);
    return rc;
}

static uint64_t lookup(rille_db *db, int64_t key)
{
    const ri_attr *attr = ri_schema_attr(db->schema, "n/key", 5);
    ri_value v = ri_long(key);
    ri_io io = { 0 };
    uint64_t e = 0;
    if (attr != NULL) {
        CHECK_RC(ri_db_lookup(db, attr, &v, &io, &e, &test_err), 0);
    }
    ri_io_deinit(&io);
    return e;
}

/* What was acknowledged is there; at most one more (whose reply was lost) is. */
static void check_state(const char *url, int64_t acked)
{
    rille_conn *conn = NULL;
    rille_db *db = NULL;
    ri_conn_options options = { .create = true };
    ri_verify_report report;
    REQUIRE_RC(ri_conn_open(url, &options, &conn, &test_err), 0);
    REQUIRE_RC(ri_conn_db(conn, &db, &test_err), 0);
    for (int64_t key = 1; key <= acked; key++) {
        CHECK(lookup(db, key) != 0);
    }
    CHECK(lookup(db, acked + 2) == 0);
    CHECK_RC(ri_conn_verify(conn, &report, &test_err), 0);
    ri_db_release(db);
    ri_conn_release(conn);
}

/* Every call of the slot fails once, in turn, until a run needs fewer calls. */
static void sweep(const char *inner, const char *fault, const char *slot)
{
    char url[256];
    for (unsigned at = 0; at < 400; at++) {
        rille_err err = { 0 };
        int64_t acked = 0;
        (void)ri_database_drop(inner, NULL);
        (void)snprintf(url, sizeof url, "faulty:%s/%s/%u;%s", fault, slot, at, inner);
        int rc = commit_some(url, &acked, &err);
        CHECK(rc <= 0);
        CHECK(rc == 0 || err.message[0] != '\0');
        int failures = atomic_load(&test_state.failures);
        check_state(inner, acked);
        if (atomic_load(&test_state.failures) > failures) {
            printf("  after %s: %s\n", url, rc < 0 ? err.message : "ok");
            break;
        }
        if (rc == 0 && acked > 0 && at > 60) {
            break; /* no call was left to go wrong */
        }
    }
    CHECK_RC(ri_database_drop(inner, &test_err), 0);
}

static void sweep_all(const char *inner)
{
    static const char *const faults[] = { "io", "full", "after", "trunc", "flip", "missing", "delay" };
    static const char *const slots[] = { "get", "put", "head_read", "head_swap" };
    for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
        for (size_t s = 0; s < sizeof slots / sizeof *slots; s++) {
            sweep(inner, faults[f], slots[s]);
        }
    }
}

TEST(fault__of_any_storage_call_loses_nothing_in_memory)
{
    sweep_all("mem:fault");
}

/* "mem:" without a name goes with its connection. */
static int small_commit(rille_err *err)
{
    int64_t acked = 0;
    return commit_some("mem:", &acked, err);
}

TEST(fault__of_any_allocation_is_an_error_and_leaks_nothing)
{
    TEST_FAULT_SWEEP(small_commit(&test_err));
}

TEST_MAIN(fault__of_any_storage_call_loses_nothing_in_memory, fault__of_any_allocation_is_an_error_and_leaks_nothing)
