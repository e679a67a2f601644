/* SPDX-License-Identifier: MIT
 *
 * Careless calls of operations other than queries, and of what a host does for them; like test_query_calls.c.
 */
#include "test_query_calls.h"

#include "own_backend.h"

/* Frees what a backend holds. */
static void drop_place(const char *name)
{
    rille_backend backend;
    REQUIRE_RC(own_open(name, true, &backend, &test_err), 0);
    CHECK_RC(backend.ops->drop(backend.self, &test_err), 0);
    backend.ops->close(backend.self);
}

static int check_started(rille_steps *out, bool given, int rc)
{
    check_out(out, given, rc);
    if (rc == 0) {
        rille_steps_close(out);
    }
    return rc;
}

static int try_start_connect(world *w, unsigned null, rille_err *err)
{
    rille_steps *out = JUNK;
    (void)w;
    int rc = rille_start_connect(GIVE(1, "mem:"), NULL, GIVE(2, &out), err);
    return check_started(out, GIVE(2, JUNK) != NULL, rc);
}

static int try_connect_backend(world *w, unsigned null, rille_err *err)
{
    rille_conn *out = JUNK;
    rille_options options = { .create = true };
    rille_backend backend;
    (void)w;
    REQUIRE_RC(own_open("calls", true, &backend, &test_err), 0);
    int rc = rille_connect_backend(GIVE(1, &backend), "calls", &options, GIVE(2, &out), err);
    check_out(out, GIVE(2, JUNK) != NULL, rc);
    if (rc == 0) {
        rille_close(out);
    } else {
        CHECK_EQ_INT(rc, RILLE_MISUSE);
        backend.ops->close(backend.self);
    }
    return rc;
}

static int try_start_connect_backend(world *w, unsigned null, rille_err *err)
{
    rille_steps *out = JUNK;
    rille_backend backend;
    (void)w;
    REQUIRE_RC(own_open("calls", true, &backend, &test_err), 0);
    int rc = rille_start_connect_backend(GIVE(1, &backend), "calls", NULL, GIVE(2, &out), err);
    if (rc != 0) {
        CHECK_EQ_INT(rc, RILLE_MISUSE);
        backend.ops->close(backend.self);
    }
    return check_started(out, GIVE(2, JUNK) != NULL, rc);
}

static int try_start_db(world *w, unsigned null, rille_err *err)
{
    rille_steps *out = JUNK;
    int rc = rille_start_db(GIVE(1, w->conn), GIVE(2, &out), err);
    return check_started(out, GIVE(2, JUNK) != NULL, rc);
}

static int try_start_transact(world *w, unsigned null, rille_err *err)
{
    rille_steps *out = JUNK;
    int rc = rille_start_transact(GIVE(1, w->conn), GIVE(2, "[]"), 2, GIVE(3, &out), err);
    return check_started(out, GIVE(3, JUNK) != NULL, rc);
}

static int try_start_flush(world *w, unsigned null, rille_err *err)
{
    rille_steps *out = JUNK;
    int rc = rille_start_flush(GIVE(1, w->conn), GIVE(2, &out), err);
    return check_started(out, GIVE(2, JUNK) != NULL, rc);
}

static int try_start_verify(world *w, unsigned null, rille_err *err)
{
    rille_steps *out = JUNK;
    int rc = rille_start_verify(GIVE(1, w->conn), GIVE(2, &out), err);
    return check_started(out, GIVE(2, JUNK) != NULL, rc);
}

static int try_start_as_of(world *w, unsigned null, rille_err *err)
{
    rille_steps *out = JUNK;
    int rc = rille_start_as_of(GIVE(1, w->db), rille_db_tx(w->db), GIVE(2, &out), err);
    return check_started(out, GIVE(2, JUNK) != NULL, rc);
}

static int try_start_as_of_instant(world *w, unsigned null, rille_err *err)
{
    rille_steps *out = JUNK;
    int rc = rille_start_as_of_instant(GIVE(1, w->db), rille_db_instant(w->db), GIVE(2, &out), err);
    return check_started(out, GIVE(2, JUNK) != NULL, rc);
}

