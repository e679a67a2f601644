/* SPDX-License-Identifier: MIT
 *
 * Transactions on storage that answers later: how often they wait, and how much of their work they do again. Both are
 * about what they read, not its square: entities that go with others are found one after the other, and what was found
 * stays. The result is that of storage that answers at once.
 */
#include "../src/core/query/api_own.h"
#include "harness.h"

enum { PEOPLE = 60000, VALUES = 60000, CHAIN = 4000 };

static const char schema[] =
    "[{:db/ident :id :db/valueType :db.type/long :db/unique :db.unique/identity}"
    " {:db/ident :n :db/valueType :db.type/long :db/index true}"
    " {:db/ident :many :db/valueType :db.type/long :db/cardinality :db.cardinality/many}"
    " {:db/ident :part :db/valueType :db.type/ref :db/isComponent true :db/cardinality :db.cardinality/many}]";

static void transact(rille_conn *conn, ri_buf *text)
{
    ri_buf_put_text(text, "]");
    REQUIRE_RC(rille_transact(conn, (const char *)text->p, text->len, NULL, &test_err), 0);
    ri_buf_deinit(text);
}

static void put(ri_buf *text, const char *format, unsigned a, unsigned b)
{
    char item[100];
    (void)snprintf(item, sizeof item, format, a, b);
    ri_buf_put_text(text, item);
}

/* One entity with many values, and a long chain of parts, all flushed. */
static rille_conn *make(const char *url, unsigned person_count, unsigned value_count, unsigned chain_len)
{
    rille_conn *conn = NULL;
    rille_options options = { .create = true, .manual_flush = true };
    ri_buf people = { 0 };
    ri_buf values = { 0 };
    ri_buf parts = { 0 };
    REQUIRE_RC(rille_connect(url, &options, &conn, &test_err), 0);
    REQUIRE_RC(rille_transact(conn, schema, strlen(schema), NULL, &test_err), 0);
    ri_buf_put_text(&people, "[");
    for (unsigned i = 0; i < person_count; i++) {
        put(&people, "{:id %u :n %u}", i, i * 7919U % 1000);
    }
    transact(conn, &people);
    ri_buf_put_text(&values, "[{:id 1 :many [");
    for (unsigned i = 0; i < value_count; i++) {
        put(&values, "%u ", i, 0);
    }
    ri_buf_put_text(&values, "]}");
    transact(conn, &values);
    ri_buf_put_text(&parts, "[");
    for (unsigned i = 100; i < 100 + chain_len; i++) {
        put(&parts, "{:id %u :part [[:id %u]]}", i, i + 1);
    }
    transact(conn, &parts);
    REQUIRE_RC(rille_flush(conn, &test_err), 0);
    return conn;
}

typedef struct outcome {
    unsigned units;
    unsigned rounds;
    uint64_t count; /* of what is there after it */
} outcome;

static bool count_unit(void *context)
{
    ((outcome *)context)->units++;
    return false;
}

static outcome run(const char *url, const char *edn, size_t len)
{
    outcome o = { 0 };
    rille_conn *conn = NULL;
    rille_db *db = NULL;
    rille_steps *steps = NULL;
    int rc = RILLE_AGAIN;
    REQUIRE_RC(rille_connect(url, NULL, &conn, &test_err), 0);
    REQUIRE_RC(rille_conn_db(conn, &db, &test_err), 0);
    REQUIRE_RC(rille_start_with(db, edn, len, &steps, &test_err), 0);
    steps->task.interrupt = count_unit;
    steps->task.interrupt_context = &o;
    for (unsigned i = 0; i < 1000 && (rc == RILLE_AGAIN || rc == RILLE_NEED); i++) {
        rc = rille_step(steps, 0, &test_err);
        if (rc == RILLE_NEED) {
            o.rounds++;
            CHECK_RC(rille_fetch(steps, &test_err), 0);
        }
    }
    CHECK_RC(rc, RILLE_DONE);
    ri_io io = { 0 };
    ri_bound from = ri_bound_all(false);
    ri_bound to = ri_bound_all(true);
    rille_db *after = rille_steps_db(steps);
    REQUIRE(after != NULL);
    while ((rc = ri_db_count(after, RI_EAVT, &from, &to, &io, &o.count, &test_err)) == RILLE_NEED) {
        CHECK_RC(ri_io_fetch(&io, &test_err), 0);
    }
    CHECK_RC(rc, 0);
    ri_io_deinit(&io);
    rille_db_release(after);
    rille_steps_close(steps);
    rille_db_release(db);
    rille_close(conn);
    return o;
}

/* times: of the units that it takes on storage that answers at once. */
static void check(const char *name, const char *edn, size_t len, double times, unsigned rounds_max)
{
    outcome near = run("mem:rounds", edn, len);
    outcome far = run("deferred:mem:rounds", edn, len);
    printf("  %s: %u units; %u in %u rounds\n", name, near.units, far.units, far.rounds);
    CHECK(near.count == far.count);
    CHECK_EQ_INT(near.rounds, 0);
    CHECK(far.rounds > 0 && far.rounds <= rounds_max);
    CHECK((double)far.units <= times * near.units + 100);
}

