/* SPDX-License-Identifier: MIT
 *
 * Public C functions as a careless program calls them: NULL for each pointer in turn, indexes out of range, lengths that
 * are none, calls in the wrong order, inputs that do not fit. Each gives a code (or nil), none ends the program.
 * tools/check_headers checks that the tables (also of test_query_calls_steps.c) have every function that the library exports.
 */
#include "test_query_calls.h"

#include <limits.h>

/* ---- NULL for each pointer in turn ---- */

static int try_connect(world *w, unsigned null, rille_err *err)
{
    rille_conn *out = JUNK;
    (void)w;
    int rc = rille_connect(GIVE(1, "mem:"), NULL, GIVE(2, &out), err);
    check_out(out, GIVE(2, JUNK) != NULL, rc);
    if (rc == 0) {
        rille_close(out);
    }
    return rc == RILLE_NOTFOUND ? 0 : rc; /* nothing is made, as it should be */
}

static int try_drop(world *w, unsigned null, rille_err *err)
{
    (void)w;
    int rc = rille_drop(GIVE(1, "mem:there_is_none"), err);
    return rc == RILLE_NOTFOUND ? 0 : rc;
}

static int try_drop_with(world *w, unsigned null, rille_err *err)
{
    (void)w;
    rille_setting setting = { GIVE(3, "region"), GIVE(4, "x") };
    int rc = rille_drop_with(GIVE(1, "mem:there_is_none"), GIVE(2, &setting), null == 0 ? 0 : 1, err);
    return rc == RILLE_NOTFOUND ? 0 : rc;
}

static int try_transact(world *w, unsigned null, rille_err *err)
{
    rille_commit commit = { .tx = 1 };
    int rc = rille_transact(GIVE(1, w->conn), GIVE(2, "[]"), 2, &commit, err);
    CHECK(rc == 0 ? commit.tx > 1 : commit.tx == 0);
    return rc;
}

static int try_flush(world *w, unsigned null, rille_err *err)
{
    return rille_flush(GIVE(1, w->conn), err);
}

static int try_conn_stats(world *w, unsigned null, rille_err *err)
{
    rille_stats stats = { .reads = UINT64_MAX };
    int rc = rille_conn_stats(GIVE(1, w->conn), GIVE(2, &stats), err);
    CHECK(GIVE(2, JUNK) == NULL ? stats.reads == UINT64_MAX : rc == 0 ? stats.head_reads > 0 : stats.reads == 0);
    return rc;
}

static int try_conn_db(world *w, unsigned null, rille_err *err)
{
    rille_db *out = JUNK;
    int rc = rille_conn_db(GIVE(1, w->conn), GIVE(2, &out), err);
    check_out(out, GIVE(2, JUNK) != NULL, rc);
    if (rc == 0) {
        rille_db_release(out);
    }
    return rc;
}

static int try_db_as_of(world *w, unsigned null, rille_err *err)
{
    rille_db *out = JUNK;
    int rc = rille_db_as_of(GIVE(1, w->db), rille_db_tx(w->db), GIVE(2, &out), err);
    check_out(out, GIVE(2, JUNK) != NULL, rc);
    if (rc == 0) {
        rille_db_release(out);
    }
    return rc;
}

static int try_db_as_of_instant(world *w, unsigned null, rille_err *err)
{
    rille_db *out = JUNK;
    int rc = rille_db_as_of_instant(GIVE(1, w->db), rille_db_instant(w->db), GIVE(2, &out), err);
    check_out(out, GIVE(2, JUNK) != NULL, rc);
    if (rc == 0) {
        rille_db_release(out);
    }
    return rc;
}

static int try_db_with(world *w, unsigned null, rille_err *err)
{
    rille_db *out = JUNK;
    int rc = rille_db_with(GIVE(1, w->db), GIVE(2, "[]"), 2, GIVE(3, &out), err);
    check_out(out, GIVE(3, JUNK) != NULL, rc);
    if (rc == 0) {
        rille_db_release(out);
    }
    return rc;
}

static int try_db_lookup(world *w, unsigned null, rille_err *err)
{
    rille_value ada = rille_string("Ada");
    uint64_t e = UINT64_MAX;
    int rc = rille_db_lookup(GIVE(1, w->db), GIVE(2, "p/name"), GIVE(3, &ada), GIVE(4, &e), err);
    CHECK(GIVE(4, JUNK) == NULL ? e == UINT64_MAX : rc == 0 ? e != 0 : e == 0);
    return rc;
}

