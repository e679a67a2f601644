/* SPDX-License-Identifier: MIT
 *
 * The public C functions, as a host uses them.
 */
#include "harness.h"

#include "rille/rille.h"

static rille_conn *people(const char *url)
{
    static const char schema[] = "[{:db/ident :p/name :db/valueType :db.type/string :db/unique :db.unique/identity}"
                                 " {:db/ident :p/age :db/valueType :db.type/long}]";
    static const char data[] = "[{:p/name \"Ada\" :p/age 36} {:p/name \"Bob\" :p/age 17} {:p/name \"Cyd\" :p/age 52}]";
    rille_options options = { .create = true };
    rille_conn *conn = NULL;
    rille_commit commit;
    REQUIRE_RC(rille_connect(url, &options, &conn, &test_err), 0);
    REQUIRE_RC(rille_transact(conn, schema, sizeof schema - 1, NULL, &test_err), 0);
    REQUIRE_RC(rille_transact(conn, data, sizeof data - 1, &commit, &test_err), 0);
    CHECK_EQ_INT(commit.datom_count, 7);
    return conn;
}

static const char adults[] =
    "[:find ?n ?a :in $ ?min :where [?p :p/age ?a] [(>= ?a ?min)] [?p :p/name ?n] :order-by [?a]]";

TEST(api__answers_a_query)
{
    rille_conn *conn = people("mem:");
    rille_db *db = NULL;
    rille_query *query = NULL;
    rille_result *result = NULL;
    rille_value min = rille_long(18);
    REQUIRE_RC(rille_conn_db(conn, &db, &test_err), 0);
    REQUIRE_RC(rille_prepare(adults, sizeof adults - 1, &query, &test_err), 0);
    rille_input inputs[] = { { .db = db }, { .values = &min, .value_count = 1 } };
    REQUIRE_RC(rille_run(query, inputs, 2, &result, &test_err), 0);
    REQUIRE(rille_result_rows(result) == 2);
    CHECK_EQ_INT(rille_result_columns(result), 2);
    rille_value name = rille_result_get(result, 1, 0);
    CHECK_EQ_INT(name.type, RILLE_TYPE_STRING);
    CHECK_EQ_MEM(name.u.bytes, name.len, "Cyd", 3);
    CHECK_EQ_INT(rille_result_get(result, 0, 1).u.i, 36);
    rille_result_close(result);
    CHECK_RC(rille_run(query, inputs, 1, &result, &test_err), RILLE_INPUT);
    CHECK(result == NULL);
    rille_query_close(query);
    rille_db_release(db);
    rille_close(conn);
}

TEST(api__steps_over_storage_that_answers_later)
{
    rille_conn *conn = people("deferred:mem:");
    rille_db *db = NULL;
    rille_query *query = NULL;
    rille_steps *steps = NULL;
    rille_value min = rille_long(0);
    size_t rows = 0;
    int rc;
    REQUIRE_RC(rille_conn_db(conn, &db, &test_err), 0);
    REQUIRE_RC(rille_prepare(adults, sizeof adults - 1, &query, &test_err), 0);
    rille_input inputs[] = { { .db = db }, { .values = &min, .value_count = 1 } };
    REQUIRE_RC(rille_start(query, inputs, 2, &steps, &test_err), 0);
    while ((rc = rille_step(steps, 1, &test_err)) != RILLE_DONE) {
        REQUIRE(rc > 0);
        if (rc == RILLE_NEED) {
            REQUIRE_RC(rille_fetch(steps, &test_err), 0);
        }
        for (size_t i = 0; rc == RILLE_ROWS && i < rille_steps_rows(steps); i++) {
            CHECK(rille_steps_get(steps, i, 1).u.i >= 17);
            rows++;
        }
    }
    CHECK_EQ_INT(rows, 3);
    rille_steps_close(steps);
    rille_query_close(query);
    rille_db_release(db);
    rille_close(conn);
}

TEST(api__reads_the_past_and_the_possible)
{
    rille_conn *conn = people("mem:");
    rille_db *now = NULL;
    rille_db *then = NULL;
    rille_db *maybe = NULL;
    rille_value ada = rille_string("Ada");
    rille_value eve = rille_string("Eve");
    static const char more[] = "[{:p/name \"Eve\"}]";
    uint64_t e = 0;
    REQUIRE_RC(rille_conn_db(conn, &now, &test_err), 0);
    REQUIRE_RC(rille_db_as_of(now, rille_db_tx(now) - 1, &then, &test_err), 0);
    REQUIRE_RC(rille_db_with(now, more, sizeof more - 1, &maybe, &test_err), 0);
    CHECK_RC(rille_db_lookup(now, "p/name", &ada, &e, &test_err), 0);
    CHECK(e != 0);
    CHECK_RC(rille_db_lookup(then, "p/name", &ada, &e, &test_err), 0);
    CHECK_EQ_INT(e, 0);
    CHECK_RC(rille_db_lookup(maybe, "p/name", &eve, &e, &test_err), 0);
    CHECK(e != 0);
    CHECK_RC(rille_db_lookup(now, "p/name", &eve, &e, &test_err), 0);
    CHECK_EQ_INT(e, 0);
    CHECK_RC(rille_db_lookup(now, "p/nmae", &ada, &e, &test_err), RILLE_ATTRIBUTE);
    rille_db_release(maybe);
    rille_db_release(then);
    rille_db_release(now);
    rille_close(conn);
}

TEST_MAIN(api__answers_a_query, api__steps_over_storage_that_answers_later, api__reads_the_past_and_the_possible)