TEST(rounds__are_few_and_do_little_again)
{
    static const char values[] = "[[:db/retract [:id 1] :many]]";
    static const char entity[] = "[[:db/retractEntity [:id 1]]]";
    static const char chain[] = "[[:db/retractEntity [:id 100]]]";
    rille_conn *conn = make("mem:rounds", PEOPLE, VALUES, CHAIN);
    ri_buf text = { 0 };
    ri_buf_put_text(&text, "[");
    for (unsigned i = 0; i < 3000; i++) {
        put(&text, "{:id %u :n %u}", i * 7919U % PEOPLE, 1);
    }
    ri_buf_put_text(&text, "]");
    check("upserts", (const char *)text.p, text.len, 5, 12);
    ri_buf_deinit(&text);
    check("all values", values, strlen(values), 1.5, 12);
    check("an entity", entity, strlen(entity), 1.5, 12);
    check("a chain", chain, strlen(chain), 1.5, 24);
    rille_close(conn);
    REQUIRE_RC(rille_drop("mem:rounds", &test_err), 0);
}

static const char goes[] = "[[:db/retractEntity [:id 100]] [:db/retractEntity [:id 1]]]";

/* Pausing after each unit, with each allocation failing in turn. */
static bool always(void *context)
{
    (void)context;
    return true;
}

static int retract_without_memory(void)
{
    rille_conn *conn = NULL;
    rille_db *db = NULL;
    rille_steps *steps = NULL;
    int rc = rille_connect("deferred:mem:rounds", NULL, &conn, &test_err);
    rc = rc == 0 ? rille_conn_db(conn, &db, &test_err) : rc;
    rc = rc == 0 ? rille_start_with(db, goes, strlen(goes), &steps, &test_err) : rc;
    for (unsigned i = 0; i < 10000 && (rc == 0 || rc == RILLE_AGAIN); i++) {
        steps->task.interrupt = always;
        rc = rille_step(steps, 0, &test_err);
        rc = rc == RILLE_NEED ? rille_fetch(steps, &test_err) : rc;
    }
    rille_steps_close(steps);
    rille_db_release(db);
    rille_close(conn);
    return rc == RILLE_DONE ? 0 : rc;
}

TEST(rounds__cope_without_memory)
{
    rille_conn *conn = make("mem:rounds", 150, 20, 30);
    TEST_FAULT_SWEEP(retract_without_memory());
    rille_close(conn);
    REQUIRE_RC(rille_drop("mem:rounds", &test_err), 0);
}

/* The same as a commit: nothing or all of it is there after it. *done: it says that it is. */
static int commit_without_memory(bool *done)
{
    rille_conn *conn = NULL;
    rille_steps *steps = NULL;
    int rc = rille_connect("deferred:mem:commits", NULL, &conn, &test_err);
    rc = rc == 0 ? rille_start_transact(conn, goes, strlen(goes), &steps, &test_err) : rc;
    for (unsigned i = 0; i < 10000 && (rc == 0 || rc == RILLE_AGAIN); i++) {
        steps->task.interrupt = always;
        rc = rille_step(steps, 0, &test_err);
        rc = rc == RILLE_NEED ? rille_fetch(steps, &test_err) : rc;
    }
    *done = rc == RILLE_DONE;
    rille_steps_close(steps);
    rille_close(conn);
    return rc;
}

static uint64_t count_datoms(rille_conn *conn)
{
    rille_db *db = NULL;
    ri_io io = { 0 };
    ri_bound from = ri_bound_all(false);
    ri_bound to = ri_bound_all(true);
    uint64_t count = 0;
    REQUIRE_RC(rille_conn_db(conn, &db, &test_err), 0);
    REQUIRE_RC(ri_db_count(db, RI_EAVT, &from, &to, &io, &count, &test_err), 0);
    ri_io_deinit(&io);
    rille_db_release(db);
    return count;
}

TEST(rounds__of_a_commit_cope_without_memory)
{
    enum { PERSONS = 150, FEW_VALUES = 20, FEW_PARTS = 30, GONE = FEW_VALUES + 2 + 3 * FEW_PARTS + 2 };
    bool ended = false;
    for (long long at = 0; !ended && at < TEST_FAULTS_MAX; at++) {
        rille_conn *conn = make("mem:commits", PERSONS, FEW_VALUES, FEW_PARTS);
        uint64_t before = count_datoms(conn);
        long long start = atomic_load(&test_state.allocations);
        long long faults = atomic_load(&test_state.faults);
        bool done;
        atomic_store(&test_state.fail_to, start + at);
        atomic_store(&test_state.fail_from, start + at);
        int rc = commit_without_memory(&done);
        atomic_store(&test_state.fail_from, -1);
        ended = atomic_load(&test_state.faults) == faults;
        CHECK(rc == RILLE_DONE || (rc == RILLE_NOMEM && !ended));
        uint64_t after = count_datoms(conn);
        bool gone = after + GONE == before + 1; /* there is an instant more */
        CHECK(gone || (!done && after == before));
        rille_close(conn);
        REQUIRE_RC(rille_drop("mem:commits", &test_err), 0);
    }
    CHECK(ended);
}

TEST_MAIN(rounds__are_few_and_do_little_again, rounds__cope_without_memory, rounds__of_a_commit_cope_without_memory)