static int try_prepare(world *w, unsigned null, rille_err *err)
{
    rille_query *out = JUNK;
    (void)w;
    int rc = rille_prepare(GIVE(1, adults), sizeof adults - 1, GIVE(2, &out), err);
    check_out(out, GIVE(2, JUNK) != NULL, rc);
    if (rc == 0) {
        rille_query_close(out);
    }
    return rc;
}

static int try_run(world *w, unsigned null, rille_err *err)
{
    rille_result *out = JUNK;
    int rc = rille_run(GIVE(1, w->query), GIVE(2, w->inputs), 2, GIVE(3, &out), err);
    check_out(out, GIVE(3, JUNK) != NULL, rc);
    if (rc == 0) {
        CHECK_EQ_INT(rille_result_rows(out), 2);
        rille_result_close(out);
    }
    return rc;
}

static int try_start(world *w, unsigned null, rille_err *err)
{
    rille_steps *out = JUNK;
    int rc = rille_start(GIVE(1, w->query), GIVE(2, w->inputs), 2, GIVE(3, &out), err);
    check_out(out, GIVE(3, JUNK) != NULL, rc);
    if (rc == 0) {
        rille_steps_close(out);
    }
    return rc;
}

static int try_step(world *w, unsigned null, rille_err *err)
{
    int rc = rille_step(GIVE(1, w->steps), 0, err);
    return rc > 0 ? 0 : rc;
}

static int try_fetch(world *w, unsigned null, rille_err *err)
{
    return rille_fetch(GIVE(1, w->steps), err);
}

/* Functions that have no code to give: the result for NULL. */
static int try_result_rows(world *w, unsigned null, rille_err *err)
{
    (void)err;
    CHECK_EQ_INT(rille_result_rows(GIVE(1, w->result)), null == 0 ? 2 : 0);
    return 0;
}

static int try_result_columns(world *w, unsigned null, rille_err *err)
{
    (void)err;
    CHECK_EQ_INT(rille_result_columns(GIVE(1, w->result)), null == 0 ? 2 : 0);
    return 0;
}

static int try_result_get(world *w, unsigned null, rille_err *err)
{
    (void)err;
    CHECK_EQ_INT(rille_result_get(GIVE(1, w->result), 0, 1).type, null == 0 ? RILLE_TYPE_LONG : RILLE_TYPE_NIL);
    return 0;
}

static int try_steps_rows(world *w, unsigned null, rille_err *err)
{
    (void)err;
    CHECK(null == 0 || rille_steps_rows(GIVE(1, w->steps)) == 0);
    return 0;
}

static int try_steps_get(world *w, unsigned null, rille_err *err)
{
    (void)err;
    CHECK(null == 0 || rille_steps_get(GIVE(1, w->steps), 0, 0).type == RILLE_TYPE_NIL);
    return 0;
}

static int try_db_retain(world *w, unsigned null, rille_err *err)
{
    (void)err;
    rille_db *db = rille_db_retain(GIVE(1, w->db));
    CHECK(db == (null == 0 ? w->db : NULL));
    rille_db_release(db);
    return 0;
}

static int try_db_tx(world *w, unsigned null, rille_err *err)
{
    (void)err;
    CHECK((rille_db_tx(GIVE(1, w->db)) != 0) == (null == 0));
    return 0;
}

static int try_db_instant(world *w, unsigned null, rille_err *err)
{
    (void)err;
    CHECK((rille_db_instant(GIVE(1, w->db)) != 0) == (null == 0));
    return 0;
}

static int try_string(world *w, unsigned null, rille_err *err)
{
    (void)w;
    (void)err;
    CHECK_EQ_INT(rille_string(GIVE(1, "a")).type, null == 0 ? RILLE_TYPE_STRING : RILLE_TYPE_NIL);
    return 0;
}

static int try_keyword(world *w, unsigned null, rille_err *err)
{
    (void)w;
    (void)err;
    CHECK_EQ_INT(rille_keyword(GIVE(1, "a/b")).type, null == 0 ? RILLE_TYPE_KEYWORD : RILLE_TYPE_NIL);
    return 0;
}

/* What can be closed can be NULL. */
static int try_closes(world *w, unsigned null, rille_err *err)
{
    (void)w;
    (void)null;
    (void)err;
    rille_close(NULL);
    rille_db_release(NULL);
    rille_query_close(NULL);
    rille_result_close(NULL);
    rille_steps_close(NULL);
    rille_free(NULL);
    return 0;
}

