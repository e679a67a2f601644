/* SPDX-License-Identifier: MIT
 *
 * rille_start_warm: what it reads, within which limits, and that queries then read nothing.
 */
#include "test_store_support.h"

#include "rille/rille.h"

enum { PEOPLE = 6000 };

static const char schema[] = "[{:db/ident :name :db/valueType :db.type/string :db/unique :db.unique/identity}"
                             " {:db/ident :age :db/valueType :db.type/long}"
                             " {:db/ident :note :db/valueType :db.type/string}]";

static const char *const names[] = { "name", "age" };

static void transact(rille_conn *conn, const char *edn)
{
    REQUIRE_RC(rille_transact(conn, edn, strlen(edn), NULL, &test_err), 0);
}

static void fill(const char *url)
{
    static char text[PEOPLE * 80];
    rille_options options = { .create = true, .manual_flush = true };
    rille_conn *conn;
    REQUIRE_RC(rille_connect(url, &options, &conn, &test_err), 0);
    transact(conn, schema);
    size_t len = (size_t)snprintf(text, sizeof text, "[");
    for (int i = 0; i < PEOPLE; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "{:name \"n%05d\" :age %d :note \"note %d\"}", i, i % 70,
                                i * 7919 % PEOPLE);
    }
    (void)snprintf(text + len, sizeof text - len, "]");
    transact(conn, text);
    REQUIRE_RC(rille_flush(conn, &test_err), 0);
    rille_close(conn);
}

typedef struct opened {
    rille_conn *conn;
    rille_db *db;
} opened;

static int open_at(const char *url, opened *out, rille_err *err)
{
    *out = (opened){ NULL, NULL };
    int rc = rille_connect(url, NULL, &out->conn, err);
    return rc == 0 ? rille_conn_db(out->conn, &out->db, err) : rc;
}

static void close_opened(opened *o)
{
    rille_db_release(o->db);
    rille_close(o->conn);
}

static uint64_t reads_of(const opened *o)
{
    rille_stats stats;
    REQUIRE_RC(rille_conn_stats(o->conn, &stats, &test_err), 0);
    return stats.read_ranges;
}

/* To its end, in steps. */
static int warm(rille_db *db, const rille_warm *what, rille_warmed *out, size_t *rounds, rille_err *err)
{
    rille_steps *steps;
    *rounds = 0;
    *out = (rille_warmed){ 0 };
    int rc = rille_start_warm(db, what, &steps, err);
    while (rc == 0 || rc == RILLE_AGAIN || rc == RILLE_NEED) {
        if (rc == RILLE_NEED) {
            rc = rille_fetch(steps, err);
            (*rounds)++;
        }
        rc = rc >= 0 ? rille_step(steps, 1, err) : rc;
    }
    if (rc == RILLE_DONE) {
        *out = rille_steps_warmed(steps);
        rc = 0;
    }
    rille_steps_close(steps);
    return rc;
}

static void check_count(rille_db *db, const char *text, int64_t expected)
{
    rille_query *query;
    rille_result *result;
    rille_input input = { .db = db };
    REQUIRE_RC(rille_prepare(text, strlen(text), &query, &test_err), 0);
    REQUIRE_RC(rille_run(query, &input, 1, &result, &test_err), 0);
    REQUIRE(rille_result_rows(result) == 1);
    CHECK_EQ_INT(rille_result_get(result, 0, 0).u.i, expected);
    rille_result_close(result);
    rille_query_close(query);
}

/* Storage that answers at once, and the same that answers later. */
static char urls[2][400];
static test_dir dir;

static void begin(void)
{
    dir = test_dir_fast();
    (void)snprintf(urls[0], sizeof urls[0], "file:%.200s/db", dir.path);
    (void)snprintf(urls[1], sizeof urls[1], "deferred:%.300s", urls[0]);
    fill(urls[0]);
}

TEST(warm__of_attributes_leaves_nothing_to_read_for_their_queries)
{
    begin();
    for (int i = 0; i < 2; i++) {
        opened o;
        rille_warmed warmed;
        size_t rounds;
        rille_warm what = { .attributes = names, .attribute_count = 2 };
        REQUIRE_RC(open_at(urls[i], &o, &test_err), 0);
        uint64_t before = reads_of(&o);
        REQUIRE_RC(warm(o.db, &what, &warmed, &rounds, &test_err), 0);
        uint64_t after = reads_of(&o);
        CHECK(warmed.complete && warmed.nodes > 5 && warmed.bytes > 1000);
        CHECK(after - before <= warmed.nodes);
        CHECK(i == 0 ? rounds == 0 : rounds >= 1 && rounds <= 3);
        check_count(o.db, "[:find (count ?e) :where [?e :name ?n] [?e :age ?a]]", PEOPLE);
        check_count(o.db, "[:find (count ?e) :where [?e :name ?n] [(< ?n \"n00100\")]]", 100);
        CHECK_EQ_INT(reads_of(&o), after);
        rille_warmed again;
        REQUIRE_RC(warm(o.db, &what, &again, &rounds, &test_err), 0);
        CHECK(again.complete && again.nodes == 0 && again.bytes == 0 && rounds == 0);
        CHECK_EQ_INT(again.cached_nodes, warmed.nodes + warmed.cached_nodes);
        check_count(o.db, "[:find (count ?x) :where [_ :note ?x]]", PEOPLE);
        CHECK(reads_of(&o) > after);
        close_opened(&o);
    }
    test_dir_remove(dir.path);
}