static int try_start_with(world *w, unsigned null, rille_err *err)
{
    rille_steps *out = JUNK;
    int rc = rille_start_with(GIVE(1, w->db), GIVE(2, "[]"), 2, GIVE(3, &out), err);
    return check_started(out, GIVE(3, JUNK) != NULL, rc);
}

static int try_start_datoms(world *w, unsigned null, rille_err *err)
{
    rille_steps *out = JUNK;
    rille_value e = rille_long(1);
    int rc = rille_start_datoms(GIVE(1, w->db), GIVE(2, "eavt"), GIVE(3, &e), 1, GIVE(4, &out), err);
    return check_started(out, GIVE(4, JUNK) != NULL, rc);
}

static int try_start_seek_datoms(world *w, unsigned null, rille_err *err)
{
    rille_steps *out = JUNK;
    rille_value e = rille_long(1);
    int rc = rille_start_seek_datoms(GIVE(1, w->db), GIVE(2, "eavt"), GIVE(3, &e), 1, GIVE(4, &out), err);
    return check_started(out, GIVE(4, JUNK) != NULL, rc);
}

static int try_start_count(world *w, unsigned null, rille_err *err)
{
    rille_steps *out = JUNK;
    rille_value e = rille_long(1);
    int rc = rille_start_count(GIVE(1, w->db), GIVE(2, "eavt"), GIVE(3, &e), 1, GIVE(4, &out), err);
    return check_started(out, GIVE(4, JUNK) != NULL, rc);
}

static int try_start_index_range(world *w, unsigned null, rille_err *err)
{
    rille_steps *out = JUNK;
    int rc = rille_start_index_range(GIVE(1, w->db), GIVE(2, "p/name"), NULL, NULL, GIVE(3, &out), err);
    return check_started(out, GIVE(3, JUNK) != NULL, rc);
}

static int try_start_entid(world *w, unsigned null, rille_err *err)
{
    rille_steps *out = JUNK;
    rille_value name = rille_string("Ada");
    int rc = rille_start_entid(GIVE(1, w->db), GIVE(2, "p/name"), GIVE(3, &name), GIVE(4, &out), err);
    return check_started(out, GIVE(4, JUNK) != NULL, rc);
}

static int try_start_warm(world *w, unsigned null, rille_err *err)
{
    rille_steps *out = JUNK;
    rille_warm what = { 0 };
    int rc = rille_start_warm(GIVE(1, w->db), GIVE(2, &what), GIVE(3, &out), err);
    return check_started(out, GIVE(3, JUNK) != NULL, rc);
}

/* A query's steps have no such results. */
static int try_results(world *w, unsigned null, rille_err *err)
{
    (void)err;
    CHECK(rille_steps_conn(GIVE(1, w->steps)) == NULL);
    CHECK_EQ_INT(rille_steps_number(GIVE(1, w->steps)), 0);
    CHECK_EQ_INT(rille_steps_warmed(GIVE(1, w->steps)).nodes, 0);
    CHECK(rille_steps_db(GIVE(1, w->steps)) == NULL);
    CHECK(rille_steps_commit(GIVE(1, w->steps)).tx == 0);
    CHECK_EQ_INT(rille_steps_wants(GIVE(1, w->steps)), 0);
    rille_steps_cancel(GIVE(2, NULL));
    return 0;
}

static int try_poll(world *w, unsigned null, rille_err *err)
{
    return rille_poll(GIVE(1, w->steps), err);
}

static int try_wait(world *w, unsigned null, rille_err *err)
{
    rille_steps *const list[] = { w->steps, GIVE(2, w->steps) };
    return rille_wait(GIVE(1, list), 2, 0, err);
}

/* Nothing is wanted, so each index is out of range. */
static int try_want(world *w, unsigned null, rille_err *err)
{
    static const size_t places[] = { 0, 1, UINT32_MAX, SIZE_MAX };
    rille_want want;
    int rc = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        rc = rille_steps_want(GIVE(1, w->steps), places[i], GIVE(2, &want), err);
        CHECK_EQ_INT(rc, RILLE_MISUSE);
    }
    return null == 0 ? 0 : rc;
}