static int try_alloc(world *w, unsigned null, rille_err *err)
{
    (void)w;
    (void)err;
    void *nothing = rille_alloc(0);
    CHECK(nothing != NULL);
    rille_free(nothing);
    if (null != 0) { /* as it was before the program set one */
        rille_set_alloc_hook(NULL, NULL);
        rille_free(rille_alloc(100));
        rille_set_alloc_hook(test_alloc, NULL);
    }
    return 0;
}

static int try_scalars(world *w, unsigned null, rille_err *err)
{
    static const int codes[] = { INT_MIN, -1000, RILLE_INTERNAL, RILLE_NOMEM, 0, RILLE_CONFLICT, 7, INT_MAX };
    (void)w;
    (void)null;
    (void)err;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        CHECK(rille_code_name(codes[i]) != NULL && rille_code_meaning(codes[i]) != NULL);
    }
    CHECK(rille_version() != NULL);
    CHECK_EQ_INT(rille_long(INT64_MIN).u.i, INT64_MIN);
    CHECK_EQ_INT(rille_double(0.5).type, RILLE_TYPE_DOUBLE);
    return 0;
}

static const attempt attempts[] = {
    { "rille_connect", try_connect, 2, RILLE_MISUSE },
    { "rille_drop", try_drop, 1, RILLE_MISUSE },
    { "rille_drop_with", try_drop_with, 4, RILLE_MISUSE },
    { "rille_transact", try_transact, 2, RILLE_MISUSE },
    { "rille_flush", try_flush, 1, RILLE_MISUSE },
    { "rille_conn_stats", try_conn_stats, 2, RILLE_MISUSE },
    { "rille_conn_db", try_conn_db, 2, RILLE_MISUSE },
    { "rille_db_as_of", try_db_as_of, 2, RILLE_MISUSE },
    { "rille_db_as_of_instant", try_db_as_of_instant, 2, RILLE_MISUSE },
    { "rille_db_with", try_db_with, 3, RILLE_MISUSE },
    { "rille_db_lookup", try_db_lookup, 4, RILLE_MISUSE },
    { "rille_prepare", try_prepare, 2, RILLE_MISUSE },
    { "rille_run", try_run, 3, RILLE_MISUSE },
    { "rille_start", try_start, 3, RILLE_MISUSE },
    { "rille_step", try_step, 1, RILLE_MISUSE },
    { "rille_fetch", try_fetch, 1, RILLE_MISUSE },
    { "rille_result_rows", try_result_rows, 1, 0 },
    { "rille_result_columns", try_result_columns, 1, 0 },
    { "rille_result_get", try_result_get, 1, 0 },
    { "rille_steps_rows", try_steps_rows, 1, 0 },
    { "rille_steps_get", try_steps_get, 1, 0 },
    { "rille_db_retain", try_db_retain, 1, 0 },
    { "rille_db_tx", try_db_tx, 1, 0 },
    { "rille_db_instant", try_db_instant, 1, 0 },
    { "rille_string", try_string, 1, 0 },
    { "rille_keyword", try_keyword, 1, 0 },
    { "rille_close rille_db_release rille_query_close rille_result_close rille_steps_close rille_free", try_closes, 0,
      0 },
    { "rille_alloc rille_set_alloc_hook", try_alloc, 1, 0 },
    { "rille_code_name rille_code_meaning rille_version rille_long rille_double", try_scalars, 0, 0 },
};

TEST(calls__say_which_pointer_is_null)
{
    world w;
    world_init(&w, "mem:");
    check_attempts(&w, attempts, sizeof attempts / sizeof *attempts);
    world_deinit(&w);
}

/* ---- indexes ---- */

TEST(calls__give_nil_out_of_range)
{
    static const size_t places[] = { 0, 1, 2, 3, 1024, UINT32_MAX, (size_t)UINT32_MAX + 1, SIZE_MAX };
    enum { COUNT = sizeof places / sizeof *places };
    world w;
    world_init(&w, "mem:");
    int rc;
    do {
        rc = rille_step(w.steps, 0, NULL);
    } while (rc == RILLE_AGAIN);
    REQUIRE(rc == RILLE_ROWS);
    REQUIRE(rille_steps_rows(w.steps) == 2);
    for (size_t row = 0; row < COUNT; row++) {
        for (size_t col = 0; col < COUNT; col++) {
            bool inside = places[row] < 2 && places[col] < 2;
            CHECK((rille_result_get(w.result, places[row], places[col]).type != RILLE_TYPE_NIL) == inside);
            CHECK((rille_steps_get(w.steps, places[row], places[col]).type != RILLE_TYPE_NIL) == inside);
        }
    }
    world_deinit(&w);
}