TEST(warm__of_everything_or_a_range_stays_within_its_limits)
{
    begin();
    for (int i = 0; i < 2; i++) {
        for (uint64_t limit = 0; limit < 12; limit++) {
            opened o;
            rille_warmed warmed;
            size_t rounds;
            rille_warm nodes = { .nodes_max = limit };
            REQUIRE_RC(open_at(urls[i], &o, &test_err), 0);
            uint64_t before = reads_of(&o);
            REQUIRE_RC(warm(o.db, &nodes, &warmed, &rounds, &test_err), 0);
            CHECK(limit == 0 ? warmed.complete : !warmed.complete && warmed.nodes <= limit);
            CHECK(reads_of(&o) - before <= warmed.nodes);
            close_opened(&o);
            rille_warm bytes = { .bytes_max = 1 + limit * 2000 };
            REQUIRE_RC(open_at(urls[i], &o, &test_err), 0);
            REQUIRE_RC(warm(o.db, &bytes, &warmed, &rounds, &test_err), 0);
            CHECK(warmed.bytes <= bytes.bytes_max && !warmed.complete);
            rille_value from = rille_string("n01000");
            rille_value to = rille_string("n01500");
            rille_warm range = { .attributes = names, .attribute_count = 1, .from = &from, .to = &to };
            REQUIRE_RC(warm(o.db, &range, &warmed, &rounds, &test_err), 0);
            CHECK(warmed.complete && warmed.nodes + warmed.cached_nodes < 6);
            close_opened(&o);
        }
    }
    test_dir_remove(dir.path);
}

TEST(warm__names_what_is_wrong)
{
    static const char *const unknown[] = { "nmae" };
    static const char *const none[] = { NULL };
    begin();
    opened o;
    rille_steps *steps;
    rille_value from = rille_long(1);
    REQUIRE_RC(open_at(urls[0], &o, &test_err), 0);
    rille_warm what = { .attributes = unknown, .attribute_count = 1 };
    CHECK_RC(rille_start_warm(o.db, &what, &steps, &test_err), RILLE_ATTRIBUTE);
    CHECK(strstr(test_err.message, "did you mean") != NULL);
    what.attributes = none;
    CHECK_RC(rille_start_warm(o.db, &what, &steps, &test_err), RILLE_MISUSE);
    what = (rille_warm){ .attributes = names, .attribute_count = 2, .from = &from };
    CHECK_RC(rille_start_warm(o.db, &what, &steps, &test_err), RILLE_MISUSE);
    what.attribute_count = 1;
    CHECK_RC(rille_start_warm(o.db, &what, &steps, &test_err), RILLE_TYPE);
    what = (rille_warm){ .attributes = names + 1, .attribute_count = 1, .to = &from };
    int rc = rille_start_warm(o.db, &what, &steps, &test_err); /* fixed width: it is in avet, though nobody said so */
    CHECK(rc == RILLE_ATTRIBUTE || rc == 0);
    rille_steps_close(steps);
    close_opened(&o);
    test_dir_remove(dir.path);
}

static int fault_run(void)
{
    rille_err err = { 0 };
    rille_warmed warmed;
    size_t rounds;
    opened o;
    rille_warm what = { .attributes = names, .attribute_count = 2 };
    int rc = open_at(urls[1], &o, &err);
    rc = rc == 0 ? warm(o.db, &what, &warmed, &rounds, &err) : rc;
    close_opened(&o);
    return rc;
}

TEST(warm__without_memory_says_so_and_leaks_nothing)
{
    begin();
    TEST_FAULT_SWEEP(fault_run());
    test_dir_remove(dir.path);
}

TEST_MAIN(warm__of_attributes_leaves_nothing_to_read_for_their_queries,
          warm__of_everything_or_a_range_stays_within_its_limits, warm__names_what_is_wrong,
          warm__without_memory_says_so_and_leaks_nothing)