static int try_supply(world *w, unsigned null, rille_err *err)
{
    static const size_t places[] = { 0, 1, UINT32_MAX, SIZE_MAX };
    rille_outcome outcome = { .bytes = "x", .len = 1 };
    int rc = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        rc = rille_supply(GIVE(1, w->steps), places[i], GIVE(2, &outcome), err);
        CHECK_EQ_INT(rc, RILLE_MISUSE);
    }
    return null == 0 ? 0 : rc;
}

static const attempt attempts[] = {
    { "rille_connect_backend", try_connect_backend, 2, RILLE_MISUSE },
    { "rille_start_connect", try_start_connect, 2, RILLE_MISUSE },
    { "rille_start_connect_backend", try_start_connect_backend, 2, RILLE_MISUSE },
    { "rille_start_db", try_start_db, 2, RILLE_MISUSE },
    { "rille_start_transact", try_start_transact, 3, RILLE_MISUSE },
    { "rille_start_flush", try_start_flush, 2, RILLE_MISUSE },
    { "rille_start_verify", try_start_verify, 2, RILLE_MISUSE },
    { "rille_start_as_of", try_start_as_of, 2, RILLE_MISUSE },
    { "rille_start_as_of_instant", try_start_as_of_instant, 2, RILLE_MISUSE },
    { "rille_start_with", try_start_with, 3, RILLE_MISUSE },
    { "rille_start_datoms", try_start_datoms, 4, RILLE_MISUSE },
    { "rille_start_seek_datoms", try_start_seek_datoms, 4, RILLE_MISUSE },
    { "rille_start_count", try_start_count, 4, RILLE_MISUSE },
    { "rille_start_index_range", try_start_index_range, 3, RILLE_MISUSE },
    { "rille_start_entid", try_start_entid, 4, RILLE_MISUSE },
    { "rille_start_warm", try_start_warm, 3, RILLE_MISUSE },
    { "rille_steps_conn rille_steps_db rille_steps_commit rille_steps_number rille_steps_warmed "
      "rille_steps_wants rille_steps_cancel",
      try_results, 1, 0 },
    { "rille_poll", try_poll, 1, RILLE_MISUSE },
    { "rille_wait", try_wait, 2, RILLE_MISUSE },
    { "rille_steps_want", try_want, 2, RILLE_MISUSE },
    { "rille_supply", try_supply, 2, RILLE_MISUSE },
};

TEST(calls__of_operations_say_which_pointer_is_null)
{
    world w;
    world_init(&w, "mem:");
    check_attempts(&w, attempts, sizeof attempts / sizeof *attempts);
    world_deinit(&w);
    drop_place("calls");
}

/* A backend that is refused with RILLE_MISUSE stays the program's, else it is closed. */
TEST(calls__that_are_wrong_leave_the_backend_open)
{
    static const char long_branch[] =
        "a_branch_name_that_is_longer_than_any_that_there_may_be_so_that_it_is_refused_at_once_and_nothing_is_opened_"
        "a_branch_name_that_is_longer_than_any_that_there_may_be_so_that_it_is_refused_at_once_and_nothing_is_opened_"
        "a_branch_name_that_is_longer_than_any_that_there_may_be_so_that_it_is_refused_at_once_and_nothing_is_opened";
    rille_options options = { .create = true, .branch = long_branch };
    rille_backend backend;
    rille_conn *conn;
    rille_steps *steps;
    REQUIRE_RC(own_open("open", true, &backend, &test_err), 0);
    const own_place *place = backend.self;
    CHECK_EQ_INT(place->handles, 1);
    CHECK_RC(rille_connect_backend(&backend, "open", &options, &conn, &test_err), RILLE_MISUSE);
    CHECK_EQ_INT(place->handles, 1);
    CHECK_RC(rille_start_connect_backend(&backend, "open", &options, &steps, &test_err), RILLE_MISUSE);
    CHECK(steps == NULL);
    CHECK_EQ_INT(place->handles, 1);
    options = (rille_options){ .branch = "main" };
    CHECK_RC(rille_connect_backend(&backend, "open", &options, &conn, &test_err), RILLE_NOTFOUND);
    CHECK_EQ_INT(place->handles, 0);
    drop_place("open");
}

TEST_MAIN(calls__that_are_wrong_leave_the_backend_open, calls__of_operations_say_which_pointer_is_null)