/* ---- the wrong order ---- */

TEST(calls__may_come_in_any_order)
{
    static const char *const urls[] = { "mem:", "deferred:mem:" };
    for (size_t i = 0; i < 2; i++) {
        world w;
        size_t rows = 0;
        int rc;
        world_init(&w, urls[i]);
        CHECK_EQ_INT(rille_steps_rows(w.steps), 0); /* before the first step */
        CHECK_EQ_INT(rille_steps_get(w.steps, 0, 0).type, RILLE_TYPE_NIL);
        CHECK_RC(rille_fetch(w.steps, &test_err), 0);
        while ((rc = rille_step(w.steps, 1, &test_err)) != RILLE_DONE) {
            REQUIRE(rc > 0);
            rows += rille_steps_rows(w.steps);
            CHECK((rc == RILLE_ROWS) == (rille_steps_get(w.steps, 0, 0).type == RILLE_TYPE_STRING));
            if (rc == RILLE_NEED) {
                REQUIRE(rille_step(w.steps, 0, &test_err) == RILLE_NEED); /* without having fetched */
            }
            REQUIRE_RC(rille_fetch(w.steps, &test_err), 0); /* whether it is wanted or not */
        }
        CHECK_EQ_INT(rows, 2);
        for (int again = 0; again < 3; again++) {
            CHECK_RC(rille_step(w.steps, 0, &test_err), RILLE_DONE);
            CHECK_EQ_INT(rille_steps_rows(w.steps), 0);
            CHECK_EQ_INT(rille_steps_get(w.steps, 0, 0).type, RILLE_TYPE_NIL);
            CHECK_RC(rille_fetch(w.steps, &test_err), 0);
        }
        world_deinit(&w);
    }
}

TEST(calls__repeat_the_error_of_a_step)
{
    static const char text[] = "[:find ?x :in ?n :where [(/ 1 ?n) ?x]]";
    rille_query *query = NULL;
    rille_steps *steps = NULL;
    rille_value zero = rille_long(0);
    rille_input input = { .values = &zero, .value_count = 1 };
    REQUIRE_RC(rille_prepare(text, sizeof text - 1, &query, &test_err), 0);
    REQUIRE_RC(rille_start(query, &input, 1, &steps, &test_err), 0);
    rille_query_close(query); /* the operation has its own reference */
    int first = rille_step(steps, 0, &test_err);
    CHECK(first < 0);
    for (int again = 0; again < 3; again++) {
        CHECK_RC(rille_step(steps, 0, &test_err), first);
        CHECK_EQ_INT(test_err.code, first);
        CHECK_EQ_INT(rille_steps_rows(steps), 0);
        CHECK_RC(rille_fetch(steps, &test_err), 0);
    }
    rille_steps_close(steps);
}

/* What was passed may be overwritten once rille_start returned. */
TEST(calls__copy_what_an_operation_needs_later)
{
    static const char text[] = "[:find ?n ?x :in $ % [?n ...] :where (old ?p) [?p :p/name ?n] [(str ?n \"!\") ?x]]";
    char rules[] = "[[(old ?p) [?p :p/age ?a] [(> ?a 18)]]]";
    char names[2][4] = { "Ada", "Bob" };
    world w;
    rille_query *query = NULL;
    rille_steps *steps = NULL;
    world_init(&w, "deferred:mem:");
    rille_value values[2] = { rille_string(names[0]), rille_string(names[1]) };
    rille_input inputs[3] = { { .db = w.db }, { .rules = rules, .rules_len = sizeof rules - 1 }, { 0 } };
    inputs[2].values = values;
    inputs[2].value_count = 2;
    REQUIRE_RC(rille_prepare(text, sizeof text - 1, &query, &test_err), 0);
    REQUIRE_RC(rille_start(query, inputs, 3, &steps, &test_err), 0);
    rille_query_close(query);
    rille_db_release(w.db);
    w.db = NULL;
    memset(rules, 0xff, sizeof rules);
    memset(names, 0xff, sizeof names);
    memset(values, 0xff, sizeof values);
    memset(inputs, 0xff, sizeof inputs);
    int rc;
    while ((rc = rille_step(steps, 0, &test_err)) == RILLE_NEED || rc == RILLE_AGAIN) {
        REQUIRE_RC(rille_fetch(steps, &test_err), 0);
    }
    REQUIRE_RC(rc, RILLE_ROWS);
    REQUIRE(rille_steps_rows(steps) == 1);
    rille_value shout = rille_steps_get(steps, 0, 1);
    CHECK_EQ_MEM(shout.u.bytes, shout.len, "Ada!", 4);
    rille_steps_close(steps);
    world_deinit(&w);
}

/* ---- lengths of text ---- */

TEST(calls__refuse_texts_that_cannot_be)
{
    static const size_t lens[] = {
        0, UINT32_MAX, (size_t)PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 1, SIZE_MAX
    };
    static const char with_rules[] = "[:find ?p :in $ % :where (r ?p)]";
    world w;
    rille_query *query = NULL;
    rille_result *result = NULL;
    world_init(&w, "mem:");
    REQUIRE_RC(rille_prepare(with_rules, sizeof with_rules - 1, &query, &test_err), 0);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        int expected = lens[i] == 0 ? RILLE_SYNTAX : RILLE_LIMIT;
        rille_query *parsed = JUNK;
        rille_db *with = JUNK;
        rille_commit commit;
        rille_input inputs[2] = { { .db = w.db }, { .rules = "[]", .rules_len = lens[i] } };
        CHECK_RC(rille_prepare("[]", lens[i], &parsed, &test_err), expected);
        CHECK_RC(rille_transact(w.conn, "[]", lens[i], &commit, &test_err), expected);
        CHECK_RC(rille_db_with(w.db, "[]", lens[i], &with, &test_err), expected);
        CHECK_RC(rille_run(query, inputs, 2, &result, &test_err), expected);
        CHECK(parsed == NULL && with == NULL && result == NULL && commit.tx == 0);
    }
    rille_query_close(query);
    world_deinit(&w);
}

/* ---- points in time, places, options ---- */

TEST(calls__refuse_points_in_time_that_are_none)
{
    static const uint64_t points[] = { 0, 1, 1000, UINT64_C(1) << 40, UINT64_C(1) << 53, UINT64_MAX / 2, UINT64_MAX };
    static const int64_t instants[] = { INT64_MIN, -1, 0, INT64_MAX };
    world w;
    world_init(&w, "mem:");
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        rille_db *out = JUNK;
        int rc = rille_db_as_of(w.db, points[i], &out, &test_err);
        CHECK(rc == 0 || (rc == RILLE_NOTFOUND && out == NULL));
        rille_db_release(rc == 0 ? out : NULL);
    }
    for (size_t i = 0; i < sizeof instants / sizeof *instants; i++) {
        rille_db *out = JUNK;
        int rc = rille_db_as_of_instant(w.db, instants[i], &out, &test_err);
        CHECK(rc == 0 || (rc == RILLE_NOTFOUND && out == NULL));
        rille_db_release(rc == 0 ? out : NULL);
    }
    world_deinit(&w);
}

TEST(calls__refuse_places_and_options_that_are_none)
{
    static const char *const urls[] = { "", ":", "mem", "::", "nosuch:x", "file:", "deferred:", "deferred:file:" };
    static char long_branch[100000];
    static char long_url[100000];
    rille_options options = { .create = true };
    rille_conn *conn;
    memset(long_branch, 'b', sizeof long_branch - 1);
    memset(long_url, 'u', sizeof long_url - 1);
    memcpy(long_url, "file:", 5);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        conn = JUNK;
        CHECK_RC(rille_connect(urls[i], &options, &conn, &test_err), RILLE_SYNTAX);
        CHECK(conn == NULL);
        CHECK_RC(rille_drop(urls[i], &test_err), RILLE_SYNTAX);
    }
    CHECK(rille_connect(long_url, &options, &conn, &test_err) < 0);
    CHECK(conn == NULL);
    options.branch = "";
    CHECK_RC(rille_connect("mem:", &options, &conn, &test_err), RILLE_MISUSE);
    options.branch = long_branch;
    CHECK_RC(rille_connect("mem:", &options, &conn, &test_err), RILLE_MISUSE);
    options = (rille_options){ .create = true, .cache_bytes = SIZE_MAX, .must_create = true, .no_history = true };
    CHECK_RC(rille_connect("mem:", &options, &conn, &test_err), 0);
    rille_close(conn);
    options.cache_bytes = 1;
    CHECK_RC(rille_connect("mem:", &options, &conn, &test_err), 0);
    rille_close(conn);
}

TEST_MAIN(calls__say_which_pointer_is_null, calls__give_nil_out_of_range, calls__may_come_in_any_order,
          calls__repeat_the_error_of_a_step, calls__copy_what_an_operation_needs_later,
          calls__refuse_texts_that_cannot_be, calls__refuse_points_in_time_that_are_none,
          calls__refuse_places_and_options_that_are_none)
